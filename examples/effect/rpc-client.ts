// A client of rpc.ts, in any process: `node examples/effect/rpc-client.ts 8080 hello`
import { NodeRuntime, NodeSocket } from "@effect/platform-node"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { RpcClient, RpcSerialization } from "effect/rpc"
import { Texts } from "./rpc.ts"

const [port, text = "hello"] = process.argv.slice(2)

const Protocol = RpcClient.layerProtocolSocket().pipe(
  Layer.provide([
    NodeSocket.layerNet({ host: "127.0.0.1", port: Number(port) }),
    RpcSerialization.layerNdJsonRpc()
  ])
)

NodeRuntime.runMain(
  Effect.gen(function*() {
    const texts = yield* RpcClient.make(Texts)
    yield* Console.log(`${yield* texts.upper({ text })} from worker ${yield* texts.worker()}`)
  }).pipe(Effect.scoped, Effect.provide(Protocol))
)
