/** TLS that ends in the worker that a connection has moved to. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as Tls from "node:tls"
import type { SessionAbout } from "../../../src/domain/memory/SessionAbout.ts"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import type * as Report from "../../../src/domain/report/Report.ts"
import * as Host from "../../../src/layers/Host.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { Certificates } from "../../../src/services/Certificates.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import * as Pem from "../../support/Pem.ts"
import { until } from "../../support/until.ts"

const module = AppWorker.fromUrl(new URL("../../fixtures/tells.ts", import.meta.url))

interface Stage {
  readonly report: () => Report.HostReport
  readonly arrivals: () => Report.ListenerReport["arrivals"]
  readonly certificates: Certificates["Service"]
  readonly handle: Parameters<Certificates["Service"]["replace"]>[0]
  readonly port: number
  readonly connect: (options?: Tls.ConnectionOptions) => Tls.TLSSocket
}

const ask = (socket: Tls.TLSSocket, question: string): Effect.Effect<string> =>
  Effect.gen(function*() {
    let answer = ""
    socket.once("data", (bytes: Buffer) => answer = bytes.toString())
    socket.write(question)
    yield* until(`an answer to ${question}`, () => answer !== "")
    return answer
  })

const kinds = [
  ["moved, on the host's loop", { placement: "transfer" }, "in-process"],
  ["moved to a thread", { placement: "transfer" }, "thread"],
  ["left to a worker on the host's loop", { tlsIn: "worker" }, "in-process"]
] as const

describe.each(kinds)("TLS of connections %s", (_, listener, kind) => {
  const scenario = (
    title: string,
    body: (stage: Stage) => Effect.Effect<void, unknown, Scope.Scope>,
    options: AppOptionsInput["listener"] = {}
  ): void =>
    it.live(title, () =>
      Effect.gen(function*() {
        const services = yield* Layer.build(Host.layer)
        const host = Context.get(services, SessionLayer)
        const certificates = Context.get(services, Certificates)
        const report = (): Report.HostReport => Effect.runSync(host.report)
        const { handle: app } = yield* host.attach({
          name: "app",
          listen: ["tls://127.0.0.1:0"],
          listener: { ...listener, alpn: ["one", "two"], ...options },
          workers: 1,
          worker: { kind }
        }, module)
        const handle = yield* certificates.add(app, Pem.pair("exact"))
        const bound = () => report().apps[0]!.listeners[0]
        yield* until("a listener", () => bound() !== undefined)
        const port = Number(bound()!.endpoint.split(":").at(-1))
        const connect = (more: Tls.ConnectionOptions = {}): Tls.TLSSocket =>
          Tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...more }).on("error", () => {})
        yield* body({ report, arrivals: () => bound()!.arrivals, certificates, handle, port, connect })
        assert.deepStrictEqual(report().imbalances, [])
      }).pipe(Effect.scoped), 30_000)

  scenario("its session knows of it, and carries the bytes", ({ connect, report }) =>
    Effect.gen(function*() {
      const socket = connect({ ALPNProtocols: ["two"], servername: "some.test" })
      const { tls } = JSON.parse(yield* ask(socket, "about")) as SessionAbout
      assert.strictEqual(socket.alpnProtocol, "two")
      assert.deepInclude(tls, { alpn: "two", serverName: "some.test", resumed: false, authorized: false })
      assert.strictEqual(tls?.protocol, "TLSv1.3")
      assert.strictEqual(yield* ask(socket, "well?"), "well?")
      assert.strictEqual(report().sessions, 1)
      let ended = false
      socket.on("end", () => ended = true)
      socket.end()
      yield* until("its end", () => ended && report().sessions === 0)
    }))

  scenario(
    "one that is none is counted as that, and reaches no application",
    ({ arrivals, port, report }) =>
      Effect.gen(function*() {
        const plain = Net.connect(port, "127.0.0.1").on("error", () => {})
        plain.write("GET / HTTP/1.1\r\n\r\n")
        yield* until("a refusal", () => arrivals().refused["tls-failed"] === 1)
        yield* until("its end", () => report().sessions === 0 && plain.destroyed)
        assert.strictEqual(arrivals().claimed, 0)
      })
  )

  scenario(
    "a peer that begins no handshake has its time, and no more",
    ({ arrivals, port, report }) =>
      Effect.gen(function*() {
        const silent = Net.connect(port, "127.0.0.1").on("error", () => {})
        yield* until("a refusal", () => arrivals().refused["handshake-time"] === 1)
        yield* until("its end", () => report().sessions === 0 && silent.destroyed)
      }),
    { handshakeTimeout: 50 }
  )

  scenario(
    "a certificate that is replaced is shown in the next handshake",
    ({ certificates, connect, handle }) =>
      Effect.gen(function*() {
        const shown = Effect.fnUntraced(function*() {
          const socket = connect()
          yield* ask(socket, "well?")
          const { fingerprint256 } = socket.getPeerCertificate()
          socket.destroy()
          return fingerprint256
        })
        const before = yield* shown()
        yield* certificates.replace(handle, Pem.pair("rsa"))
        let after = before
        for (let i = 0; after === before && i < 100; i++) after = yield* shown()
        assert.notStrictEqual(after, before)
      })
  )

  scenario("an abort of either side is a reset to the other", ({ connect, report }) =>
    Effect.gen(function*() {
      const socket = connect()
      yield* ask(socket, "well?")
      socket.destroy()
      yield* until("its end", () => report().sessions === 0)
    }))
})
