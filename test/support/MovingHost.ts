/** A host with one worker, over a transport whose connections move to it, as sockets with the placement `transfer` do. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AppOptionsInput } from "../../src/domain/options/Options.ts"
import * as Host from "../../src/layers/Host.ts"
import * as SessionLayerHost from "../../src/layers/host/SessionLayerHost.ts"
import * as AppWorkerInProcess from "../../src/layers/stack/AppWorkerInProcess.ts"
import * as WorkerStack from "../../src/layers/stack/WorkerStack.ts"
import { SessionLayer } from "../../src/services/SessionLayer.ts"
import { type MovableConnection, Transport } from "../../src/services/Transport.ts"
import * as RawWorker from "./RawWorker.ts"
import { Actor, endpoint, optionsOf } from "./Stage.ts"
import { until } from "./until.ts"

/** `serve`: the worker listens, and claims the connection. */
export const make = Effect.fnUntraced(function*(connection: MovableConnection, options: AppOptionsInput = {}) {
  const raw = new RawWorker.RawWorker()
  let accept: ((connection: MovableConnection) => void) | undefined
  const transport = Layer.succeed(Transport, {
    listen: (endpoint, options) =>
      Effect.sync(() => {
        accept = options.accept
        return endpoint
      }),
    immovable: () => undefined,
    connect: () => Effect.never
  })
  const services = yield* Layer.build(
    SessionLayerHost.layerStack.pipe(
      Layer.provide(WorkerStack.layerInProcess({ appWorker: AppWorkerInProcess.layerWith(RawWorker.layer(raw)) })),
      Layer.provide(transport),
      Layer.provideMerge(Host.layerSettings)
    )
  )
  const host = Context.get(services, SessionLayer)
  yield* host.attach(optionsOf({ ...options, listener: { placement: "transfer" } }), new Actor().module)
  const serve = Effect.gen(function*() {
    raw.send({ _tag: "listen", request: 1, endpoint, backlog: 0, flags: 0 })
    yield* until("bound", () => raw.all("bound").length === 1)
    accept!(connection)
    yield* until("the offer", () => raw.all("accepted").length === 1)
    const [offer] = raw.all("accepted")
    raw.claim(offer!)
    yield* until("the socket", () => raw.all("moved").length === 1)
    return offer!.session
  })
  return { host, raw, serve }
})
