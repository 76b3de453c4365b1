/** An endless run of bytes in which every stretch is known by its position. */
const PERIOD = 1_000_003

const table = new Uint8Array(2 * PERIOD)
for (let i = 0; i < table.length; i++) table[i] = Math.imul((i % PERIOD) + 1, 0x9e3779b1) >>> 24

/** Bytes `from` to `from + length - 1`; at most a million. */
export const at = (from: number, length: number): Uint8Array => {
  const start = from % PERIOD
  return table.subarray(start, start + length)
}

/** Whether `bytes` are the pattern's from `from` on. */
export const isAt = (bytes: Uint8Array, from: number): boolean => Buffer.compare(bytes, at(from, bytes.length)) === 0
