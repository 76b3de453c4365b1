/**
 * Whether a worker is congested, since when, and how often and how long it has been (M12).
 */
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { CongestionState } from "../../services/Congestion.ts"
import * as MonotonicTime from "../../services/MonotonicTime.ts"

export class CongestionFlag {
  readonly state: SubscriptionRef.SubscriptionRef<CongestionState>
  readonly #now: () => number
  #raised = false
  #since = 0
  #times = 0
  #millis = 0

  private constructor(now: () => number, state: SubscriptionRef.SubscriptionRef<CongestionState>) {
    this.#now = now
    this.state = state
  }

  static readonly make: Effect.Effect<CongestionFlag> = Effect.zipWith(
    MonotonicTime.reader,
    SubscriptionRef.make<CongestionState>(CongestionState.Clear()),
    (now, state) => new CongestionFlag(now, state)
  )

  /** Read on the hot path; {@link state} says the same. */
  get raised(): boolean {
    return this.#raised
  }

  /** How often the flag has been raised. */
  get times(): number {
    return this.#times
  }

  /** Milliseconds of monotonic time, in total, for which the flag has been raised. */
  get millis(): number {
    return this.#raised ? this.#millis + this.#now() - this.#since : this.#millis
  }

  raise(): void {
    if (this.#raised) return
    this.#raised = true
    this.#since = this.#now()
    this.#times++
    this.#publish(CongestionState.Congested({ since: this.#since }))
  }

  lower(): void {
    if (!this.#raised) return
    this.#millis = this.millis
    this.#raised = false
    this.#publish(CongestionState.Clear())
  }

  #publish(next: CongestionState): void {
    this.state.value = next
    PubSub.publishUnsafe(this.state.pubsub, next)
  }
}
