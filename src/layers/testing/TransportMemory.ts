/**
 * A transport without a kernel: connections between a host and plain objects in the same process.
 *
 * A {@link Network} is where both meet. {@link Network.dial} connects to a listener of the host,
 * {@link Network.listen} takes what the host connects to, and either gives a {@link Peer}: the other end of the
 * connection, which does what it is told and shows what has come.
 *
 * **Order** There are no timers and no I/O. What one side does reaches the other one in a microtask, never inside the
 * call, and one microtask carries all that was done until then: first bytes to the host, then bytes to the peer, then
 * ends. Nothing in between buffers bytes except the peer's own list of what it has sent: a fifo that is full leaves it
 * there, and a peer that does not read takes nothing from the tx fifo. A reset loses what had not arrived.
 *
 * **Gotchas** A connection that the host gives up with `close` waits for its peer's end as long as the peer likes.
 * `backlog` means nothing here, since every connection is accepted at once. A connection may stand still for as long as
 * its listener says (`idleTimeout`, `stallTimeout`) while the listener is there, by the `Clock`; other times of listeners
 * mean nothing here.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import { lookInterval } from "../../domain/net/Standstill.ts"
import { type SharedConnection, type Transport, TransportError } from "../../services/Transport.ts"
import * as InetErrors from "../transport/InetErrors.ts"
import * as Transports from "../transport/Transports.ts"
import { type MemoryEndpoint, named } from "./MemoryAddress.ts"
import type { Network } from "./MemoryNetwork.ts"

export { type ConnectFailure, Network, type PeerListener } from "./MemoryNetwork.ts"
export type { Peer } from "./MemoryPeer.ts"

const failed = (
  operation: TransportError["operation"],
  endpoint: MemoryEndpoint,
  reason: TransportError["reason"],
  detail: string
): TransportError => new TransportError({ operation, endpoint: Endpoint.format(endpoint), reason, detail })

/**
 * The host's side of a network.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (network: Network): Layer.Layer<Transport> =>
  Transports.layer({
    tcp: {
      listen: Effect.fnUntraced(function*(endpoint, options) {
        const bound = yield* Effect.acquireRelease(
          Effect.suspend(() => {
            const bound = network.bind(endpoint, options)
            return bound === undefined
              ? Effect.fail(failed("listen", endpoint, "AddressInUse", "another listener has this endpoint"))
              : Effect.succeed(bound)
          }),
          ({ close }) => Effect.sync(close)
        )
        const interval = lookInterval(options.listener)
        if (interval !== undefined) {
          yield* Effect.sleep(interval).pipe(
            Effect.andThen(Effect.sync(() => bound.passed(interval))),
            Effect.forever,
            Effect.forkScoped
          )
        }
        return bound.endpoint
      }),
      connect: (endpoint, options = {}) =>
        Effect.callback<SharedConnection, TransportError>((resume) => {
          const { source } = options
          const fault = source === undefined ? undefined : InetErrors.sourceFault(named(endpoint), source)
          if (fault !== undefined) return resume(Effect.fail(fault))
          const cancel = network.connect(endpoint, options, (result) =>
            resume(
              Result.isFailure(result)
                ? Effect.fail(failed("connect", endpoint, result.failure.reason, result.failure.detail))
                : Effect.succeed(result.success)
            ))
          return Effect.sync(cancel)
        })
    }
  })
