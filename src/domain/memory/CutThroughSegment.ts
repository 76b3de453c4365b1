/**
 * The segment of a cut-through session: its block and two rings, shared by the workers at its two ends (W16).
 *
 * **Layout**
 *
 * | bytes | what |
 * |---|---|
 * | 0–255 | the session block; the client takes the place that the host has in a session of a connection |
 * | 256 … | the ring from the client to the server, a power of two, up to the end of its last cache line |
 * | … | the ring from the server to the client, a power of two |
 *
 * Rings are whole from the start and stay so: memory that nobody has written to costs nothing yet, and the segment goes
 * with its session.
 */
import * as Fifo from "./Fifo.ts"
import { FifoConsumer } from "./FifoConsumer.ts"
import { FifoProducer } from "./FifoProducer.ts"
import type { Segment } from "./Segment.ts"
import * as SessionBlock from "./SessionBlock.ts"

/** Bytes of the two rings, each a power of two. */
export interface Sizes {
  readonly toServer: number
  readonly toClient: number
}

export const byteLength = ({ toClient, toServer }: Sizes): number =>
  SessionBlock.SESSION_BLOCK_BYTES + lines(toServer) + toClient

const lines = (bytes: number): number => Math.ceil(bytes / Fifo.BLOCK_ALIGNMENT) * Fifo.BLOCK_ALIGNMENT

/** A ring: throws `Fifo.Corrupt` when the segment can't hold the rings. */
const ring = (segment: Segment, to: SessionBlock.Side, sizes: Sizes): Fifo.Block => {
  if (byteLength(sizes) > segment.bytes.length) {
    throw new Fifo.FifoCorrupt("a cut-through segment is too small for its rings")
  }
  const offset = SessionBlock.SESSION_BLOCK_BYTES + (to === "server" ? 0 : lines(sizes.toServer))
  return Fifo.block(segment.index, segment.bytes, offset, to === "server" ? sizes.toServer : sizes.toClient)
}

/** The fifo that the side reads from, and that begins at the position `start`, or where its words say. */
export const rx = (
  segment: Segment,
  side: SessionBlock.Side,
  { toClient, toServer }: Sizes,
  start?: number
): FifoConsumer =>
  side === "server"
    ? new FifoConsumer({ ...SessionBlock.rx(segment, 0), start }, toServer, () => segment.bytes)
    : new FifoConsumer({ ...SessionBlock.tx(segment, 0), start }, toClient, () => segment.bytes)

/** The fifo that the side writes to, likewise; made once. */
export const tx = (segment: Segment, side: SessionBlock.Side, sizes: Sizes, start?: number): FifoProducer =>
  side === "server"
    ? new FifoProducer({ ...SessionBlock.tx(segment, 0), start }, sizes.toClient, ring(segment, "client", sizes))
    : new FifoProducer({ ...SessionBlock.rx(segment, 0), start }, sizes.toServer, ring(segment, "server", sizes))
