import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Constants from "node:constants"
import * as Net from "node:net"
import * as Tls from "node:tls"
import type * as Prefix from "../../../src/domain/net/Prefix.ts"
import * as ProxyHeader from "../../../src/domain/net/ProxyHeader.ts"
import * as Options from "../../../src/domain/options/Options.ts"
import type * as Ledger from "../../../src/domain/state/Ledger.ts"
import * as TransportTcp from "../../../src/layers/transport/TransportTcp.ts"
import * as TransportTls from "../../../src/layers/transport/TransportTls.ts"
import type { CertificateEntry } from "../../../src/services/Certificates.ts"
import type { SharedConnection, TransportListenOptions } from "../../../src/services/Transport.ts"
import { AppEnd, sharedOf } from "../../support/AppEnd.ts"
import * as Pem from "../../support/Pem.ts"
import { authority, entry, TlsClient, trusting } from "../../support/Tls.ts"
import { listenOptions } from "../../support/TransportWorlds.ts"
import { settled, turn, until } from "../../support/until.ts"

const KiB = 1024

type Given = Partial<Options.AppOptions["listener"]>

/** A listener over TLS, or over TCP with PROXY headers, and all that it says. */
const listening = Effect.fnUntraced(
  function*(given: Given = {}, more: Partial<TransportListenOptions> = {}, over = "tls") {
    const connections: Array<SharedConnection> = []
    const refused: Array<Ledger.RefuseReason> = []
    const store = { byName: new Map<string | undefined, CertificateEntry | undefined>([[undefined, entry("chain")]]) }
    const scope = yield* Scope.fork(yield* Effect.scope)
    const options: TransportListenOptions = {
      ...listenOptions,
      listener: { ...Options.defaults.listener, ...given },
      certificate: (name) => store.byName.get(name) ?? store.byName.get(undefined),
      accept: (connection) => connections.push(sharedOf(connection)),
      refused: (reason) => refused.push(reason),
      ...more
    }
    const host = { host: "127.0.0.1", port: 0 }
    const { port } = over === "tls"
      ? yield* Scope.provide(TransportTls.make().listen({ _tag: "tls", ...host }, options), scope)
      : yield* Scope.provide(TransportTcp.make().listen({ _tag: "tcp", ...host }, options), scope)
    yield* Effect.addFinalizer(() => Effect.sync(() => connections.forEach((connection) => connection.abort())))
    return { port, connections, refused, store, close: Scope.close(scope, Exit.void) }
  }
)

type Listening = Effect.Success<ReturnType<typeof listening>>

const client = (port: number, options?: Tls.ConnectionOptions) =>
  Effect.acquireRelease(
    Effect.sync(() => new TlsClient(port, options)),
    ({ below, socket }) => Effect.sync(() => (socket.destroy(), below.destroy()))
  )

/** A client whose handshake is through, and its connection on the host's side. */
const connected = Effect.fnUntraced(function*({ connections, port }: Listening, options?: Tls.ConnectionOptions) {
  const before = connections.length
  const peer = yield* client(port, options)
  yield* until("the handshake", () => connections.length > before || peer.closed)
  assert.isUndefined(peer.error)
  const connection = connections[before]!
  return { peer, connection, about: connection.about! }
})

/** Whether a client is served as it should be. */
const serves = Effect.fnUntraced(function*(at: Listening, options?: Tls.ConnectionOptions) {
  const { connection, peer } = yield* connected(at, options)
  const app = new AppEnd(connection, 4 * KiB).open()
  peer.socket.write("ping")
  yield* until("bytes for the app", () => app.rx.size === 4)
  app.write(app.read())
  yield* until("bytes for the peer", () => peer.text === "ping")
  peer.socket.end()
  app.call((connection) => connection.end())
  yield* until("the end", () => app.over !== undefined)
  assert.deepStrictEqual(app.over, { reset: undefined })
})

