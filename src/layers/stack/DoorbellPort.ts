/**
 * A doorbell across threads: an empty post on a `MessagePort`.
 *
 * A ring costs some microseconds, which is why a producer rings only for a consumer that sleeps. The port keeps its
 * thread's loop alive while it is listened to.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { MessagePort } from "node:worker_threads"
import type { DoorbellShape } from "../../services/Doorbell.ts"

/** The doorbell of whoever holds this port. Posts that are not rings are left to the port's other listeners. */
export const make = (port: MessagePort): DoorbellShape => ({
  ring: () => port.postMessage(0),
  soon: (look) => void setImmediate(look),
  listen: (wake) =>
    Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() => {
        const heard = (message: unknown) => {
          if (message === 0) wake()
        }
        port.on("message", heard)
        return heard
      }),
      (heard) => Effect.sync(() => port.off("message", heard))
    ))
})
