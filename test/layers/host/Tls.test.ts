/** A whole host over TLS: from the options of an application to what its workers know of their sessions. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as ProxyHeader from "../../../src/domain/net/ProxyHeader.ts"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import type * as Report from "../../../src/domain/report/Report.ts"
import * as Host from "../../../src/layers/Host.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { Certificates } from "../../../src/services/Certificates.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import { SessionRules } from "../../../src/services/SessionRules.ts"
import { type ConnectFailed, type Session, Sessions } from "../../../src/services/Sessions.ts"
import * as Pem from "../../support/Pem.ts"
import { authority } from "../../support/Tls.ts"
import { turn, until } from "../../support/until.ts"

/** An in-process application: its sessions, and a way to connect. */
class App {
  readonly accepted: Array<Session> = []
  sessions: Sessions["Service"] | undefined
  readonly module = AppWorker.fromLayer(Layer.effectDiscard(Effect.gen({ self: this }, function*() {
    const sessions = this.sessions = yield* Sessions
    for (const endpoint of sessions.endpoints) {
      yield* sessions.listen(endpoint, (session) => void this.accepted.push(session))
    }
  })))
}

const worker = { kind: "in-process" } as const

const attached = Effect.fnUntraced(function*(options: AppOptionsInput) {
  const host = yield* SessionLayer
  const app = new App()
  const { handle, index } = yield* host.attach({ workers: 1, worker, ...options }, app.module)
  const info = (): Effect.Effect<Report.AppReport> =>
    Effect.map(host.report, ({ apps }) => apps.find((app) => app.index === index)!)
  const [listener] = (yield* info()).listeners
  return { app, handle, info, endpoint: listener?.endpoint ?? "" }
})

/** That a listener comes to count two arrivals as they should be. */
const counted = Effect.fnUntraced(function*(
  info: Effect.Effect<Report.AppReport>,
  right: (arrivals: Report.ListenerReport["arrivals"]) => boolean
) {
  for (;;) {
    const { arrivals } = (yield* info).listeners[0]!
    if (arrivals.arrived === 2 && right(arrivals)) return
    assert.isAtMost(arrivals.arrived, 2)
    yield* turn
  }
})

const test = (title: string, body: () => Effect.Effect<void, unknown, Host.Services | Scope.Scope>): void =>
  it.live(title, () => body().pipe(Effect.scoped, Effect.provide(Host.layer)))

const listen = ["tls://127.0.0.1:0"]
const certificates = [Pem.pair("chain")]

describe("a host over TLS", () => {
  test("W19 has an application's certificates before its workers listen, in their order", () =>
    Effect.gen(function*() {
      const { handle } = yield* attached({ name: "a", listen, certificates: [Pem.pair("rsa"), Pem.encrypted] })
      const entries = yield* (yield* Certificates).of(handle)
      assert.deepStrictEqual(entries.map(({ info }) => info.subject), ["CN=RSA", "CN=Encrypted"])
    }))

  test("W19 refuses to attach an application with a certificate that is none, and leaves nothing", () =>
    Effect.gen(function*() {
      const wrong = [
        [{ ...Pem.pair("rsa"), key: Pem.pair("chain").key }, /^key: it does not belong to the certificate "CN=RSA"$/],
        [{ ...Pem.encrypted, passphrase: "wrong" }, /^passphrase: it does not open the key$/],
        ["text", /^input: it must be an object with certificate and key$/]
      ] as const
      for (const [input, says] of wrong) {
        const given = { name: "a", listen, certificates: [Pem.pair("chain"), input as Pem.Pair] }
        const { reason } = yield* Effect.flip(attached(given))
        assert.strictEqual(reason._tag, "InvalidValue")
        if (reason._tag !== "InvalidValue") return
        assert.strictEqual(reason.option, "certificates.1")
        assert.match(reason.detail, says)
        assert.deepStrictEqual((yield* (yield* SessionLayer).report).apps, [])
      }
      yield* attached({ name: "a", listen, certificates })
    }))

  test("tells workers on both ends of a session how it is protected, and fails what can't be trusted", () =>
    Effect.gen(function*() {
      const server = yield* attached({ name: "server", listen, certificates, listener: { alpn: ["x"] } })
      const tlsClient = { authorities: [authority], alpn: ["x"] }
      const client = yield* attached({ name: "client", tlsClient })
      const session = yield* client.app.sessions!.connect(server.endpoint)
      yield* until("the other end", () => server.app.accepted.length === 1)
      const [accepted] = server.app.accepted
      assert.strictEqual(session.remote, server.endpoint)
      assert.strictEqual(accepted!.remote, session.local)
      for (const { about } of [session, accepted!]) {
        assert.deepStrictEqual([about.tls!.protocol, about.tls!.alpn], ["TLSv1.3", "x"])
      }
      assert.strictEqual(session.about.tls!.peer!.subject, "CN=Leaf, O=Test\\, chained")
      assert.isUndefined(accepted!.about.tls!.peer)
      session.write(Buffer.from("over TLS"))
      yield* until("the bytes", () => accepted!.available === 8)

      const stranger = yield* attached({ name: "stranger" })
      const error: ConnectFailed = yield* Effect.flip(stranger.app.sessions!.connect(server.endpoint))
      assert.strictEqual(error.reason._tag, "TlsFailed")
      assert.match(error.detail, /signed by an authority that is not known/)
      yield* counted(server.info(), ({ refused }) => refused["tls-failed"] === 1)
    }))

  test("judges a connection that a trusted proxy passes on by its real source", () =>
    Effect.gen(function*() {
      const rules = yield* SessionRules
      const at = yield* attached({
        name: "a",
        listen: ["tcp://127.0.0.1:0"],
        listener: { proxyTrust: ["127.0.0.0/8"] }
      })
      const port = Number(at.endpoint.split(":").at(-1))
      const dial = (host: string) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            const socket = Net.connect(port, "127.0.0.1").on("error", () => {})
            const ends = { source: { host, port: 1 }, destination: { host: "192.0.2.9", port: 2 } }
            socket.write(ProxyHeader.encode("v2", ends))
            return socket
          }),
          (socket) => Effect.sync(() => socket.destroy())
        )
      yield* rules.denySource("192.0.2.66")
      const bad = yield* dial("192.0.2.66")
      yield* until("its end", () => bad.destroyed)
      yield* dial("192.0.2.7")
      yield* until("the session", () => at.app.accepted.length === 1)
      const [session] = at.app.accepted
      assert.deepStrictEqual([session!.remote, session!.local], ["tcp://192.0.2.7:1", "tcp://192.0.2.9:2"])
      assert.strictEqual(session!.about.proxy!.local, at.endpoint)
      yield* counted(at.info(), ({ claimed, refused }) => claimed === 1 && refused["source-denied"] === 1)
    }))
})
