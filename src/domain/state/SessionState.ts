/**
 * The states of a session as the host sees them, as a table.
 *
 * | state | meaning |
 * |---|---|
 * | `CREATED` | made, for a connection or a connect; the next state follows in the same call |
 * | `ACCEPTING` | on offer to a worker |
 * | `REVOKED` | its offer was taken back; the worker has not passed it yet |
 * | `READY` | both sides may send |
 * | `MOVED` | the worker had parked it, and its connection has been taken away for another worker |
 * | `TRANSPORT_CLOSING` | the peer has ended its side; the app may still send |
 * | `CLOSING` | the app has given the session up; what it wrote is still going out |
 * | `APP_CLOSED` | the same, and the peer has ended its side too |
 * | `TRANSPORT_CLOSED` | the connection is gone; the app has not given the session up yet |
 * | `CLOSED` | the connection is gone and the app has given the session up; its last message is on the way |
 * | `TRANSPORT_DELETED` | nothing refers to it any longer: fifos and slot are free |
 *
 * | event | from |
 * |---|---|
 * | `offer`, `takeBack`, `claim` | admission |
 * | `refuse` | worker: its application does not want the session that was on offer |
 * | `pass` | worker: it has passed the offer that was taken back, or never will |
 * | `moveOn` | host: the connection goes to another worker, or is closed here without the worker |
 * | `connected` | host: the session of a connect, which needs no offer |
 * | `transportEnd` | transport: the peer's end, after its last byte |
 * | `transportClosed` | transport: the connection is gone, whole or broken |
 * | `appClose` | worker: close or abort |
 * | `release` | worker: it has released the fifos, after the clean-up message has passed its queue |
 * | `gone` | worker: the connection that had moved to it is gone |
 * | `drop` | host: the worker goes away, or can't be told of the session |
 *
 * A connect that is under way is not a session yet: it becomes one when it is connected. An event that may come twice
 * or late leads back to the same state: a worker may close a session more than once, and a connection may report its
 * end when the session is free already. Any other event that a state does not list can't happen in it, and is a defect.
 */
import { StateMachine } from "./StateMachine.ts"

export const sessionStates = [
  "CREATED",
  "ACCEPTING",
  "REVOKED",
  "READY",
  "MOVED",
  "TRANSPORT_CLOSING",
  "CLOSING",
  "APP_CLOSED",
  "TRANSPORT_CLOSED",
  "CLOSED",
  "TRANSPORT_DELETED"
] as const
export type SessionState = typeof sessionStates[number]

export type SessionEvent =
  | "offer"
  | "takeBack"
  | "claim"
  | "refuse"
  | "pass"
  | "moveOn"
  | "connected"
  | "transportEnd"
  | "transportClosed"
  | "appClose"
  | "release"
  | "gone"
  | "drop"

export const machine = new StateMachine<SessionState, SessionEvent>("session", "CREATED", {
  CREATED: { offer: "ACCEPTING", connected: "READY" },
  // a connection that is on offer is not open yet: its transport reports what happens meanwhile after the claim
  ACCEPTING: { claim: "READY", takeBack: "REVOKED", refuse: "TRANSPORT_DELETED" },
  REVOKED: { pass: "TRANSPORT_DELETED" },
  READY: {
    moveOn: "MOVED",
    transportEnd: "TRANSPORT_CLOSING",
    transportClosed: "TRANSPORT_CLOSED",
    appClose: "CLOSING",
    gone: "TRANSPORT_DELETED",
    drop: "TRANSPORT_DELETED"
  },
  MOVED: { release: "TRANSPORT_DELETED", drop: "TRANSPORT_DELETED" },
  TRANSPORT_CLOSING: {
    moveOn: "MOVED",
    transportClosed: "TRANSPORT_CLOSED",
    appClose: "APP_CLOSED",
    drop: "TRANSPORT_DELETED"
  },
  CLOSING: {
    appClose: "CLOSING",
    transportEnd: "APP_CLOSED",
    transportClosed: "CLOSED",
    gone: "TRANSPORT_DELETED",
    drop: "TRANSPORT_DELETED"
  },
  APP_CLOSED: { appClose: "APP_CLOSED", transportClosed: "CLOSED", drop: "TRANSPORT_DELETED" },
  TRANSPORT_CLOSED: { appClose: "CLOSED", release: "TRANSPORT_DELETED", drop: "TRANSPORT_DELETED" },
  CLOSED: { appClose: "CLOSED", release: "TRANSPORT_DELETED", drop: "TRANSPORT_DELETED" },
  TRANSPORT_DELETED: { transportEnd: "TRANSPORT_DELETED", transportClosed: "TRANSPORT_DELETED" }
})

export const next = (state: SessionState, event: SessionEvent): SessionState => machine.next(state, event)

/** The states in which a session is reported: `show` and its filters know these. */
export const shownStates = [
  "ACCEPTING",
  "READY",
  "TRANSPORT_CLOSING",
  "CLOSING",
  "APP_CLOSED",
  "TRANSPORT_CLOSED",
  "CLOSED"
] as const satisfies ReadonlyArray<SessionState>
export type ShownState = typeof shownStates[number]

/** Whether a session in this state is reported: it is more than just made, not taken from its worker, not free. */
export const isShown = (state: SessionState): state is ShownState =>
  state !== "CREATED" && state !== "REVOKED" && state !== "MOVED" && state !== "TRANSPORT_DELETED"

/** Whether a session in this state belongs to its worker: it was claimed or connected, and is not free yet. */
export const isOpen = (state: SessionState): boolean => isShown(state) && state !== "ACCEPTING"

/** Whether a session in this state goes to another worker when its own has parked it: nobody has given it up. */
export const canMove = (state: SessionState): boolean => machine.allows(state, "moveOn")