/** A client without TLS, and what has become of it. */
const raw = (port: number) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly socket: Net.Socket; closed: boolean; received: number }>((resume) => {
      const socket = Net.connect({ host: "127.0.0.1", port, allowHalfOpen: true }, () => resume(Effect.succeed(peer)))
      // one that is sent away at once may never have been there
      socket.on("close", () => resume(Effect.succeed(peer)))
      const peer = { socket, closed: false, received: 0 }
      socket.on("data", (bytes: Buffer) => peer.received += bytes.length)
      socket.on("error", () => {})
      socket.on("end", () => socket.end())
      socket.on("close", () => peer.closed = true)
    }),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

const handshakeTimers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length

/** The first flight of a handshake. */
const clientHello = (options: Tls.ConnectionOptions = {}) =>
  Effect.callback<Buffer>((resume) => {
    const server = Net.createServer((socket) => {
      socket.once("data", (bytes: Buffer) => {
        socket.destroy()
        server.close()
        resume(Effect.succeed(bytes))
      })
    }).listen(0, "127.0.0.1", () => {
      const { port } = server.address() as Net.AddressInfo
      Tls.connect({ port, host: "127.0.0.1", ...options }).on("error", () => {})
    })
  })

const test = (title: string, body: () => Effect.Effect<void, unknown, Scope.Scope>): void =>
  it.live(title, () => Effect.scoped(body()))

