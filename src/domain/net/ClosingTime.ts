/**
 * How long a connection may take over its end. Each time is settled once, from what is known when the end begins;
 * nothing that the peer does makes it longer.
 *
 * | what | time |
 * |---|---|
 * | what is left is sent | `closeTimeout`, and a second more for each 16 KiB |
 * | the peer is listened to, once all is sent | 1 s, and a second more for each 16 KiB that it may not have yet; 30 s |
 *
 * 16 KiB a second is what a slow line of a telephone carries: a peer behind such a line receives all, and a peer that
 * does not read is not waited for much longer.
 */

/** Bytes that the slowest peer that is waited for takes in a second. */
const LEAST_RATE = 16_384

const LINGER = 1000
const LONGEST_LINGER = 30_000

const timeFor = (bytes: number): number => bytes / LEAST_RATE * 1000

/** Milliseconds for the bytes that are left to be sent. */
export const toSend = (closeTimeout: number, bytes: number): number => Math.ceil(closeTimeout + timeFor(bytes))

/** Milliseconds for which the peer is listened to when everything is sent, `bytes` of it on this connection. */
export const toLinger = (closeTimeout: number, bytes: number): number =>
  Math.ceil(Math.min(LONGEST_LINGER, Math.min(LINGER, closeTimeout) + timeFor(bytes)))
