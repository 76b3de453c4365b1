/** Listeners at the addresses of sockets that the process was started with. That such a socket serves is in `activation`. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Net from "node:net"
import * as Endpoint from "../../../src/domain/net/Endpoint.ts"
import * as Host from "../../../src/layers/Host.ts"
import { Inherited, InheritedSockets } from "../../../src/layers/system/InheritedSockets.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import { layerAccept } from "../../../src/services/Sessions.ts"

const socketOf = (uri: string) =>
  new InheritedSockets([{ name: "web", descriptor: 9999, endpoint: Result.getOrThrow(Endpoint.parseTransport(uri)) }])

/** Why an application is not attached that listens there. */
const refusal = Effect.fnUntraced(function*(listen: string, sockets: InheritedSockets) {
  const layer = Host.layer.pipe(Layer.provide(Layer.succeed(Inherited, sockets)))
  const host = Context.get(yield* Layer.build(layer), SessionLayer)
  const options = { name: "app", listen: [listen], worker: { kind: "in-process" }, workers: 1 } as const
  return (yield* Effect.flip(host.attach(options, AppWorker.fromLayer(layerAccept(() => {}))))).message
})

describe("an inherited socket", () => {
  it.live("that has had its listener is not to be had, and the reason is told", () =>
    Effect.gen(function*() {
      const sockets = socketOf("tcp://127.0.0.1:1")
      sockets.take(sockets.all[0]!.endpoint)
      assert.include(
        yield* refusal("tcp://127.0.0.1:1", sockets),
        "the socket that this process was started with has its listener, or had one that is closed; "
          + "start the process again to have it once more"
      )
    }).pipe(Effect.scoped))

  it.live("that can't be served is named with its fault, and no other is opened in its place", () =>
    Effect.gen(function*() {
      const sockets = socketOf("tcp://127.0.0.1:0")
      assert.match(
        yield* refusal("tcp://127.0.0.1:0", sockets),
        /\(descriptor 9999, "web", which this process was started with\)/
      )
      assert.deepStrictEqual(sockets.free, [])
    }).pipe(Effect.scoped))

  it.live("at another address is named where its port is in use", () =>
    Effect.gen(function*() {
      const server = yield* Effect.acquireRelease(
        Effect.callback<Net.Server>((resume) => {
          const server = Net.createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const { port } = server.address() as Net.AddressInfo
      assert.match(
        yield* refusal(`tcp://127.0.0.1:${port}`, socketOf(`tcp://[::]:${port}`)),
        /; this process was started with a socket at tcp:\/\/\[::\]:\d+: ask for that address/
      )
    }).pipe(Effect.scoped))

  it.live("stays to be had where a listener fails for want of a certificate", () =>
    Effect.gen(function*() {
      const sockets = socketOf("tcp://127.0.0.1:1")
      assert.include(yield* refusal("tls://127.0.0.1:1", sockets), "the application has no certificate")
      assert.deepStrictEqual(sockets.free, sockets.all)
    }).pipe(Effect.scoped))
})
