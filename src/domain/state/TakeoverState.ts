/**
 * The states of a takeover (X4), as two tables: one for the host that goes, its predecessor, and one for the host that
 * comes, its successor.
 *
 * ```
 * predecessor  STARTING ─ ready ─ HANDING ─ serving ─ SETTLING ─ settled ─ DRAINING ─ drained ─ ENDED
 * successor    STARTING ── up ─── READY ─── serve ─── SERVING ── settle ── SETTLED
 * ```
 *
 * | predecessor | meaning |
 * |---|---|
 * | `STARTING` | the successor's process is there, its workers start; it accepts nothing |
 * | `HANDING` | it has been given the rules and the counters, and is to serve the listeners |
 * | `SETTLING` | it serves them, and has been told to be the host |
 * | `DRAINING` | it is the host; what waits here and what is parked goes over, one by one, and the rest finishes |
 * | `ALONE` | the same, but the successor is gone, and nothing goes over |
 * | `ABANDONED` | the successor has failed and is being ended; this host goes on as if there had been none |
 * | `ENDED` | it is over: nothing is left here, or the successor that failed is gone |
 *
 * Up to `SETTLING` this host accepts, and has all that it had: whatever happens to the successor changes nothing. No
 * connection goes over before.
 *
 * | successor | meaning |
 * |---|---|
 * | `STARTING` | its workers start |
 * | `ORPHANED` | the same, and the predecessor is gone |
 * | `READY` | its workers run; it accepts nothing |
 * | `SERVING` | it accepts |
 * | `SETTLED` | it is the host, and takes what the predecessor sends, which drains |
 * | `ALONE` | it is the host, and there is no predecessor |
 *
 * `lost`: the other one is gone, says what it must not say, or says nothing in time. `gone`: its process has ended.
 */
import { StateMachine } from "./StateMachine.ts"

export const predecessorStates = [
  "STARTING",
  "HANDING",
  "SETTLING",
  "DRAINING",
  "ALONE",
  "ABANDONED",
  "ENDED"
] as const
export type PredecessorState = typeof predecessorStates[number]

export type PredecessorEvent = "ready" | "serving" | "settled" | "drained" | "lost" | "gone"

export const predecessor = new StateMachine<PredecessorState, PredecessorEvent>("predecessor", "STARTING", {
  STARTING: { ready: "HANDING", lost: "ABANDONED" },
  HANDING: { serving: "SETTLING", lost: "ABANDONED" },
  SETTLING: { settled: "DRAINING", lost: "ABANDONED" },
  DRAINING: { drained: "ENDED", lost: "ALONE" },
  ALONE: { drained: "ENDED" },
  ABANDONED: { gone: "ENDED" },
  ENDED: {}
})

/** Whether the successor is the host. */
export const hasSettled = (state: PredecessorState): boolean => state === "DRAINING" || state === "ALONE"

export const successorStates = ["STARTING", "ORPHANED", "READY", "SERVING", "SETTLED", "ALONE"] as const
export type SuccessorState = typeof successorStates[number]

export type SuccessorEvent = "up" | "serve" | "settle" | "lost"

export const successor = new StateMachine<SuccessorState, SuccessorEvent>("successor", "STARTING", {
  STARTING: { up: "READY", lost: "ORPHANED" },
  ORPHANED: { up: "ALONE" },
  READY: { serve: "SERVING", lost: "ALONE" },
  SERVING: { settle: "SETTLED", lost: "ALONE" },
  SETTLED: { lost: "ALONE" },
  ALONE: {}
})
