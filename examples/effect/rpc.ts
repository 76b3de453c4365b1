// JSON-RPC, one request a line, on Effect's RpcServer: in every worker, on all endpoints of the application.
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Rpc, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import * as Schema from "effect/Schema"
import { Sessions, SessionSocketServer } from "sluice/worker"

export class Texts extends RpcGroup.make(
  Rpc.make("upper", { payload: { text: Schema.String }, success: Schema.String }),
  Rpc.make("worker", { success: Schema.Int })
) {}

const TextsLive = Texts.toLayer(Effect.gen(function*() {
  const { worker } = yield* Sessions.Sessions
  return {
    upper: ({ text }) => Effect.succeed(text.toUpperCase()),
    worker: () => Effect.succeed(worker.worker)
  }
}))

export default RpcServer.layer(Texts).pipe(
  Layer.provide([TextsLive, RpcServer.layerProtocolSocketServer]),
  Layer.provide([SessionSocketServer.layer(), RpcSerialization.layerNdJsonRpc()])
)
