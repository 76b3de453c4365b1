/**
 * Doorbells: between the host and a worker, and between two workers that have cut-through sessions with each other.
 *
 * **Within one thread** a ring opens a latch, and a fiber that waits for it does the waking, at its next turn. No timer
 * is involved, so under `TestClock` the order of things depends on the program alone.
 *
 * **Across threads** a ring is an empty post on a `MessagePort`. It costs some microseconds, which is why a producer
 * rings only for a consumer that sleeps. The port keeps its thread's loop alive while it is listened to.
 *
 * **Between two workers** (W16) rings never go through the host. Two workers on the host's loop are joined by latches,
 * as they are to the host. If either of the two is on a thread, both ends are ports.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import { MessageChannel, MessagePort } from "node:worker_threads"
import type { LinkBell } from "../../services/Attachment.ts"
import type { DoorbellShape } from "../../services/Doorbell.ts"
import type { WorkerInfo } from "../../services/Sessions.ts"

const latched = (mine: Latch.Latch, theirs: Latch.Latch): DoorbellShape => ({
  ring: () => void theirs.openUnsafe(),
  soon: undefined,
  listen: (wake) =>
    mine.await.pipe(
      // a latch resumes its fiber inside the call that opens it, and nothing may be woken inside a ring
      Effect.andThen(Effect.yieldNow),
      // closed before the look, so that a ring during the look is heard again
      Effect.andThen(Effect.sync(() => {
        mine.closeUnsafe()
        wake()
      })),
      Effect.catchDefect((error) => Effect.logError("what a doorbell woke has failed", error)),
      Effect.forever,
      Effect.forkScoped,
      Effect.asVoid
    )
})

/**
 * Two doorbells within one thread that ring each other.
 *
 * @category constructors
 * @since 0.1.0
 */
export const pairUnsafe = (): readonly [DoorbellShape, DoorbellShape] => {
  const a = Latch.makeUnsafe(false)
  const b = Latch.makeUnsafe(false)
  return [latched(a, b), latched(b, a)]
}

/** What is posted as a ring. */
const RING = 0

/**
 * The doorbell of whoever holds this port. Posts that are not rings are left to the port's other listeners.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ofPort = (port: MessagePort): DoorbellShape => ({
  ring: () => port.postMessage(RING),
  soon: (look) => void setImmediate(look),
  listen: (wake) =>
    Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() => {
        const heard = (message: unknown) => {
          if (message === RING) wake()
        }
        port.on("message", heard)
        return heard
      }),
      (heard) => Effect.sync(() => port.off("message", heard))
    ))
})

/** A port as the doorbell of a worker on the host's loop: it does not keep the host alive, and is listened to once. */
class LinkPort implements DoorbellShape {
  readonly ring: () => void
  readonly soon: DoorbellShape["soon"]
  readonly listen: (wake: () => void) => Effect.Effect<void, never, Scope.Scope>
  readonly #port: MessagePort

  constructor(port: MessagePort) {
    const doorbell = ofPort(port)
    this.#port = port
    this.ring = doorbell.ring
    this.soon = doorbell.soon
    this.listen = (wake) =>
      doorbell.listen(wake).pipe(
        Effect.andThen(Effect.sync(() => port.unref())),
        Effect.andThen(Effect.addFinalizer(() => Effect.sync(() => this.close())))
      )
  }

  close(): void {
    this.#port.close()
  }
}

const linkEnd = (kind: WorkerInfo["kind"], port: MessagePort): LinkBell => kind === "thread" ? port : new LinkPort(port)

/**
 * The two ends of a link between a worker of kind `a` and one of kind `b`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const linkPair = (a: WorkerInfo["kind"], b: WorkerInfo["kind"]): readonly [a: LinkBell, b: LinkBell] => {
  if (a === "in-process" && b === "in-process") return pairUnsafe()
  const { port1, port2 } = new MessageChannel()
  return [linkEnd(a, port1), linkEnd(b, port2)]
}

/**
 * The end of a link as a doorbell, for a worker on the host's loop.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ofLink = (bell: LinkBell): DoorbellShape => bell instanceof MessagePort ? new LinkPort(bell) : bell

/**
 * Closes an end of a link that no worker holds: it was never handed over. From then on the other end rings nobody.
 *
 * @category finalizers
 * @since 0.1.0
 */
export const closeLink = (bell: LinkBell): void => {
  // latches have nothing to close; an end that has something to close is of one of two classes
  if (bell instanceof MessagePort || bell instanceof LinkPort) bell.close()
}
