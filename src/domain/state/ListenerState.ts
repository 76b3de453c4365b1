/**
 * The states of a listener, as a table.
 *
 * | state | meaning |
 * |---|---|
 * | `BINDING` | the transport is asked to listen; whoever else asks for the same endpoint waits for the answer |
 * | `BOUND` | connections arrive |
 * | `CLOSING` | the transport is being closed; established sessions go on (W9) |
 * | `CLOSED` | only what its sessions still count is left of it |
 *
 * | event | when |
 * |---|---|
 * | `bind` | the transport listens, or the listener has been entered in the local table |
 * | `close` | its last worker has left, it was closed for all of them, or it could not be opened |
 * | `closed` | the transport and all that belonged to the listener are gone |
 */
import { StateMachine } from "./StateMachine.ts"

export const listenerStates = ["BINDING", "BOUND", "CLOSING", "CLOSED"] as const
export type ListenerState = typeof listenerStates[number]

export type ListenerEvent = "bind" | "close" | "closed"

export const machine = new StateMachine<ListenerState, ListenerEvent>("listener", "BINDING", {
  BINDING: { bind: "BOUND", close: "CLOSING" },
  BOUND: { close: "CLOSING" },
  CLOSING: { closed: "CLOSED" },
  CLOSED: {}
})

export const next = (state: ListenerState, event: ListenerEvent): ListenerState => machine.next(state, event)
