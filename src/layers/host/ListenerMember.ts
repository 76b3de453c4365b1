/**
 * A worker as the admission of a listener sees it: its present state.
 */
import type { Lag } from "../../domain/admission/Lag.ts"
import type { Member } from "../../domain/admission/Seats.ts"
import type { Sojourn } from "../../domain/admission/Sojourn.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import type { WorkerTimes } from "../../domain/state/Times.ts"
import * as WorkerState from "../../domain/state/WorkerState.ts"
import type { LiveWorker } from "./Worker.ts"

/** One start of a worker, as a member of a listener. */
export class ListenerMember implements Member {
  readonly worker: LiveWorker
  /** Whether the worker says that the listener's peers speak HTTP/1. */
  readonly speaksHttp: boolean
  open = 0
  readonly #user: string

  /** `user`: the listener, as a user of the worker's segment managers. */
  constructor(worker: LiveWorker, speaksHttp: boolean, user: string) {
    this.worker = worker
    this.speaksHttp = speaksHttp
    this.#user = user
  }

  get number(): number {
    return this.worker.slot.mapIndex
  }
  get running(): boolean {
    const { slot } = this.worker
    return slot.live === this.worker && WorkerState.takesSessions(slot.state)
  }
  get congested(): boolean {
    return this.worker.congestion.congested()
  }
  get sessions(): number {
    return this.worker.sessions.size
  }
  get growing(): boolean {
    return this.worker.segments.acquire(this.#user).growing
  }
  get spare(): number {
    return this.worker.concurrency?.spare ?? Infinity
  }
  get lag(): Lag {
    return this.worker.lag
  }
  get sojourn(): Sojourn {
    return this.worker.sojourn
  }
  get offers(): Ledger.OfferLedger {
    return this.worker.slot.offers
  }
  get times(): WorkerTimes {
    return this.worker.slot.times
  }
}
