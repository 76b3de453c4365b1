/** Node's own servers on sessions, in both placements: what they ask of a connection, and what they expect of it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Http2 from "node:http2"
import * as Https from "node:https"
import * as Net from "node:net"
import { text } from "node:stream/consumers"
import * as Tls from "node:tls"
import type { AppOptionsInput } from "../../../../src/domain/options/Options.ts"
import type * as Ledger from "../../../../src/domain/state/Ledger.ts"
import * as NodeApps from "../../../../src/layers/adapters/node/NodeApps.ts"
import * as SessionDuplex from "../../../../src/layers/adapters/node/SessionDuplex.ts"
import * as Host from "../../../../src/layers/Host.ts"
import * as AppWorker from "../../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../../src/services/SessionLayer.ts"
import { SessionRules } from "../../../../src/services/SessionRules.ts"
import * as SystemTimers from "../../../support/SystemTimers.ts"
import { until } from "../../../support/until.ts"

const file = (name: string) => Fs.readFileSync(new URL(`../../../fixtures/certificates/${name}`, import.meta.url))

const serve = Effect.fnUntraced(function*(server: Net.Server, options: AppOptionsInput) {
  const host = yield* SessionLayer
  yield* host.attach(
    { name: "app", listen: ["tcp://127.0.0.1:0"], workers: 1, worker: { kind: "in-process" }, ...options },
    AppWorker.fromLayer(NodeApps.layer(server))
  )
  return (server.address() as Net.AddressInfo).port
})

/** One session was ended by neither side, for this reason. */
const assertEnded = Effect.fnUntraced(function*(reason: Ledger.EndReason) {
  const { report } = yield* SessionLayer
  // the worker's word comes a little later than its application's
  yield* until("it is counted", () => Effect.runSync(report).sessions === 0)
  const { ledger } = yield* report
  assert.deepStrictEqual(ledger.arrivals.ended, { idle: 0, stalled: 0, late: 0, stuck: 0, [reason]: 1 })
})

const onHost = <A, E>(test: Effect.Effect<A, E, SessionLayer | SessionRules | Scope.Scope>) =>
  test.pipe(Effect.scoped, Effect.provide(Host.layer))

const connect = (port: number, host = "127.0.0.1") =>
  Effect.acquireRelease(
    Effect.sync(() => Net.connect({ port, host, allowHalfOpen: true }).on("error", () => {})),
    (socket) => Effect.sync(() => socket.destroy())
  )

