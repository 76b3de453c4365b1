/**
 * What is known of a session, on its way to a worker: JSON, in a block of the host's arena that the message about the
 * session names. The block is freed once the worker has claimed the session, or is done with it.
 *
 * Both ends are of one release, and only the host writes there. So a worker makes sure that it reads an object, and no
 * more: the schema of {@link SessionAbout} would take each of its starts longer to load than everything else.
 */
import * as Predicate from "effect/Predicate"
import { FifoCorrupt, type View } from "./Fifo.ts"
import type { SessionAbout } from "./SessionAbout.ts"

type Tls = NonNullable<SessionAbout["tls"]>

/** The most bytes that it may take on its way. */
const LONGEST = 16_384

const decoder = new TextDecoder()

/** For the many sessions about which nothing else is known. */
export const nothing: SessionAbout = {}

/** The same, with one certificate less, or without what is known of the peer. */
const shorter = ({ peer, ...tls }: Tls): Tls => {
  if (peer?.chain === undefined) return tls
  const { chain, ...rest } = peer
  return { ...tls, peer: chain.length > 1 ? { ...rest, chain: chain.slice(0, -1) } : rest }
}

/** `undefined` when there is nothing to say. What would be too long leaves out certificates, then the peer's names. */
export const encode = (about: SessionAbout | undefined): Uint8Array | undefined => {
  if (about === undefined) return undefined
  const bytes = Buffer.from(JSON.stringify(about))
  return bytes.length > LONGEST && about.tls?.peer !== undefined ? encode({ ...about, tls: shorter(about.tls) }) : bytes
}

/** Bytes before the text where a state follows it: the length of the text, the less significant byte first. */
const STATE_HEADER = 2

/** The text, which may be absent, and behind it what an application has given along with the session. */
export const withState = (text: Uint8Array | undefined, state: Uint8Array): Uint8Array => {
  const length = text?.length ?? 0
  const bytes = new Uint8Array(STATE_HEADER + length + state.length)
  bytes[0] = length
  bytes[1] = length >>> 8
  if (text !== undefined) bytes.set(text, STATE_HEADER)
  bytes.set(state, STATE_HEADER + length)
  return bytes
}

const parsed = (text: string): SessionAbout | undefined => {
  try {
    const about: unknown = JSON.parse(text)
    return Predicate.isObject(about) ? about : undefined
  } catch {
    return undefined
  }
}

/** Reads what the host has written; throws {@link FifoCorrupt} when it is no text of that kind. */
export const decode = (bytes: Uint8Array): SessionAbout => {
  if (bytes.length === 0) return nothing
  // shared memory can't be decoded in place
  const about = parsed(decoder.decode(new Uint8Array(bytes)))
  if (about === undefined) throw new FifoCorrupt("what is known of a session can't be read")
  return about
}

/** The same, from the place that the message of the session names; `hasState`: as {@link withState} has made it. */
export const read = (view: View, segment: number, offset: number, bytes: number, hasState: boolean): SessionAbout => {
  if (bytes === 0) return nothing
  const memory = view(segment)
  if (memory === undefined || offset + bytes > memory.length) {
    throw new FifoCorrupt("what is known of a session is said to be where there is no memory")
  }
  const all = memory.subarray(offset, offset + bytes)
  if (!hasState) return decode(all)
  const at = STATE_HEADER + (all[0]! | all[1]! << 8)
  return { ...decode(all.subarray(STATE_HEADER, at)), state: new Uint8Array(all.subarray(at)) }
}
