/**
 * Segments: the stretches of memory that a worker shares with the host, and sets of segments to allocate blocks from.
 *
 * **Layout**
 *
 * | bytes | what |
 * |---|---|
 * | first segment only: 0 … | queue to the worker, then queue to the host, each from a cache line on |
 * | … | a cache line for what the host tells the worker of memory: word 0, `LENDABLE`, the KiB of segments that may still be added for fifos |
 * | … `hostBytes` | the host's arena: session blocks and rx fifo blocks |
 * | `hostBytes` … | the worker's arena: tx fifo blocks |
 *
 * Either arena may be empty: a segment that is added belongs to the side that ran out.
 */
import { Arena } from "./Arena.ts"
import { type BlockPlace, type Blocks, FifoCorrupt } from "./Fifo.ts"
import * as QueueMemory from "./QueueMemory.ts"

const LINE = 64

export interface Segment {
  /** Number of the segment among its worker's segments; see {@link nextIndex}. */
  readonly index: number
  readonly buffer: ArrayBufferLike
  readonly bytes: Uint8Array
  readonly words: Int32Array
  /** Where the worker's arena begins. */
  readonly hostBytes: number
}

export const make = (index: number, buffer: ArrayBufferLike, hostBytes: number): Segment => ({
  index,
  buffer,
  bytes: new Uint8Array(buffer),
  words: new Int32Array(buffer),
  hostBytes
})

/** The largest index that fits into a word of a fifo. */
const MAX_INDEX = 2 ** 31 - 1

/**
 * The index for the segment after the one with index `last`. Indexes go up, and begin again after 2^31 - 1: those of
 * segments that are still there are passed over.
 */
export const nextIndex = (last: number, isTaken: (index: number) => boolean): number => {
  let index = last
  do index = index === MAX_INDEX ? 0 : index + 1
  while (isTaken(index))
  return index
}

/** Where the queues of a first segment are. */
export interface Queues {
  readonly toWorker: QueueMemory.QueueMemory
  readonly toHost: QueueMemory.QueueMemory
  /** Index of the word `LENDABLE`. */
  readonly lendable: number
  /** Bytes that all of it takes. */
  readonly bytes: number
}

const lines = (bytes: number): number => Math.ceil(bytes / LINE) * LINE

export const queues = (buffer: ArrayBufferLike, geometry: QueueMemory.Geometry): Queues => {
  const one = lines(QueueMemory.byteLength(geometry))
  return {
    toWorker: { buffer, byteOffset: 0 },
    toHost: { buffer, byteOffset: one },
    lendable: one / 2,
    bytes: 2 * one + LINE
  }
}

/** The host says how many bytes of segments may still be added for fifos. */
export const setLendable = (first: Segment, { lendable }: Queues, bytes: number): void =>
  void Atomics.store(first.words, lendable, Math.floor(bytes / 1024))

/**
 * What the host said with {@link setLendable}, rounded down to a KiB. Throws `FifoCorrupt` when it is less than nothing,
 * or more than `limit`, the bytes that all segments together may have.
 */
export const lendable = (first: Segment, { lendable: word }: Queues, limit: number): number => {
  const bytes = 1024 * Atomics.load(first.words, word)
  if (bytes < 0 || bytes > limit) throw new FifoCorrupt(`${bytes} bytes are said to be lendable, of ${limit} in all`)
  return bytes
}

/** Where the worker's arena begins in a first segment: what the queues leave is shared half and half. */
export const firstHostBytes = (bytes: number, queueBytes: number): number =>
  queueBytes + lines(Math.floor((bytes - queueBytes) / 2))

/** The host's arena of a segment; `from` is where the queues end. */
export const hostArena = (segment: Segment, from = 0): Arena => new Arena(from, segment.hostBytes - from)

/** The worker's arena of a segment. */
export const workerArena = (segment: Segment): Arena =>
  new Arena(segment.hostBytes, segment.buffer.byteLength - segment.hostBytes)

/**
 * One side's arenas in some segments of a worker: allocates from the segment that has the most room.
 *
 * **Details** `view` resolves any segment of the worker, since each side reads what the other one allocates.
 */
export class Arenas implements Blocks {
  readonly #arenas = new Map<number, Arena>()
  readonly view: (segment: number) => Uint8Array
  #capacity = 0
  #used = 0
  /** The least that there was no room for since room last came: sessions that wait for memory ask again and again. */
  #refused = Infinity

  constructor(view: (segment: number) => Uint8Array) {
    this.view = view
  }

  /** Bytes of all arenas. */
  get capacity(): number {
    return this.#capacity
  }

  /** Bytes in allocated blocks. */
  get used(): number {
    return this.#used
  }

  /** Bytes outside of them. */
  get room(): number {
    return this.#capacity - this.#used
  }

  get segments(): number {
    return this.#arenas.size
  }

  add(segment: number, arena: Arena): void {
    this.#arenas.set(segment, arena)
    this.#capacity += arena.capacity
    this.#refused = Infinity
  }

  /** Takes an arena out; its blocks must have been freed. */
  remove(segment: number): void {
    const arena = this.#arenas.get(segment)
    if (arena === undefined) return
    this.#arenas.delete(segment)
    this.#capacity -= arena.capacity
  }

  /** The arena of a segment. */
  arena(segment: number): Arena | undefined {
    return this.#arenas.get(segment)
  }

  /** Whether nothing is allocated in the segment's arena. */
  isEmpty(segment: number): boolean {
    return this.#arenas.get(segment)?.used === 0
  }

  allocate(bytes: number): BlockPlace | undefined {
    if (bytes >= this.#refused) return undefined
    const place = this.#take(bytes)
    if (place === undefined) this.#refused = bytes
    else this.#used += Arena.rounded(bytes)
    return place
  }

  #take(bytes: number): BlockPlace | undefined {
    let best: Arena | undefined
    let index = -1
    for (const [segment, arena] of this.#arenas) {
      if (best === undefined || arena.capacity - arena.used > best.capacity - best.used) {
        best = arena
        index = segment
      }
    }
    // where not even this one has room, none has, and small memory must not cost much time
    if (best === undefined || best.capacity - best.used < bytes) return undefined
    let offset = best.allocate(bytes)
    if (offset < 0) {
      // the room in one segment may be in pieces; another segment may have it in one piece
      for (const [segment, arena] of this.#arenas) {
        if (offset >= 0) break
        index = segment
        offset = arena.allocate(bytes)
      }
      if (offset < 0) return undefined
    }
    return { segment: index, offset }
  }

  free(place: BlockPlace): void {
    const arena = this.#arenas.get(place.segment)
    if (arena === undefined) throw new Error(`no arena in segment ${place.segment}`)
    const before = arena.used
    arena.free(place.offset)
    this.#used -= before - arena.used
    this.#refused = Infinity
  }
}