describe("TransportTls", () => {
  describe("a handshake", () => {
    for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
      test(`of ${version} makes a session of which it is known how it was protected`, () =>
        Effect.gen(function*() {
          const at = yield* listening()
          const { about, connection } = yield* connected(at, { maxVersion: version, servername: "chain.test" })
          assert.match(connection.remote, /^tls:\/\/127\.0\.0\.1:\d+$/)
          assert.strictEqual(connection.local, `tls://127.0.0.1:${at.port}`)
          const { cipher, openssl, ...tls } = about.tls!
          assert.match(cipher, /^TLS_/)
          assert.match(openssl!.version, /^TLSv1/)
          assert.deepStrictEqual(tls, {
            protocol: version,
            serverName: "chain.test",
            resumed: false,
            authorized: false
          })
          yield* serves(at, { maxVersion: version })
          assert.deepStrictEqual(at.refused, [])
        }))
    }

    test("shows the certificate of the name that is asked for, and a new one from its replacement on", () =>
      Effect.gen(function*() {
        const at = yield* listening()
        at.store.byName.set("rsa.test", entry("rsa"))
        const nameOf = ({ peer }: { readonly peer: TlsClient }) => peer.socket.getPeerX509Certificate()?.subject
        const lax = { rejectUnauthorized: false }
        const first = yield* connected(at, { ...lax, servername: "chain.test" })
        assert.match(nameOf(first)!, /CN=Leaf/)
        assert.strictEqual(nameOf(yield* connected(at, { ...lax, servername: "rsa.test" })), "CN=RSA")
        at.store.byName.set("rsa.test", entry("exact"))
        at.store.byName.set(undefined, entry("wildcard"))
        assert.strictEqual(nameOf(yield* connected(at, { ...lax, servername: "rsa.test" })), "CN=Exact")
        assert.strictEqual(nameOf(yield* connected(at, lax)), "CN=Wildcard")
        // who was there before stays
        const app = new AppEnd(first.connection, 4 * KiB).open()
        first.peer.socket.write("still")
        yield* until("bytes for the app", () => app.rx.size === 5)
      }))

    test("agrees on the protocol that the listener prefers, and fails without one", () =>
      Effect.gen(function*() {
        const at = yield* listening({ alpn: ["h2", "http/1.1"] })
        const { about, peer } = yield* connected(at, { ALPNProtocols: ["http/1.1", "h2"] })
        assert.deepStrictEqual([about.tls!.alpn, peer.socket.alpnProtocol], ["h2", "h2"])
        assert.isUndefined((yield* connected(at)).about.tls!.alpn)
        const other = yield* client(at.port, { ALPNProtocols: ["smtp"] })
        yield* until("the end", () => other.closed)
        assert.strictEqual(other.error, "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL")
        assert.deepStrictEqual(at.refused, ["tls-failed"])
      }))

    const noTicket = { maxVersion: "TLSv1.2", secureOptions: Constants.SSL_OP_NO_TICKET } as const
    const ways: ReadonlyArray<readonly [string, Tls.ConnectionOptions]> = [
      ["a ticket of TLSv1.3", {}],
      ["a ticket of TLSv1.2", { maxVersion: "TLSv1.2" }],
      ["its id", noTicket]
    ]
    for (const [what, options] of ways) {
      test(`is short for a session that is resumed by ${what}, also after the certificate was replaced`, () =>
        Effect.gen(function*() {
          const at = yield* listening()
          const first = yield* connected(at, options)
          new AppEnd(first.connection, 4 * KiB).open().write(Buffer.from("x"))
          yield* until("the session", () => first.peer.session !== undefined && first.peer.text === "x")
          at.store.byName.set(undefined, entry("wildcard"))
          const { session } = first.peer
          const again = yield* connected(at, { ...options, rejectUnauthorized: false, ...(session && { session }) })
          assert.isTrue(again.about.tls!.resumed)
          assert.isTrue(again.peer.socket.isSessionReused())
          assert.isFalse((yield* connected(at, { ...options, rejectUnauthorized: false })).about.tls!.resumed)
        }))
    }
  })

  describe("certificates of clients", () => {
    const { certificate: cert, key } = Pem.pair("chain")
    const good = { cert, key }
    const bad = { cert: Pem.pair("rsa").certificate, key: Pem.pair("rsa").key }
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      test(`that are required let in who has a good one, over ${maxVersion}`, () =>
        Effect.gen(function*() {
          const at = yield* listening({ clientCertificate: "require", clientAuthorities: [authority] })
          const { about } = yield* connected(at, { maxVersion, ...good })
          assert.isTrue(about.tls!.authorized)
          assert.strictEqual(about.tls!.peer!.subject, "CN=Leaf, O=Test\\, chained")
          assert.strictEqual(about.tls!.peer!.issuer, "CN=Middle, O=Test")
          for (const wrong of [{}, bad]) {
            const before: number = at.refused.length
            const peer = yield* client(at.port, { maxVersion, ...wrong })
            yield* until("the refusal", () => at.refused.length > before && (peer.closed || peer.ended))
          }
          yield* settled
          assert.deepStrictEqual(at.refused, ["tls-failed", "tls-failed"])
          assert.strictEqual(at.connections.length, 1)
        }))

      test(`that are asked for are told, good or not, over ${maxVersion}`, () =>
        Effect.gen(function*() {
          const at = yield* listening({ clientCertificate: "request", clientAuthorities: [authority] })
          const of = (tls: Tls.ConnectionOptions) =>
            Effect.map(connected(at, { maxVersion, ...tls }), ({ about: { tls } }) => [
              tls!.authorized,
              tls!.authorizationError,
              tls!.peer?.subject
            ])
          assert.deepStrictEqual(yield* of(good), [true, undefined, "CN=Leaf, O=Test\\, chained"])
          assert.deepStrictEqual(yield* of(bad), [false, "DEPTH_ZERO_SELF_SIGNED_CERT", "CN=RSA"])
          const [authorized, , subject] = yield* of({})
          assert.deepStrictEqual([authorized, subject], [false, undefined])
        }))
    }

    test("are not made good by resuming a session that had none", () =>
      Effect.gen(function*() {
        const at = yield* listening({ clientCertificate: "request", clientAuthorities: [authority] })
        const first = yield* connected(at)
        new AppEnd(first.connection, 4 * KiB).open().write(Buffer.from("x"))
        yield* until("the session", () => first.peer.session !== undefined)
        const { session } = first.peer
        const { about } = yield* connected(at, session && { session })
        assert.deepStrictEqual([about.tls!.resumed, about.tls!.authorized], [true, false])
      }))
  })

  describe("what does not become a session", () => {
    type Way = (at: Listening) => Effect.Effect<{ readonly closed: boolean }, never, Scope.Scope>
    const saying = (bytes: Uint8Array | string, then?: (socket: Net.Socket) => void): Way => ({ port }) =>
      Effect.map(raw(port), (peer) => {
        peer.socket.write(bytes, () => then?.(peer.socket))
        return peer
      })
    const half = (then: (socket: Net.Socket) => void): Way => (at) =>
      Effect.flatMap(clientHello(), (hello) => saying(hello.subarray(0, hello.length / 2), then)(at))
    const ways: ReadonlyArray<readonly [string, Ledger.RefuseReason, Way, Given?]> = [
      ["plain HTTP", "tls-failed", saying("GET / HTTP/1.1\r\nHost: a\r\n\r\n")],
      ["garbage", "tls-failed", saying(Buffer.alloc(4096, 0xa5))],
      ["a record that is too long", "tls-failed", saying(Buffer.from([22, 3, 1, 255, 255, 1, 0, 0]))],
      [
        "a version that nobody should speak",
        "tls-failed",
        ({ port }) => client(port, { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "ALL@SECLEVEL=0" })
      ],
      ["nothing, and an end", "tls-failed", saying("", (socket) => socket.end())],
      ["half a handshake, and an end", "tls-failed", half((socket) => socket.end())],
      ["half a handshake, and a reset", "tls-failed", half((socket) => socket.resetAndDestroy())],
      [
        "a handshake that the client gives up",
        "tls-failed",
        ({ port }) => client(port, { ca: Pem.pair("rsa").certificate })
      ],
      ["nothing, and silence", "handshake-time", saying(""), { handshakeTimeout: 400 }],
      ["half a handshake, and silence", "handshake-time", half(() => {}), { handshakeTimeout: 400 }],
      [
        "a byte now and then",
        "handshake-time",
        saying("", (socket) => {
          const timer = setInterval(() => socket.write(Buffer.from([22])), 150)
          socket.on("close", () => clearInterval(timer))
        }),
        { handshakeTimeout: 400 }
      ]
    ]
    for (const [what, reason, way, given] of ways) {
      test(`${what}: is sent away, counted once as ${reason}, and nobody else notices`, () =>
        Effect.gen(function*() {
          const timers = handshakeTimers()
          const at = yield* listening({ handshakeTimeout: 60_000, ...given })
          const other = yield* connected(at)
          const app = new AppEnd(other.connection, 4 * KiB).open()
          const peer = yield* way(at)
          yield* until("the refusal", () => at.refused.length > 0)
          yield* until("the peer's end", () => peer.closed)
          other.peer.socket.write("still there")
          yield* until("bytes of another", () => app.rx.size === 11)
          yield* serves(at)
          assert.deepStrictEqual(at.refused, [reason])
          // but for one that the client itself may have
          yield* until("no timers", () => handshakeTimers() <= timers + 1)
        }))
    }

    test("a listener whose last certificate was removed refuses handshakes until there is one", () =>
      Effect.gen(function*() {
        const at = yield* listening()
        at.store.byName.clear()
        const peer = yield* client(at.port)
        yield* until("the end", () => peer.closed)
        assert.deepStrictEqual(at.refused, ["tls-failed"])
        at.store.byName.set(undefined, entry("chain"))
        yield* serves(at)
      }))

    test("more than may be are refused at once, and room is made by each that ends", () =>
      Effect.gen(function*() {
        const at = yield* listening({ maxHandshakes: 2 })
        const [first] = yield* Effect.all([raw(at.port), raw(at.port)])
        const third = yield* raw(at.port)
        yield* until("the refusal", () => third.closed)
        assert.deepStrictEqual(at.refused, ["handshake-limit"])
        first.socket.destroy()
        yield* until("the end of the first", () => at.refused.length === 2)
        yield* serves(at)
        assert.deepStrictEqual(at.refused, ["handshake-limit", "tls-failed"])
      }))

    test("a denied source is not even greeted", () =>
      Effect.gen(function*() {
        const asked: Array<string> = []
        const at = yield* listening({}, { isDenied: (remote, local) => asked.push(remote, local) > 0 })
        const peer = yield* client(at.port)
        yield* until("the end", () => peer.closed)
        assert.strictEqual(peer.below.bytesRead, 0)
        assert.match(asked[0]!, /^tls:\/\/127\.0\.0\.1:/)
        assert.strictEqual(asked[1], `tls://127.0.0.1:${at.port}`)
        // it is counted by who denies
        assert.deepStrictEqual(at.refused, [])
      }))

    test("what is under way when the listener ends is ended with it", () =>
      Effect.gen(function*() {
        const timers = handshakeTimers()
        const at = yield* listening()
        const peers = yield* Effect.all([raw(at.port), raw(at.port)])
        const served = yield* connected(at)
        yield* at.close
        yield* until("their end", () => peers.every(({ closed }) => closed))
        // others' timers, of the test runner's too, may have ended meanwhile
        yield* until("no timers of theirs", () => handshakeTimers() <= timers)
        assert.isFalse(served.peer.closed)
        assert.deepStrictEqual(at.refused, [])
      }))

    test("a listener without a certificate does not listen, and says why", () =>
      Effect.gen(function*() {
        const listen = TransportTls.make().listen({ _tag: "tls", host: "127.0.0.1", port: 0 }, listenOptions)
        const error = yield* Effect.flip(listen)
        assert.strictEqual(error.reason, "NoCertificate")
        assert.strictEqual(
          error.message,
          "listen tls://127.0.0.1:0: the application has no certificate; give it one (certificates, or --tls-cert and "
            + "--tls-key) before it listens"
        )
      }))
  })

  describe("a connection", () => {
    for (const words of ["last words", ""]) {
      test(`whose peer has ended before it was opened tells of it after "${words}"`, () =>
        Effect.gen(function*() {
          const at = yield* listening()
          const { connection, peer } = yield* connected(at)
          peer.socket.end(words)
          yield* until("the end is on its way", () => peer.socket.writableFinished)
          yield* settled
          const app = new AppEnd(connection, 4 * KiB).open()
          yield* until("the end", () => app.said.includes("ended"))
          assert.strictEqual(app.read().toString(), words)
        }))
    }

    test("that is given up while its peer does not read is gone in bounded time", () =>
      Effect.gen(function*() {
        const server = TransportTls.make()
        const connections: Array<SharedConnection> = []
        const { port } = yield* server.listen({ _tag: "tls", host: "127.0.0.1", port: 0 }, {
          ...listenOptions,
          listener: { ...listenOptions.listener, closeTimeout: 30 },
          certificate: () => entry("chain"),
          accept: (connection) => connections.push(sharedOf(connection))
        })
        const peer = yield* client(port)
        yield* until("the handshake", () => connections.length === 1 && peer.secure)
        peer.socket.pause()
        const app = new AppEnd(connections[0]!, 8 * KiB).open()
        app.writeAll(Buffer.alloc(16 << 20))
        yield* settled
        // a peer that sends gets no more time by that
        const sending = setInterval(() => peer.socket.write("x"), 5)
        app.call((connection) => connection.close())
        yield* until("the end", () => app.over !== undefined)
        clearInterval(sending)
        assert.strictEqual(app.over?.reset, "the peer did not take what was left in time")
      }))
  })

  describe("a connect", () => {
    const connect = (port: number, tls?: Partial<Options.AppOptions["tlsClient"]>, host = "127.0.0.1") =>
      Effect.acquireRelease(
        TransportTls.make().connect({ _tag: "tls", host, port }, {
          tls: { authorities: [authority], alpn: [], verify: true, ...tls }
        }),
        (connection) => Effect.sync(() => connection.abort())
      )

    test("to a server that it trusts is a session, with what is known of the server", () =>
      Effect.gen(function*() {
        const at = yield* listening({ alpn: ["h2"] })
        const connection = yield* connect(at.port, { alpn: ["h2"] })
        assert.strictEqual(connection.remote, `tls://127.0.0.1:${at.port}`)
        const { alpn, authorized, peer } = connection.about!.tls!
        assert.deepStrictEqual([alpn, authorized, peer!.subject], ["h2", true, "CN=Leaf, O=Test\\, chained"])
        yield* until("the other side", () => at.connections.length === 1)
        const here = new AppEnd(connection, 4 * KiB).open()
        const there = new AppEnd(at.connections[0]!, 4 * KiB).open()
        here.write(Buffer.from("over"))
        there.write(Buffer.from("and out"))
        yield* until("bytes on both sides", () => here.rx.size === 7 && there.rx.size === 4)
      }))

    const fault = (port: number, tls?: Partial<Options.AppOptions["tlsClient"]>, host?: string) =>
      Effect.map(Effect.flip(connect(port, tls, host)), ({ detail, reason }) => `${reason}: ${detail}`)

    test("to a server that it does not trust fails, unless it does not look", () =>
      Effect.gen(function*() {
        const at = yield* listening()
        assert.strictEqual(
          yield* fault(at.port, { authorities: [] }),
          "TlsFailed: the server's certificate is signed by an authority that is not known; give its authority with "
            + "tlsClient.authorities"
        )
        assert.strictEqual(
          yield* fault(at.port, {}, "localhost"),
          "TlsFailed: the server's certificate is not for localhost"
        )
        const { about } = yield* connect(at.port, { authorities: [], verify: false })
        assert.deepStrictEqual(
          [about!.tls!.authorized, about!.tls!.authorizationError],
          [false, "SELF_SIGNED_CERT_IN_CHAIN"]
        )
        at.store.byName.set(undefined, entry("expired"))
        const { certificate } = Pem.pair("expired")
        assert.strictEqual(
          yield* fault(at.port, { authorities: [certificate] }, "127.0.0.1"),
          "TlsFailed: the server's certificate has expired"
        )
        at.store.byName.set(undefined, entry("rsa"))
        assert.match(yield* fault(at.port), /^TlsFailed: the server's certificate is self-signed; give/)
      }))

    const server = (serve: (socket: Net.Socket) => void) =>
      Effect.map(
        Effect.acquireRelease(
          Effect.callback<{ readonly server: Net.Server; readonly sockets: Set<Net.Socket> }>((resume) => {
            const sockets = new Set<Net.Socket>()
            const server = Net.createServer((socket) => {
              sockets.add(socket)
              socket.on("error", () => {})
              serve(socket)
            }).listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, sockets })))
          }),
          ({ server, sockets }) => Effect.sync(() => (server.close(), sockets.forEach((socket) => socket.destroy())))
        ),
        ({ server, sockets }) => ({ port: (server.address() as Net.AddressInfo).port, sockets })
      )

    test("to a server without TLS fails, whatever that does", () =>
      Effect.gen(function*() {
        const ways: ReadonlyArray<readonly [(socket: Net.Socket) => void, RegExp]> = [
          [(socket) => socket.write("220 ready\r\n"), /^TlsFailed: the server does not speak TLS there$/],
          [(socket) => socket.resume().end(), /^TlsFailed: the server gave up during the handshake/],
          [(socket) => socket.once("data", () => socket.resetAndDestroy()), /^TlsFailed: the server gave up during/]
        ]
        for (const [serve, says] of ways) {
          const { port } = yield* server(serve)
          assert.match(yield* fault(port), says)
        }
      }))

    test("that is interrupted in its handshake leaves no connection", () =>
      Effect.gen(function*() {
        const { port, sockets } = yield* server((socket) => socket.pause())
        const endpoint = { _tag: "tls", host: "127.0.0.1", port } as const
        yield* Effect.raceFirst(
          TransportTls.make().connect(endpoint),
          until("the connection", () => sockets.size === 1)
        )
        const [socket] = sockets
        socket!.resume()
        yield* until("its end", () => socket!.destroyed)
      }))
  })
})

