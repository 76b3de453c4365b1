/**
 * The segments of one worker: made within the application's memory limit, announced to the worker before anything
 * refers to them, and withdrawn when nothing does (W20).
 */
import { Arena } from "../../domain/memory/Arena.ts"
import * as Lending from "../../domain/memory/Lending.ts"
import type { Geometry } from "../../domain/memory/QueueMemory.ts"
import * as Segment from "../../domain/memory/Segment.ts"
import type { SegmentOptions } from "../../domain/options/SegmentOptions.ts"
import type { CutThroughSegments, SegmentEvents } from "../../services/SegmentManager.ts"
import { KeptMemory } from "./KeptMemory.ts"

/** What allocates from a segment in the host. A segment that was added for the worker's own arena has no such owner. */
export interface SegmentOwner {
  /** The worker has the segment's memory. */
  mapped(segment: Segment.Segment): void
}

interface Owned {
  readonly segment: Segment.Segment
  readonly owner: SegmentOwner | undefined
}

/** A segment consists of words: sizes that don't are taken as a little less. */
const inWords = (bytes: number): number => bytes - bytes % Int32Array.BYTES_PER_ELEMENT

export class WorkerSegments {
  /** Sizes of segments are in whole words. */
  readonly options: SegmentOptions
  /** Bytes that are for sessions themselves, and are not lent to fifos. */
  readonly reserve: number
  readonly #allocate: (bytes: number) => ArrayBufferLike
  #first: { readonly segment: Segment.Segment; readonly queues: Segment.Queues } | undefined
  readonly #owned = new Map<number, Owned>()
  readonly #cutThrough = new Map<number, Segment.Segment>()
  /** The cut-through segments that count towards the limit, with their peers. */
  readonly #created = new Map<number, object | undefined>()
  /** Memory of cut-through segments that are gone. */
  readonly #kept = new KeptMemory()
  #cutThroughBytes = 0
  #bytes = 0
  #last = -1
  #announced = false
  /** Sessions that there was no memory for. */
  sessionsRefused = 0
  /** Whether, since a segment was last removed, one was refused because of the limit. */
  #limited = false
  events: SegmentEvents | undefined
  /** Bytes of segments that have no block and would be given up for fifos. */
  spare: () => number = () => 0

  constructor(options: SegmentOptions, allocate: (bytes: number) => ArrayBufferLike) {
    this.options = {
      ...options,
      firstSegmentSize: inWords(options.firstSegmentSize),
      addSegmentSize: inWords(options.addSegmentSize)
    }
    this.reserve = Lending.reserve(this.options)
    this.#allocate = allocate
  }

  /** Bytes of the segments for sessions of connections. */
  get bytes(): number {
    return this.#bytes
  }

  get count(): number {
    return this.#owned.size
  }

  segment(index: number): Segment.Segment | undefined {
    return this.#owned.get(index)?.segment ?? this.#cutThrough.get(index)
  }

  owner(index: number): SegmentOwner | undefined {
    return this.#owned.get(index)?.owner
  }

