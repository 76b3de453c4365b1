/**
 * Links between workers for cut-through sessions (W16): the doorbells at their two ends.
 *
 * Two workers on the host's loop are joined by latches, as they are to the host. A worker on a thread holds a port, and
 * so does the other end then, whichever it is: rings go from worker to worker and never through the host.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { MessageChannel, MessagePort } from "node:worker_threads"
import type { Link } from "../../services/Congestion.ts"
import type { DoorbellShape } from "../../services/Doorbell.ts"
import type { WorkerInfo } from "../../services/Sessions.ts"
import * as DoorbellLatch from "./DoorbellLatch.ts"
import * as DoorbellPort from "./DoorbellPort.ts"

export type WorkerKind = WorkerInfo["kind"]
export type Bell = Link["bell"]

/** A port as the doorbell of a worker on the host's loop. */
class PortBell implements DoorbellShape {
  readonly ring: () => void
  readonly soon: DoorbellShape["soon"]
  readonly listen: (wake: () => void) => Effect.Effect<void, never, Scope.Scope>
  readonly #port: MessagePort

  constructor(port: MessagePort) {
    const doorbell = DoorbellPort.make(port)
    this.#port = port
    this.ring = doorbell.ring
    this.soon = doorbell.soon
    // a link keeps no host alive, and nobody listens to it twice
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

const endOf = (kind: WorkerKind, port: MessagePort): Bell => kind === "thread" ? port : new PortBell(port)

/** The two ends of a link between a worker of kind `a` and one of kind `b`. */
export const makePair = (a: WorkerKind, b: WorkerKind): readonly [a: Bell, b: Bell] => {
  if (a === "in-process" && b === "in-process") return DoorbellLatch.makePairUnsafe()
  const { port1, port2 } = new MessageChannel()
  return [endOf(a, port1), endOf(b, port2)]
}

/** The end as a doorbell, for a worker on the host's loop. */
export const doorbellOf = (bell: Bell): DoorbellShape => bell instanceof MessagePort ? new PortBell(bell) : bell

/** Closes an end that no worker holds: one that was never handed over. The other end rings nobody from then on. */
export const close = (bell: Bell): void => {
  if (bell instanceof MessagePort || bell instanceof PortBell) bell.close()
}

export const closePair = ([a, b]: readonly [Bell, Bell]): void => {
  close(a)
  close(b)
}
