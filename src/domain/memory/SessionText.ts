/**
 * What a worker is told of a session beside its addresses, on its way: JSON, in a block of the host's arena that the
 * message about the session names. The block is freed once the worker has claimed the session, or is done with it.
 */
import type { SessionAbout } from "./SessionAbout.ts"

/** Bytes of a text at most. */
const LONGEST = 16_384

const decoder = new TextDecoder()

/** For the many sessions of which nothing more is known. */
export const nothing: SessionAbout = {}

/** The text of it; `undefined` when there is nothing to say. What would be too long is told without the peer's certificate. */
export const encode = (about: SessionAbout | undefined): Uint8Array | undefined => {
  if (about === undefined) return undefined
  const bytes = Buffer.from(JSON.stringify(about))
  if (bytes.length <= LONGEST || about.tls === undefined) return bytes
  const { peer: _, ...tls } = about.tls
  return Buffer.from(JSON.stringify({ ...about, tls }))
}

/** Reads what the host has written. */
export const decode = (bytes: Uint8Array): SessionAbout =>
  // shared memory can't be decoded in place
  bytes.length === 0 ? nothing : JSON.parse(decoder.decode(new Uint8Array(bytes))) as SessionAbout
