/**
 * The states of a session as the host sees them, as a table.
 *
 * | state | meaning |
 * |---|---|
 * | `CREATED` | a connection that no worker has been asked to take: new, held, or its offer revoked |
 * | `CONNECTING` | an outgoing connection that is not there yet |
 * | `ACCEPTING` | on offer to a worker |
 * | `READY` | both sides may send |
 * | `TRANSPORT_CLOSING` | the peer has ended its side; the app may still send |
 * | `CLOSING` | the app has given the session up; what it wrote is still going out |
 * | `APP_CLOSED` | the same, and the peer has ended its side too |
 * | `TRANSPORT_CLOSED` | the connection is gone; the app has not let go of the session yet |
 * | `CLOSED` | the connection is gone and the app has given the session up; its last message is on the way |
 * | `TRANSPORT_DELETED` | nothing refers to it any more: fifos and slot are free |
 *
 * | event | from |
 * |---|---|
 * | `offer`, `revoke`, `claim` | admission |
 * | `connected` | transport: an outgoing connection is there |
 * | `transportEnd` | transport: the peer's end, after its last byte |
 * | `transportClosed` | transport: the connection is gone, whole or broken |
 * | `appClose` | worker: close or abort |
 * | `released` | worker: it has let go of the fifos, after the clean-up message has passed its queue |
 *
 * An event that a state does not list changes nothing: `next` returns the state itself for one that may come twice or
 * late (`appClose` is idempotent), and `undefined` for one that can't happen there.
 */

export const sessionStates = [
  "CREATED",
  "CONNECTING",
  "ACCEPTING",
  "READY",
  "TRANSPORT_CLOSING",
  "CLOSING",
  "APP_CLOSED",
  "TRANSPORT_CLOSED",
  "CLOSED",
  "TRANSPORT_DELETED"
] as const
export type SessionState = typeof sessionStates[number]

export const sessionEvents = [
  "offer",
  "revoke",
  "claim",
  "connected",
  "transportEnd",
  "transportClosed",
  "appClose",
  "released"
] as const
export type SessionEvent = typeof sessionEvents[number]

const table: Readonly<Record<SessionState, Partial<Readonly<Record<SessionEvent, SessionState>>>>> = {
  CREATED: { offer: "ACCEPTING", transportClosed: "TRANSPORT_DELETED" },
  CONNECTING: { connected: "READY", transportClosed: "TRANSPORT_DELETED" },
  // what the transport does meanwhile is remembered, and the app is told after its claim
  ACCEPTING: { claim: "READY", revoke: "CREATED", transportEnd: "ACCEPTING", transportClosed: "ACCEPTING" },
  READY: { transportEnd: "TRANSPORT_CLOSING", transportClosed: "TRANSPORT_CLOSED", appClose: "CLOSING" },
  TRANSPORT_CLOSING: { transportClosed: "TRANSPORT_CLOSED", appClose: "APP_CLOSED" },
  CLOSING: { appClose: "CLOSING", transportEnd: "APP_CLOSED", transportClosed: "CLOSED" },
  APP_CLOSED: { appClose: "APP_CLOSED", transportClosed: "CLOSED" },
  TRANSPORT_CLOSED: { appClose: "CLOSED", released: "TRANSPORT_DELETED" },
  CLOSED: { appClose: "CLOSED", released: "TRANSPORT_DELETED" },
  TRANSPORT_DELETED: {}
}

export const next = (state: SessionState, event: SessionEvent): SessionState | undefined => table[state][event]
