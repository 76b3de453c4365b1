/**
 * What a peer that speaks HTTP is told when its connection is refused: `503`, why, and when it may try again (X7).
 *
 * The answers are made once for each reason, since most of them are sent while there is no time to lose.
 */
import type * as Ledger from "../state/Ledger.ts"

/** Seconds after which a peer may try again: overload that goes on refuses it again, at little cost. */
export const RETRY_AFTER = 1

/**
 * Why, in a sentence. Other reasons are answered with a reset: whoever is not to connect at all learns nothing, and what
 * did not become a connection hears nothing.
 */
const sentences: Partial<Record<Ledger.RefuseReason, string>> = {
  congested: "every worker is congested",
  "no-worker": "no worker runs",
  "hold-full": "as many connections as allowed wait already",
  "hold-time": "no worker has become free in time",
  "worker-limit": "every worker has as many sessions as it may have",
  "listener-limit": "the listener has as many sessions as it may have",
  "host-limit": "the application has as many sessions as it may have",
  "concurrency-limit": "every worker has as many requests in hand as it may have",
  "no-memory": "there is no memory for another session",
  draining: "the server is shutting down",
  "source-limit": "this address has as many sessions as it may have",
  "source-rate": "this address connects more often than it may"
}

const made = new Map<Ledger.RefuseReason, Uint8Array>()

const make = (reason: Ledger.RefuseReason, sentence: string): Uint8Array => {
  const body = `The connection is refused: ${sentence} (${reason}).\n`
  const head = [
    "HTTP/1.1 503 Service Unavailable",
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${body.length}`,
    `Retry-After: ${RETRY_AFTER}`,
    "Cache-Control: no-store",
    "Connection: close"
  ]
  return new TextEncoder().encode([...head, "", body].join("\r\n"))
}

/** The answer; `undefined` where there is none. */
export const answer = (reason: Ledger.RefuseReason): Uint8Array | undefined => {
  const known = made.get(reason)
  const sentence = sentences[reason]
  if (known !== undefined || sentence === undefined) return known
  const answer = make(reason, sentence)
  made.set(reason, answer)
  return answer
}

const END = Buffer.from("\r\n\r\n").readUInt32BE()

const HEAD = new TextEncoder().encode("HEAD ")

/**
 * As much of an answer as a peer gets whose first bytes are these, `length` of them: a body behind `HEAD` is a fault for
 * some clients.
 */
export const answerTo = (answer: Uint8Array, bytes: Uint8Array, length: number): Uint8Array =>
  length >= HEAD.length && HEAD.every((byte, at) => byte === bytes[at])
    ? answer.subarray(0, Buffer.from(answer.buffer, answer.byteOffset, answer.length).indexOf("\r\n\r\n") + 4)
    : answer

const NAMES_BODY = /\n(?:content-length|transfer-encoding)[ \t]*:/i

/**
 * Whether a peer whose first bytes are these, `length` of them, has nothing more to send: they end with a request's head,
 * and nothing in them says that a body follows.
 */
export const isWhole = (bytes: Buffer, length: number): boolean =>
  length >= 4
  && bytes.readUInt32BE(length - 4) === END
  && !NAMES_BODY.test(bytes.toString("latin1", 0, length))
