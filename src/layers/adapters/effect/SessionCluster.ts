/**
 * The transport of `effect/cluster`'s `SocketRunner` on sessions: runners that are app workers talk to each other
 * through their hosts.
 *
 * **Details** A runner is one process with an address of its own, so each worker of an application that is a runner
 * needs a `runnerAddress` of its own: a port counted from the worker's number (`Sessions.worker.worker`) will do.
 *
 * @since 0.1.0
 */
import type * as Runners from "effect/cluster/Runners"
import type * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Socket from "effect/socket/Socket"
import type * as SocketServer from "effect/socket/SocketServer"
import { isIPv6 } from "node:net"
import { Sessions } from "../../../services/Sessions.ts"
import * as SessionSocket from "./SessionSocket.ts"
import * as SessionSocketServer from "./SessionSocketServer.ts"

/** How long a connect to a runner may take, as in Effect's own transport. */
const OPEN_TIMEOUT = "1 second"

const endpoint = ({ host, port }: { readonly host: string; readonly port: number }): string =>
  `tcp://${isIPv6(host) ? `[${host}]` : host}:${port}`

/**
 * How a runner connects to others: each connection is a session.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClientProtocol: Layer.Layer<
  Runners.RpcClientProtocol,
  never,
  RpcSerialization.RpcSerialization | Sessions
> = Layer.unwrap(Effect.gen(function*() {
  // only a worker that uses them loads them
  const { RpcClientProtocol } = yield* Effect.promise(() => import("effect/cluster/Runners"))
  const { makeProtocolSocket } = yield* Effect.promise(() => import("effect/rpc/RpcClient"))
  const { RpcSerialization } = yield* Effect.promise(() => import("effect/rpc/RpcSerialization"))
  return Layer.effect(RpcClientProtocol)(
    Effect.gen(function*() {
      const serialization = yield* RpcSerialization
      const sessions = yield* Sessions
      return {
        codecFor: serialization.codecFor,
        make: Effect.fnUntraced(function*(address) {
          const socket = yield* SessionSocket.connect(endpoint(address), { timeout: OPEN_TIMEOUT }).pipe(
            Effect.provideService(Sessions, sessions)
          )
          return yield* makeProtocolSocket().pipe(
            Effect.provideService(Socket.Socket, socket),
            Effect.provideService(RpcSerialization, serialization)
          )
        }, Effect.orDie)
      }
    })
  )
}))

/**
 * Where a runner listens: the `runnerListenAddress` of the `ShardingConfig`, else its `runnerAddress`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSocketServer: Layer.Layer<
  SocketServer.SocketServer,
  SocketServer.SocketServerError,
  Sessions | ShardingConfig.ShardingConfig
> = Layer.unwrap(Effect.gen(function*() {
  const { ShardingConfig } = yield* Effect.promise(() => import("effect/cluster/ShardingConfig"))
  const config = yield* ShardingConfig
  const address = Option.orElse(config.runnerListenAddress, () => config.runnerAddress)
  if (Option.isNone(address)) {
    return yield* Effect.die(new Error("a runner that listens needs a runnerAddress in its ShardingConfig"))
  }
  return SessionSocketServer.layer({ endpoints: [endpoint(address.value)] })
}))
