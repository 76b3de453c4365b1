/**
 * Memory for what sessions that were given up still have to send.
 *
 * Whoever gives a session up may use the memory of what it wrote again at once, so what does not fit the fifo is copied.
 * A peer that does not read keeps that copy for as long as it may take (`ClosingTime`), and there may be many such
 * peers. So all sessions of a thread together keep up to {@link BOUND} bytes; of a session whose rest no longer fits, the
 * peer gets what is in the fifo, and then the end. A socket of the system's that is destroyed keeps no more than that.
 */

/** The most bytes that the sessions of a thread keep. */
export const BOUND = 64 * 1024 ** 2

let kept = 0

/** One copy of all parts, which is to be given back; `undefined` when there is no memory for it. */
export const copy = (parts: ReadonlyArray<Uint8Array>): Uint8Array | undefined => {
  let length = 0
  for (const part of parts) length += part.length
  if (length > BOUND - kept) return undefined
  kept += length
  return Buffer.concat(parts, length)
}

/** Gives a copy back. */
export const free = ({ length }: Uint8Array): void => {
  kept -= length
}
