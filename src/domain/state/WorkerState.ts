/**
 * The states of an app worker over all its starts, as a table. Congested is not a state, but a flag in addition to
 * them.
 *
 * | state | meaning |
 * |---|---|
 * | `STARTING` | its stack is being built, its application is not ready yet |
 * | `RUNNING` | it takes sessions |
 * | `DRAINING` | it finishes what it has and takes nothing new; then it stops, or starts again |
 * | `CRASHED` | it went away by itself, or could not start; it is being taken apart |
 * | `UNRESPONSIVE` | it was congested for too long and has been given up; it is being taken apart |
 * | `BACKOFF` | it waits for its next start |
 * | `STOPPED` | it is not started again |
 *
 * | event | meaning |
 * |---|---|
 * | `ready` | its application says that it serves |
 * | `drain` | it is told to finish, or to stop |
 * | `crash`, `hang` | it is gone, or can be counted as gone |
 * | `backOff`, `start`, `stop` | what its supervisor does next |
 *
 * A worker that is gone stays gone, whatever is still reported of it. Any other event that a state does not list can't
 * happen in it, and is a defect.
 */
import { StateMachine } from "./StateMachine.ts"

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

export type WorkerEvent = "ready" | "drain" | "crash" | "hang" | "backOff" | "start" | "stop"

export const machine = new StateMachine<WorkerState, WorkerEvent>("worker", "STARTING", {
  STARTING: { ready: "RUNNING", drain: "DRAINING", crash: "CRASHED", hang: "UNRESPONSIVE" },
  RUNNING: { drain: "DRAINING", crash: "CRASHED", hang: "UNRESPONSIVE" },
  DRAINING: {
    ready: "DRAINING",
    drain: "DRAINING",
    start: "STARTING",
    stop: "STOPPED",
    crash: "CRASHED",
    hang: "UNRESPONSIVE"
  },
  CRASHED: {
    ready: "CRASHED",
    drain: "CRASHED",
    crash: "CRASHED",
    hang: "CRASHED",
    backOff: "BACKOFF",
    // it was told to restart at just this moment
    start: "STARTING",
    stop: "STOPPED"
  },
  UNRESPONSIVE: {
    ready: "UNRESPONSIVE",
    drain: "UNRESPONSIVE",
    crash: "UNRESPONSIVE",
    hang: "UNRESPONSIVE",
    backOff: "BACKOFF",
    start: "STARTING",
    stop: "STOPPED"
  },
  BACKOFF: { start: "STARTING", stop: "STOPPED" },
  STOPPED: {}
})

export const next = (state: WorkerState, event: WorkerEvent): WorkerState => machine.next(state, event)

/** Whether a worker may be given sessions, as far as its state is concerned. */
export const takesSessions = (state: WorkerState): boolean => state === "RUNNING"

/** Whether a worker in this state will be there again: its place among a listener's workers is kept. */
export const comesBack = (state: WorkerState): boolean =>
  state === "CRASHED" || state === "UNRESPONSIVE" || state === "BACKOFF" || state === "STARTING"