for (const placement of ["shared", "transfer"] as const) {
  const options: AppOptionsInput = { listener: { placement } }

  describe(placement, () => {
    it.live("a handler that does not read sees the end", () =>
      onHost(Effect.gen(function*() {
        const ended = Promise.withResolvers<void>()
        const port = yield* serve(Net.createServer((socket) => socket.on("end", ended.resolve)), options)
        ;(yield* connect(port)).end()
        yield* Effect.promise(() => ended.promise)
      })))

    it.live("HTTP/2 without TLS is answered", () =>
      onHost(Effect.gen(function*() {
        const port = yield* serve(Http2.createServer((_request, response) => void response.end("h2c")), options)
        yield* Effect.promise(async () => {
          const client = Http2.connect(`http://127.0.0.1:${port}`)
          assert.strictEqual(await text(client.request({ ":path": "/" })), "h2c")
          client.close()
        })
      })))

    it.live("TLS that the program ends: a request that comes together with the end of its client is answered", () =>
      onHost(Effect.gen(function*() {
        const server = Https.createServer(
          { key: file("named.key"), cert: file("named.pem") },
          (request, response) => void request.resume().on("end", () => response.end("answered"))
        )
        const port = yield* serve(server, options)
        for (let round = 0; round < 5; round++) {
          const client = Tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false }).on("error", () => {})
          const heard = text(client)
          client.once(
            "secureConnect",
            () => client.end("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello")
          )
          assert.match(yield* Effect.promise(() => heard), /\r\n\r\nanswered$/)
        }
      })))

    it.live("one connection more than maxConnections is dropped, and the server says whose it was", () =>
      onHost(Effect.gen(function*() {
        const server = Net.createServer()
        server.maxConnections = 1
        const port = yield* serve(server, options)
        const first = yield* connect(port)
        yield* Effect.promise(() => once(server, "connection"))
        const dropped = once(server, "drop")
        const second = yield* connect(port)
        const [about] = yield* Effect.promise(() => dropped)
        assert.deepStrictEqual([about.remotePort, about.localPort, about.remoteFamily], [
          second.localPort,
          port,
          "IPv4"
        ])
        yield* until("it is gone", () => second.destroyed || second.readableEnded || second.resume() === undefined)
        assert.isFalse(first.readableEnded)
        const count = yield* Effect.promise(() =>
          new Promise((resolve) => void server.getConnections((_error, count) => resolve(count)))
        )
        assert.strictEqual(count, 1)
      })))

    for (const [listener, peers] of [["[::]", ["127.0.0.1", "::1"]], ["0.0.0.0", ["127.0.0.1"]]] as const) {
      for (const peer of peers) {
        it.live(`addresses of a connection from ${peer} to ${listener} are those that Node shows`, () =>
          onHost(Effect.gen(function*() {
            const ends = (socket: Net.Socket) => ({
              address: (socket.address() as Net.AddressInfo).address,
              remote: [socket.remoteAddress, socket.remoteFamily, socket.remotePort],
              local: [socket.localAddress, socket.localFamily]
            })
            const server = Net.createServer()
            server.maxConnections = 1
            const port = yield* serve(server, { ...options, listen: [`tcp://${listener}:0`] })
            const plain = yield* Effect.acquireRelease(
              Effect.sync(() => Net.createServer().listen(0, listener.replace(/[[\]]/g, ""))),
              (plain) => Effect.sync(() => plain.close())
            )
            yield* Effect.promise(() => once(plain, "listening"))
            const arrive = Effect.fnUntraced(function*(server: Net.Server, port: number, event: string) {
              const came = once(server, event)
              const client = yield* connect(port, peer)
              const [about]: [Net.Socket & Net.DropArgument] = (yield* Effect.promise(() => came)) as [
                Net.Socket & Net.DropArgument
              ]
              return { about, client }
            })
            const expected = yield* arrive(plain, (plain.address() as Net.AddressInfo).port, "connection")
            const { about, client } = yield* arrive(server, port, "connection")
            const { address, local, remote } = ends(expected.about)
            assert.deepStrictEqual(ends(about), { address, local, remote: [remote[0], remote[1], client.localPort] })
            const dropped = yield* arrive(server, port, "drop")
            const { localAddress, localFamily, remoteAddress, remoteFamily } = dropped.about
            assert.deepStrictEqual([remoteAddress, remoteFamily, localAddress, localFamily], [
              remote[0],
              remote[1],
              ...local
            ])
            expected.about.destroy()
            about.destroy()
          })))
      }
    }

    /** What a listener on any address shows of both ends of a connection from `127.0.0.1`. */
    const MAPPED = ["::ffff:127.0.0.1", "IPv6", "::ffff:127.0.0.1", "IPv6"]
    const showing = () =>
      Net.createServer((socket) => {
        const { localAddress, localFamily, remoteAddress, remoteFamily } = socket
        socket.end(JSON.stringify([remoteAddress, remoteFamily, localAddress, localFamily]))
      })
    const heard = (socket: Net.Socket) => Effect.map(Effect.promise(() => text(socket)), (said) => JSON.parse(said))

    it.live("addresses of a connection in TLS from 127.0.0.1 to [::] are those that Node shows", () =>
      onHost(Effect.gen(function*() {
        const certificates = [{ certificate: file("named.pem").toString(), key: file("named.key").toString() }]
        const port = yield* serve(showing(), { ...options, listen: ["tls://[::]:0"], certificates })
        const socket = yield* connect(port)
        const secure = Tls.connect({ socket, rejectUnauthorized: false }).on("error", () => {})
        assert.deepStrictEqual(yield* heard(secure), MAPPED)
      })))

    for (
      const [header, trusted, shown] of [
        ["PROXY TCP4 10.0.0.1 10.0.0.2 1000 2000\r\n", "127.0.0.0/8", ["10.0.0.1", "IPv4", "10.0.0.2", "IPv4"]],
        ["PROXY TCP6 2001:db8::1 ::1 1000 2000\r\n", "127.0.0.0/8", ["2001:db8::1", "IPv6", "::1", "IPv6"]],
        ["PROXY UNKNOWN\r\n", "127.0.0.0/8", MAPPED],
        ["", "10.0.0.0/8", MAPPED]
      ] as const
    ) {
      const from = header === "" ? "somebody else" : `a proxy that says ${header.trim()}`
      it.live(`addresses on [::] where proxies are trusted, from ${from}`, () =>
        onHost(Effect.gen(function*() {
          const port = yield* serve(showing(), {
            listen: ["tcp://[::]:0"],
            listener: { placement, proxyTrust: [trusted] }
          })
          const socket = yield* connect(port)
          socket.write(header)
          assert.deepStrictEqual(yield* heard(socket), shown)
        })))
    }

    it.live("the rules and the deny list know an IPv4 peer of a listener on [::] by its IPv4 address", () =>
      onHost(Effect.gen(function*() {
        const rules = yield* SessionRules
        const server = Net.createServer((socket) => socket.end(SessionDuplex.sessionOf(socket)!.remote))
        const port = yield* serve(server, { ...options, listen: ["tcp://[::]:0"] })
        const heard = yield* connect(port)
        assert.match(yield* Effect.promise(() => text(heard)), /^tcp:\/\/127\.0\.0\.1:\d+$/)
        yield* rules.denySource("127.0.0.0/8")
        const socket = yield* connect(port)
        socket.resume()
        yield* until("it is refused", () => socket.destroyed)
        assert.strictEqual(socket.bytesRead, 0)
      })))

    for (const transport of ["tcp", "tls"] as const) {
      it.live(`a ${transport} connection on which no byte goes is reset after its idle time, and the session says why`, () =>
        onHost(Effect.gen(function*() {
          const pass = yield* SystemTimers.fake
          let heard = 0
          const server = Net.createServer((socket) => void socket.on("error", () => {}).on("data", () => heard++))
          const port = yield* serve(server, {
            listen: [`${transport}://127.0.0.1:0`],
            listener: { placement, idleTimeout: "200 millis" },
            certificates: [{ certificate: file("named.pem").toString(), key: file("named.key").toString() }]
          })
          const came = once(server, "connection")
          const client = yield* connect(port)
          const secure = transport === "tcp" ? client : Tls.connect({ socket: client, rejectUnauthorized: false })
          secure.on("error", () => {}).resume()
          const [socket]: [Net.Socket] = (yield* Effect.promise(() => came)) as [Net.Socket]
          const session = SessionDuplex.sessionOf(socket)!
          for (let count = 1; count <= 4; count++) {
            secure.write("x")
            yield* until("a byte", () => heard === count)
            pass(190)
            assert.isFalse(socket.destroyed)
          }
          pass(60)
          yield* until("it is gone", () => socket.destroyed && client.destroyed)
          assert.strictEqual(session.reset, "the connection was idle for too long")
          yield* assertEnded("idle")
        })))

      it.live(`a ${transport} connection whose peer sends and does not read is reset after its stall time`, () =>
        onHost(Effect.gen(function*() {
          const pass = yield* SystemTimers.fake
          const server = Net.createServer((socket) => {
            socket.on("error", () => {}).resume()
            socket.write(Buffer.alloc(16 << 20))
          })
          const port = yield* serve(server, {
            listen: [`${transport}://127.0.0.1:0`],
            listener: { placement, stallTimeout: "200 millis" },
            certificates: [{ certificate: file("named.pem").toString(), key: file("named.key").toString() }]
          })
          const came = once(server, "connection")
          const client = yield* connect(port)
          const secure = transport === "tcp" ? client : Tls.connect({ socket: client, rejectUnauthorized: false })
          secure.on("error", () => {}).pause()
          const [socket]: [Net.Socket] = (yield* Effect.promise(() => came)) as [Net.Socket]
          const session = SessionDuplex.sessionOf(socket)!
          yield* until("it is gone", () => {
            secure.write("x")
            pass(1)
            return socket.destroyed && session.closed
          })
          assert.strictEqual(session.reset, "the peer did not take what was sent to it")
          yield* assertEnded("stalled")
        })))
    }

    /** Which timer the system runs for this side of a connection, and the seconds until then: `02` probes the peer. */
    const timerOf = (client: Net.Socket): readonly [timer: string, seconds: number] => {
      const hex = (port: number) => `:${port.toString(16).toUpperCase().padStart(4, "0")}`
      const fields = Fs.readFileSync("/proc/net/tcp", "utf8").split("\n").map((line) => line.trim().split(/\s+/))
        .find(([, local, remote]) =>
          local?.endsWith(hex(client.remotePort!)) === true && remote?.endsWith(hex(client.localPort!)) === true
        )
      const [timer = "", jiffies = ""] = fields?.[5]?.split(":") ?? []
      return [timer, Math.round(Number.parseInt(jiffies, 16) / 100)]
    }

    it.live.skipIf(process.platform !== "linux")(
      "setKeepAlive has the system probe the peer, or not",
      () =>
        onHost(Effect.gen(function*() {
          const server = Net.createServer({ keepAlive: true, keepAliveInitialDelay: 60_000 })
          const port = yield* serve(server, options)
          const came = once(server, "connection")
          const client = yield* connect(port)
          const [socket]: [Net.Socket] = (yield* Effect.promise(() => came)) as [Net.Socket]
          yield* until("the server's own time", () => timerOf(client)[0] === "02" && timerOf(client)[1] <= 60)
          socket.setKeepAlive(true, 600_000)
          yield* until("another time", () => timerOf(client)[1] > 60)
          socket.setKeepAlive(false)
          yield* until("no probes", () => timerOf(client)[0] === "00")
        }))
    )

    it.live("setNoDelay and setTypeOfService reach the socket that the system has", () =>
      onHost(Effect.gen(function*() {
        const set: Array<readonly [string, unknown]> = []
        const { setNoDelay, setTypeOfService } = Net.Socket.prototype as Net.Socket & {
          setTypeOfService(value: number): Net.Socket
        }
        const spy = (name: string, own: (value: never) => Net.Socket) =>
          function(this: Net.Socket, value: never) {
            if (!(this instanceof SessionDuplex.SessionDuplex)) set.push([name, value])
            return own.call(this, value)
          }
        yield* Effect.acquireRelease(
          Effect.sync(() =>
            Object.assign(Net.Socket.prototype, {
              setNoDelay: spy("noDelay", setNoDelay),
              setTypeOfService: spy("type", setTypeOfService)
            })
          ),
          () => Effect.sync(() => Object.assign(Net.Socket.prototype, { setNoDelay, setTypeOfService }))
        )
        const server = Net.createServer()
        const came = once(server, "connection")
        yield* connect(yield* serve(server, options))
        const [socket]: [typeof Net.Socket.prototype] = (yield* Effect.promise(() => came)) as [Net.Socket]
        set.splice(0)
        Reflect.apply(Reflect.get(socket, "setTypeOfService"), socket, [16])
        socket.setNoDelay(true).setNoDelay(false)
        yield* until("both are set", () => set.length >= 2)
        assert.includeDeepMembers(set, [["type", 16], ["noDelay", false]])
        assert.strictEqual(Reflect.apply(Reflect.get(socket, "getTypeOfService"), socket, []), 16)
      })))

    it.live("a peer on the block list gets no further", () =>
      onHost(Effect.gen(function*() {
        const blockList = new Net.BlockList()
        blockList.addAddress("127.0.0.1")
        const server = Net.createServer({ blockList }, () => assert.fail("it was let in"))
        const socket = yield* connect(yield* serve(server, options))
        socket.resume()
        yield* Effect.promise(() => once(socket, socket.destroyed ? "close" : "end"))
      })))

    it.live("pauseOnConnect leaves the bytes where they are until somebody asks", () =>
      onHost(Effect.gen(function*() {
        const server = Net.createServer({ pauseOnConnect: true })
        const port = yield* serve(server, options)
        const client = yield* connect(port)
        client.end("hello")
        const [socket]: [Net.Socket] = (yield* Effect.promise(() => once(server, "connection"))) as [Net.Socket]
        assert.deepStrictEqual([socket.isPaused(), Reflect.get(socket, "server")], [true, server])
        socket.resume()
        assert.strictEqual(yield* Effect.promise(() => text(socket)), "hello")
        socket.end()
      })))

    it.live("TLS that ends in the worker: a listener for data sets the socket going", () =>
      onHost(Effect.gen(function*() {
        const server = Net.createServer((socket) =>
          socket.on("data", (bytes) => socket.end(`you said ${String(bytes)}`))
        )
        const host = yield* SessionLayer
        const { handle } = yield* host.attach(
          {
            name: "app",
            listen: ["tls://127.0.0.1:0"],
            workers: 1,
            worker: { kind: "in-process" },
            listener: { placement, tlsIn: placement === "transfer" ? "worker" : "host" },
            certificates: [{ certificate: file("named.pem").toString(), key: file("named.key").toString() }]
          },
          AppWorker.fromLayer(NodeApps.layer(server))
        )
        assert.isDefined(handle)
        const { port } = server.address() as Net.AddressInfo
        const answer = yield* Effect.promise(() => {
          const socket = Tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false })
          socket.write("hello")
          return text(socket)
        })
        assert.strictEqual(answer, "you said hello")
      })))
  })
}
