/**
 * How datagrams lie in a fifo: four bytes with the length, the least significant first, and then the datagram's bytes.
 */

/** Bytes before each datagram. */
export const HEADER = 4

/** The most bytes that a UDP datagram may have: what IPv4 has room for besides its own header and UDP's. */
export const LARGEST_UDP = 65507

/**
 * Writes a length into the first bytes of `header`.
 */
export const writeLength = (header: Uint8Array, length: number): Uint8Array => {
  header[0] = length
  header[1] = length >>> 8
  header[2] = length >>> 16
  header[3] = length >>> 24
  return header
}

/**
 * Lays datagrams one after the other, as {@link split} finds them.
 */
export const join = (datagrams: ReadonlyArray<Uint8Array>): Uint8Array => {
  const bytes = new Uint8Array(datagrams.reduce((sum, { length }) => sum + HEADER + length, 0))
  let at = 0
  for (const datagram of datagrams) {
    writeLength(bytes.subarray(at, at + HEADER), datagram.length)
    bytes.set(datagram, at + HEADER)
    at += HEADER + datagram.length
  }
  return bytes
}

/**
 * The datagrams that lie in `bytes`, one after the other; what is not a whole one is left out.
 */
export const split = (bytes: Uint8Array): Array<Uint8Array> => {
  const datagrams: Array<Uint8Array> = []
  for (let at = 0; at + HEADER <= bytes.length;) {
    const end = at + HEADER + readLength(bytes.subarray(at, at + HEADER))
    if (end > bytes.length) break
    datagrams.push(bytes.subarray(at + HEADER, end))
    at = end
  }
  return datagrams
}

/**
 * Reads the length in the first bytes of `header`.
 */
export const readLength = (header: Uint8Array): number =>
  (header[0]! | header[1]! << 8 | header[2]! << 16 | header[3]! << 24) >>> 0