  /** The segments of an owner; without an owner, those of the worker. */
  *of(owner?: SegmentOwner): IterableIterator<Segment.Segment> {
    for (const owned of this.#owned.values()) if (owned.owner === owner) yield owned.segment
  }

  readonly view = (index: number): Uint8Array => {
    const owned = this.#owned.get(index)
    if (owned === undefined) throw new Error(`no segment ${index}`)
    return owned.segment.bytes
  }

  /** Makes the first segment, with queues of that geometry. */
  first(geometry: Geometry, owner: SegmentOwner): Segment.Segment {
    const { firstSegmentSize } = this.options
    const { bytes } = Segment.queues(new ArrayBuffer(0), geometry)
    const segment = this.#create(firstSegmentSize, Segment.firstHostBytes(firstSegmentSize, bytes), owner)
    this.#first = { segment, queues: Segment.queues(segment.buffer, geometry) }
    this.tellLendable()
    return segment
  }

  /** Bytes of segments that may still be added. */
  get addable(): number {
    return Lending.addable(this.options, this.#bytes + this.#cutThroughBytes)
  }

  /** Whether fifos share what there is: no segment is added for them. */
  get isShort(): boolean {
    return Lending.addableForFifos(this.options, this.options.firstSegmentSize) > 0 && this.lendable === 0
  }

  /** Bytes of segments that may still be added for fifos, in place of those that have no block if need be. */
  get lendable(): number {
    return Lending.addableForFifos(this.options, this.#bytes + this.#cutThroughBytes - this.spare())
  }

  /**
   * Adds a segment within the limits and tells the worker; `undefined` when the limits don't allow one, or when it
   * would not hold a block of `wanted` bytes. Only for sessions themselves may it be one of the last.
   */
  grow(
    side: "host" | "worker",
    wanted: number,
    owner: SegmentOwner | undefined,
    use: "sessions" | "fifos"
  ): Segment.Segment | undefined {
    const bytes = this.options.addSegmentSize
    if (bytes < Arena.rounded(wanted)) return undefined
    const segment = this.#within(bytes, use, () => this.#create(bytes, side === "host" ? bytes : 0, owner))
    if (segment !== undefined) this.events?.announce(segment)
    return segment
  }

  /** Makes a segment, unless the limit or the machine does not allow it. */
  #within(bytes: number, use: "sessions" | "fifos", make: () => Segment.Segment): Segment.Segment | undefined {
    const reserve = use === "fifos" ? this.reserve : 0
    const over = this.#bytes + this.#cutThroughBytes + bytes + reserve - this.options.memoryLimit
    if (over > 0) {
      this.#limited = true
      return undefined
    }
    this.#kept.giveUp(over + this.#kept.bytes)
    try {
      return make()
    } catch (error) {
      // the machine has no more memory: the same as a limit
      if (error instanceof RangeError) return undefined
      throw error
    }
  }

  /** Segments of cut-through sessions. They are nobody's arena: each belongs to its session as a whole. */
  readonly cutThrough: CutThroughSegments = {
    create: (bytes, peer) => {
      const kept = peer === undefined ? undefined : this.#kept.take(peer, bytes)
      const segment = this.#within(bytes, "fifos", () => this.#enter(kept ?? new SharedArrayBuffer(bytes)))
      if (segment === undefined) return undefined
      this.#cutThroughBytes += bytes
      this.tellLendable()
      this.#created.set(segment.index, peer)
      this.events?.announce(segment)
      return segment
    },
    adopt: (buffer) => {
      const segment = this.#enter(buffer)
      this.events?.announce(segment)
      return segment
    },
    free: (index, keep = false) => {
      const segment = this.#cutThrough.get(index)
      if (segment === undefined) return
      const peer = this.#created.get(index)
      this.#cutThrough.delete(index)
      if (this.#created.delete(index)) {
        this.#cutThroughBytes -= segment.buffer.byteLength
        this.tellLendable()
      }
      // its memory was made in `create`: a segment that another worker made has no peer here
      if (keep && peer !== undefined) this.#kept.keep(peer, segment.buffer as SharedArrayBuffer)
      this.events?.withdraw(segment)
      this.#unlimited()
    },
    forget: (peer) => this.#kept.forget(peer),
    statistics: () => ({ count: this.#cutThrough.size, bytes: this.#cutThroughBytes, kept: this.#kept.bytes })
  }

  #nextIndex(): number {
    return this.#last = Segment.nextIndex(this.#last, (index) => this.#owned.has(index) || this.#cutThrough.has(index))
  }

  #enter(buffer: ArrayBufferLike): Segment.Segment {
    const segment = Segment.make(this.#nextIndex(), buffer, buffer.byteLength)
    this.#cutThrough.set(segment.index, segment)
    return segment
  }

  #create(bytes: number, hostBytes: number, owner: SegmentOwner | undefined): Segment.Segment {
    const segment = Segment.make(this.#nextIndex(), this.#allocate(bytes), hostBytes)
    this.#owned.set(segment.index, { segment, owner })
    this.#bytes += bytes
    this.tellLendable()
    return segment
  }

  /** Tells the worker what may be added: after each change, and at intervals, since it may have written over the word. */
  tellLendable(): void {
    if (this.#first !== undefined) Segment.setLendable(this.#first.segment, this.#first.queues, this.lendable)
  }

  remove(index: number): void {
    const owned = this.#owned.get(index)
    if (owned === undefined) return
    this.#owned.delete(index)
    this.#bytes -= owned.segment.buffer.byteLength
    this.tellLendable()
    this.events?.withdraw(owned.segment)
    this.#unlimited()
  }

  /** A segment that was refused because of the limit may be allowed now. */
  #unlimited(): void {
    if (!this.#limited) return
    this.#limited = false
    this.available()
  }

  /** Says that there is memory: once for all that is freed in one go, and never from inside a free. */
  available(): void {
    if (this.#announced) return
    this.#announced = true
    queueMicrotask(() => {
      this.#announced = false
      this.events?.available()
    })
  }
}