describe("PROXY headers", () => {
  const trust = (...prefixes: ReadonlyArray<string>): Given => ({
    proxyTrust: prefixes as ReadonlyArray<Prefix.Prefix>
  })
  const ends = { source: { host: "192.0.2.7", port: 1234 }, destination: { host: "192.0.2.9", port: 443 } }

  for (const version of ["v1", "v2"] as const) {
    test(`of ${version} say where a connection comes from, and no byte after them is lost`, () =>
      Effect.gen(function*() {
        const at = yield* listening(trust("127.0.0.0/8"), {}, "tcp")
        const header = ProxyHeader.encode(version, ends)
        const whole = Buffer.concat([header, Buffer.from("first words")])
        for (const cut of [0, 1, 5, 20, header.length, header.length + 3]) {
          const before = at.connections.length
          const peer = yield* raw(at.port)
          if (cut > 0) peer.socket.write(whole.subarray(0, cut))
          yield* turn
          peer.socket.write(whole.subarray(cut))
          yield* until("the connection", () => at.connections.length > before)
          const connection = at.connections[before]!
          assert.strictEqual(connection.remote, "tcp://192.0.2.7:1234")
          assert.strictEqual(connection.local, "tcp://192.0.2.9:443")
          assert.match(connection.about!.proxy!.remote, /^tcp:\/\/127\.0\.0\.1:\d+$/)
          assert.strictEqual(connection.about!.proxy!.local, `tcp://127.0.0.1:${at.port}`)
          const app = new AppEnd(connection, 4 * KiB).open()
          yield* until("the bytes", () => app.rx.size === 11)
          assert.strictEqual(app.read().toString(), "first words")
          app.write(Buffer.from("answer"))
          yield* until("the answer", () => peer.received === 6)
          peer.socket.end()
          yield* until("the end", () => app.said.includes("ended"))
        }
        assert.deepStrictEqual(at.refused, [])
      }))

    test(`of ${version} come before TLS`, () =>
      Effect.gen(function*() {
        const asked: Array<string> = []
        const at = yield* listening(trust("any"), { isDenied: (remote) => asked.push(remote) < 0 })
        const { below, socket } = yield* Effect.acquireRelease(
          Effect.callback<{ readonly below: Net.Socket; readonly socket: Tls.TLSSocket }>((resume) => {
            const below = Net.connect({ host: "127.0.0.1", port: at.port }, () => {
              below.write(ProxyHeader.encode(version, ends))
              resume(Effect.succeed({ below, socket: Tls.connect({ ...trusting, socket: below }) }))
            })
          }),
          ({ below, socket }) => Effect.sync(() => (socket.on("error", () => {}).destroy(), below.destroy()))
        )
        yield* until("the connection", () => at.connections.length === 1)
        const { about, local, remote } = at.connections[0]!
        assert.deepStrictEqual([remote, local], ["tls://192.0.2.7:1234", "tls://192.0.2.9:443"])
        assert.strictEqual(about!.proxy!.remote, `tls://127.0.0.1:${below.localPort}`)
        assert.strictEqual(about!.tls!.protocol, "TLSv1.3")
        // the proxy, then the source that it names
        assert.deepStrictEqual(asked, [`tls://127.0.0.1:${below.localPort}`, "tls://192.0.2.7:1234"])
        const app = new AppEnd(at.connections[0]!, 4 * KiB).open()
        socket.write("secret")
        yield* until("the bytes", () => app.rx.size === 6)
      }))
  }

  test("of a proxy that speaks for itself leave its own addresses", () =>
    Effect.gen(function*() {
      const at = yield* listening(trust("any"), {}, "tcp")
      const peer = yield* raw(at.port)
      peer.socket.write(Buffer.concat([ProxyHeader.encode("v2", undefined), Buffer.from("health?")]))
      yield* until("the connection", () => at.connections.length === 1)
      assert.strictEqual(at.connections[0]!.remote, `tcp://127.0.0.1:${peer.socket.localPort}`)
      assert.isUndefined(at.connections[0]!.about)
    }))

  test("are not read from peers that are not trusted: what they say is the application's", () =>
    Effect.gen(function*() {
      const at = yield* listening(trust("10.0.0.0/8", "::1"), {}, "tcp")
      const peer = yield* raw(at.port)
      const header = ProxyHeader.encode("v1", ends)
      yield* until("the connection", () => at.connections.length === 1)
      assert.strictEqual(at.connections[0]!.remote, `tcp://127.0.0.1:${peer.socket.localPort}`)
      const app = new AppEnd(at.connections[0]!, 4 * KiB).open()
      peer.socket.write(header)
      yield* until("the bytes", () => app.rx.size === header.length)
      assert.deepStrictEqual(app.read(), Buffer.from(header))
    }))

  const v2 = Buffer.from(ProxyHeader.encode("v2", ends))
  const faults: ReadonlyArray<
    readonly [string, Ledger.RefuseReason, Uint8Array | string, "end" | "reset" | "wait", Given?]
  > = [
    ["no header", "proxy-header", "GET / HTTP/1.1\r\n", "wait"],
    ["a header of another family", "proxy-header", "PROXY TCP4 ::1 ::1 1 2\r\n", "wait"],
    ["an endless line", "proxy-header", `PROXY TCP4 ${"1".repeat(200)}`, "wait"],
    ["a header that is cut off by an end", "proxy-header", v2.subarray(0, 20), "end"],
    ["a header that is cut off by a reset", "proxy-header", v2.subarray(0, 20), "reset"],
    ["an end at once", "proxy-header", "", "end"],
    ["half a header and silence", "handshake-time", "PROXY TCP4 ", "wait", { handshakeTimeout: 50 }],
    ["silence", "handshake-time", "", "wait", { handshakeTimeout: 50 }]
  ]
  for (const over of ["tcp", "tls"]) {
    for (const [what, reason, bytes, then, given] of faults) {
      test(`${what}: is sent away over ${over} and counted once as ${reason}`, () =>
        Effect.gen(function*() {
          const at = yield* listening({ ...trust("any"), ...given }, {}, over)
          const peer = yield* raw(at.port)
          peer.socket.write(bytes, () => {
            if (then === "end") peer.socket.end()
            if (then === "reset") peer.socket.resetAndDestroy()
          })
          yield* until("the refusal", () => at.refused.length > 0 && peer.closed)
          yield* settled
          assert.deepStrictEqual(at.refused, [reason])
          assert.strictEqual(at.connections.length, 0)
        }))
    }
  }

  test("of a source that is denied spare it the handshake", () =>
    Effect.gen(function*() {
      const at = yield* listening(trust("any"), { isDenied: (remote) => remote.startsWith("tls://192.0.2.") })
      const peer = yield* raw(at.port)
      peer.socket.write(Buffer.concat([v2, yield* clientHello()]))
      yield* until("its end", () => peer.closed)
      assert.strictEqual(peer.received, 0)
      assert.deepStrictEqual(at.refused, [])
    }))

  test("say nothing of a proxy that is denied itself", () =>
    Effect.gen(function*() {
      const at = yield* listening(trust("any"), { isDenied: (remote) => remote.startsWith("tcp://127.") }, "tcp")
      const peer = yield* raw(at.port)
      peer.socket.write(v2)
      yield* until("its end", () => peer.closed)
      assert.strictEqual(at.connections.length, 0)
    }))
})
