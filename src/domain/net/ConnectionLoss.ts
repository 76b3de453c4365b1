/**
 * Why an established connection is gone, in a sentence.
 */
import type { EndReason } from "../state/Ledger.ts"
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

/** It was ended here, and why. */
export const ended: Readonly<Record<EndReason, string>> = {
  idle: "the connection was idle for too long",
  stalled: "the peer did not take what was sent to it",
  late: "the peer did not take what was left in time",
  stuck: "its worker was stuck and has been replaced"
}

/** The sentence for a socket that has closed: why it was ended here, if it was, or else its error, if it had one. */
export const sentence = (error: Error | undefined, end?: EndReason): string => {
  if (end !== undefined) return ended[end]
  if (error === undefined) return GIVEN_UP
  const kind = SystemError.kindOf(error)
  return (kind === undefined ? undefined : sentences[kind]) ?? error.message
}
