/** `effect/cluster` on sessions: two runners that talk to each other through them. */
import { assert, describe, it } from "@effect/vitest"
import * as Entity from "effect/cluster/Entity"
import * as MessageStorage from "effect/cluster/MessageStorage"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SocketRunner from "effect/cluster/SocketRunner"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Schema from "effect/Schema"
import * as SessionCluster from "../../../../src/layers/adapters/effect/SessionCluster.ts"
import { Sessions } from "../../../../src/services/Sessions.ts"
import * as SessionPair from "../../../support/SessionPair.ts"

const Greeter = Entity.make("Greeter", [Rpc.make("where", { success: Schema.Int })])

/** A runner whose entities say its port. */
const runner = (net: SessionPair.Net, storage: Context.Context<RunnerStorage.RunnerStorage>, port: number) =>
  Greeter.toLayer(Effect.succeed({ where: () => Effect.succeed(port) })).pipe(
    Layer.provideMerge(SocketRunner.layer),
    Layer.provide([SessionCluster.layerSocketServer, SessionCluster.layerClientProtocol]),
    Layer.provide([RunnerHealth.layerNoop, MessageStorage.layerNoop, RpcSerialization.layerNdjson]),
    Layer.provide([
      Layer.succeed(Sessions, net.sessions),
      Layer.succeedContext(storage),
      ShardingConfig.layer({
        runnerAddress: Option.some(RunnerAddress.make("127.0.0.1", port)),
        shardsPerGroup: 20,
        refreshAssignmentsInterval: "100 millis",
        runnerJoinDebounce: 0,
        entityTerminationTimeout: 0
      })
    ])
  )

describe("SessionCluster", () => {
  it.live("a runner calls entities on another one over a session", () =>
    Effect.gen(function*() {
      const net = SessionPair.makeNet()
      const storage = yield* Layer.build(RunnerStorage.layerMemory)
      const one = yield* Layer.build(Layer.fresh(runner(net, storage, 34_431)))
      yield* Layer.build(Layer.fresh(runner(net, storage, 34_432)))
      assert.deepStrictEqual(net.listening.toSorted(), ["tcp://127.0.0.1:34431", "tcp://127.0.0.1:34432"])
      const clientOf = yield* Effect.provide(Greeter.client, one)
      const ask = Effect.forEach(
        Array.from({ length: 20 }, (_, n) => n),
        (n) => clientOf(`greeter ${n}`).where(),
        { concurrency: 5 }
      )
      let answers = new Set<number>()
      // shards are shared out as the second runner joins
      while (answers.size < 2) {
        answers = new Set(yield* ask)
        yield* Effect.sleep("20 millis")
      }
      assert.deepStrictEqual([...answers].toSorted(), [34_431, 34_432])
      assert.isTrue(net.accepted.some(({ local }) => local === "tcp://127.0.0.1:34432"))
    }).pipe(Effect.scoped))

  it.live("a runner that is to listen needs an address", () =>
    Effect.gen(function*() {
      const net = SessionPair.makeNet()
      const exit = yield* Effect.exit(Layer.build(SessionCluster.layerSocketServer.pipe(
        Layer.provide([ShardingConfig.layer({ runnerAddress: Option.none() }), Layer.succeed(Sessions, net.sessions)])
      )))
      assert.match(String(exit), /needs a runnerAddress/)
      assert.deepStrictEqual(net.listening, [])
    }).pipe(Effect.scoped))
})
