/**
 * How long things take, and how many bytes go, for the sessions of a worker and for those of a listener.
 *
 * A session counts where it came from and where it went: what is added up over all listeners, and over all workers, differs
 * only by the sessions of connects, which have no listener. Each is counted when it is over, so a worker that claims nothing
 * adds nothing: `behind`, `held` and `postponed.now` tell of what is not over.
 *
 * Where the host does not see the bytes (cut-through, and placement `transfer`), neither bytes nor answers are counted.
 */
import { Histogram } from "./Histogram.ts"

/** What is counted of sessions. All times in milliseconds. */
export class SessionSums {
  /** From when an offer was made until the host had read that it was claimed. */
  readonly claim = new Histogram()
  /** From the claim until the first byte from the application was on its way to the peer. */
  readonly answer = new Histogram()
  /** From the claim until the session was over, or had moved on. */
  readonly length = new Histogram()
  /** Bytes from the peers, and to them. */
  bytesIn = 0
  bytesOut = 0
}

/** Of one worker, over all its starts. */
export class WorkerTimes extends SessionSums {
  /** How long messages were postponed that had to be. */
  readonly postponed = new Histogram()
}

/** Of one listener. */
export class ListenerTimes extends SessionSums {
  /** How long connections waited for a worker, whatever became of them then; each time that they had to wait. */
  readonly hold = new Histogram()
}
