/**
 * Wakes the consumer of a queue that has gone to sleep, across threads or within one.
 *
 * A doorbell belongs to one side: it rings the other side's doorbell and is rung by it. A ring carries nothing; whoever
 * hears it looks at the queues. Rings that come close together may be heard as one.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/**
 * @category models
 * @since 0.1.0
 */
export interface DoorbellShape {
  /** Wakes the other side. Synchronous; never runs what it wakes inside the call. */
  readonly ring: () => void
  /**
   * Runs `look` soon, after what the event loop is busy with: for one more look before going to sleep, which costs less
   * than a ring while there is traffic. Absent where a ring costs nothing.
   */
  readonly soon: ((look: () => void) => void) | undefined
  /** Calls `wake` for the other side's rings, until the scope closes. */
  readonly listen: (wake: () => void) => Effect.Effect<void, never, Scope.Scope>
}

/**
 * @category services
 * @since 0.1.0
 */
export class Doorbell extends Context.Service<Doorbell, DoorbellShape>()("sluice/services/Doorbell") {}
