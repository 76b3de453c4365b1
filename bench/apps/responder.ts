/**
 * The smallest HTTP responder: answers each request head with the same 200, after burning a given time of processor,
 * which is a second for `/block`. One function for both sides of a comparison: a session handler and a `net` server call it with the same bytes.
 */
const body = "hello, world\n"
const response = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`
)
const end = Buffer.from("\r\n\r\n")
const blocking = Buffer.from("GET /block ")

/** Microseconds that a blocked event loop does nothing else. */
export const BLOCK_MICROS = 1_000_000

/** The bytes to answer `chunk` with; `carry` keeps how much of a head's end the last chunk held. */
export const respond = (chunk: Uint8Array, burnMicros: number): Uint8Array | undefined => {
  const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  let requests = 0
  for (let at = bytes.indexOf(end); at >= 0; at = bytes.indexOf(end, at + 4)) requests++
  for (let i = 0; i < requests; i++) burn(burnMicros)
  if (bytes.includes(blocking)) burn(BLOCK_MICROS)
  if (requests === 0) return undefined
  return requests === 1 ? response : Buffer.concat(Array.from({ length: requests }, () => response))
}

/** Takes this many microseconds of processor time. */
export const burn = (micros: number): void => {
  if (micros === 0) return
  const until = process.hrtime.bigint() + BigInt(micros * 1000)
  while (process.hrtime.bigint() < until);
}
