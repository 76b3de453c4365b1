/**
 * The segments of a worker, and the memory in them that it lends to tx fifos, by the rule of `Lending`.
 *
 * When that memory runs out, the worker asks for a segment, and does not ask again until it is answered or
 * {@link WorkerMemory.trim} is called. A session that is lent nothing goes on in the ring that it has of its own; only a
 * message that must be written whole may have to wait for memory. When memory has come free, or a segment has come, the
 * sessions that wait look again. An added segment goes back once nothing in it is in use.
 */
import * as Fifo from "../../domain/memory/Fifo.ts"
import { lends } from "../../domain/memory/Lending.ts"
import * as Segment from "../../domain/memory/Segment.ts"
import type { FifoMemory, FifoSession } from "./FifoSession.ts"
import type { Outbox } from "./Outbox.ts"
import type { WorkerPlace, WorkerStart } from "./WorkerPlace.ts"
import type { Guard } from "./WorkerSession.ts"

const writable = (session: FifoSession): void => session.onWritable()
const check = (session: FifoSession): void => session.check()

export class WorkerMemory implements FifoMemory {
  readonly rxFifoSize: number
  readonly txFifoSize: number
  readonly #receive: WorkerPlace["receive"]
  readonly #outbox: Outbox
  readonly #guard: Guard
  readonly corrupt: (error: Fifo.FifoCorrupt) => void
  readonly #first: Segment.Segment
  readonly #queues: Segment.Queues
  /** Bytes that all segments together may have. */
  readonly #limit: number
  readonly #segments = new Map<number, Segment.Segment>()
  readonly #arenas: Segment.Arenas
  /** Segments with an arena of this worker that can go back. */
  readonly #added = new Set<number>()
  /** Sessions that hold tx memory, and those that wait for some. */
  readonly #hot = new Set<FifoSession>()
  readonly #starved = new Set<FifoSession>()
  #asked = false
  #feeding = false

  constructor(
    { buffer, geometry, hostBytes, memoryLimit, rxFifoSize, txFifoSize }: WorkerStart,
    receive: WorkerPlace["receive"],
    outbox: Outbox,
    guard: Guard,
    corrupt: (error: Fifo.FifoCorrupt) => void
  ) {
    this.rxFifoSize = rxFifoSize
    this.txFifoSize = txFifoSize
    this.#receive = receive
    this.#outbox = outbox
    this.#guard = guard
    this.corrupt = corrupt
    const first = this.#first = Segment.make(0, buffer, hostBytes)
    this.#queues = Segment.queues(buffer, geometry)
    this.#limit = memoryLimit
    this.#segments.set(0, first)
    this.#arenas = new Segment.Arenas((index) => this.#segments.get(index)!.bytes)
    this.#arenas.add(0, Segment.workerArena(first))
  }

  segment(index: number): Segment.Segment | undefined {
    return this.#segments.get(index)
  }

  readonly view = (index: number): Uint8Array | undefined => this.#segments.get(index)?.bytes

  readonly blocks: Fifo.Blocks = {
    allocate: (bytes, held = 0) => {
      const addable = this.#addable
      if (!lends(bytes, held, this.#arenas.room + addable, this.#arenas.used)) return undefined
      const place = this.#arenas.allocate(bytes)
      if (place === undefined && addable > 0 && !this.#asked) {
        this.#asked = true
        this.#outbox.control({ _tag: "needSegment", bytes })
      }
      return place
    },
    free: (place) => {
      this.#arenas.free(place)
      this.#feedSoon()
    },
    view: (index) => this.#segments.get(index)!.bytes
  }

  /** Bytes of segments that the host would still add for fifos, as it says. */
  get #addable(): number {
    try {
      return Segment.lendable(this.#first, this.#queues, this.#limit)
    } catch (error) {
      if (error instanceof Fifo.FifoCorrupt) this.corrupt(error)
      throw error
    }
  }

  hot(session: FifoSession): void {
    this.#hot.add(session)
  }

  starved(session: FifoSession): void {
    this.#starved.add(session)
  }

  /** The session has released its memory. */
  forget(session: FifoSession): void {
    this.#hot.delete(session)
    this.#starved.delete(session)
  }

  /** The host has handed a segment over. */
  add(index: number): void {
    const handed = this.#receive(index)
    if (handed === undefined) return
    const segment = Segment.make(index, handed.buffer, handed.hostBytes)
    this.#segments.set(index, segment)
    this.#outbox.control({ _tag: "segmentMapped", segment: index })
    if (handed.hostBytes === handed.buffer.byteLength) return
    this.#arenas.add(index, Segment.workerArena(segment))
    this.#added.add(index)
    this.#asked = false
    this.#feedSoon()
  }

  /** The host has taken a segment back. */
  remove(index: number): void {
    this.#segments.delete(index)
  }

  #feedSoon(): void {
    if (this.#feeding || this.#starved.size === 0) return
    this.#feeding = true
    queueMicrotask(this.#feed)
  }

  /** Memory has come free: sessions that wait for some look whether it is enough. */
  readonly #feed = (): void => {
    this.#feeding = false
    const starved = [...this.#starved]
    this.#starved.clear()
    for (const session of starved) this.#guard(session, writable)
  }

  /** Looks after the fifos that hold bytes for the host, and lets those try again that wait for memory. */
  look(): void {
    this.#feedSoon()
    for (const session of this.#hot) this.#guard(session, check)
  }

  /** Gives back the memory of fifos that were not written to since the last call. */
  trim(): void {
    // a request that was refused may be made again
    this.#asked = false
    this.#feedSoon()
    for (const session of this.#hot) if (session.trim()) this.#hot.delete(session)
    for (const index of this.#added) {
      if (!this.#arenas.isEmpty(index)) continue
      this.#added.delete(index)
      this.#arenas.remove(index)
      this.#outbox.control({ _tag: "segmentUnused", segment: index })
    }
  }
}
