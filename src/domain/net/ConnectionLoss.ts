/**
 * Why an established connection is gone, in a sentence.
 */
import * as SystemError from "./SystemError.ts"

const sentences: Partial<Record<SystemError.SystemErrorKind, string>> = {
  Reset: "the peer reset the connection",
  PeerClosed: "the peer closed the connection",
  TimedOut: "the peer stopped answering",
  ConnectionRefused: "nobody listens there",
  Unreachable: "there is no route to that host"
}

/** The connection ended without an error, but not in an orderly way. */
export const GIVEN_UP = "the connection was given up"

/** The connection was to end in order, and what was left was not taken in the time that it had. */
export const LATE = "the peer did not take what was left in time"

/** No byte went in either direction for the time that the listener allows. */
export const IDLE = "the connection was idle for too long"

/** The sentence for the error of a socket that has closed, or for a close without an error. */
export const sentence = (error: Error | undefined): string => {
  if (error === undefined) return GIVEN_UP
  const kind = SystemError.kindOf(error)
  return (kind === undefined ? undefined : sentences[kind]) ?? error.message
}
