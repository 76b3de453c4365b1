/**
 * The states of an app worker, and which may follow which. Congested is no state: it is a flag beside them.
 */

export const workerStates = [
  "STARTING",
  "RUNNING",
  "DRAINING",
  "STOPPED",
  "CRASHED",
  "BACKOFF",
  "UNRESPONSIVE"
] as const
export type WorkerState = typeof workerStates[number]

const next: Readonly<Record<WorkerState, ReadonlyArray<WorkerState>>> = {
  STARTING: ["RUNNING", "DRAINING", "CRASHED", "STOPPED"],
  RUNNING: ["DRAINING", "CRASHED", "UNRESPONSIVE", "STOPPED"],
  DRAINING: ["STARTING", "STOPPED", "CRASHED", "UNRESPONSIVE"],
  CRASHED: ["BACKOFF", "STOPPED"],
  UNRESPONSIVE: ["BACKOFF", "STOPPED"],
  BACKOFF: ["STARTING", "STOPPED"],
  STOPPED: []
}

export const canFollow = (from: WorkerState, to: WorkerState): boolean => next[from].includes(to)

/** Whether a worker in this state may be given sessions, as far as its state goes. */
export const takesSessions = (state: WorkerState): boolean => state === "RUNNING"

/** Whether a worker in this state will be there again: its place among a listener's workers is kept. */
export const comesBack = (state: WorkerState): boolean =>
  state === "CRASHED" || state === "UNRESPONSIVE" || state === "BACKOFF" || state === "STARTING"
