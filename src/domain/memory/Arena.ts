/**
 * A buddy allocator over a stretch of a segment.
 *
 * One thread allocates from an arena, the host or the worker, never both: its books are therefore ordinary private
 * memory, and no lock and no shared free list are needed. The other side is told only where a block begins.
 *
 * Blocks are powers of two from {@link MIN_BLOCK} bytes on, aligned to their size within the arena; a freed block is
 * joined with its buddy, so a segment that was full of small blocks can serve large ones again.
 *
 * Blocks that are smaller than a page share theirs with blocks of their size, as far as possible: then memory that
 * nobody writes to, such as the rings of idle sessions, does not lie beside memory that is in use, and costs nothing.
 */

/** Bytes of the smallest block. */
export const MIN_BLOCK = 256

/** The order of a block that is a page of 4 KiB. */
const PAGE = 4

const FREE = 0x40
const USED = 0x80

const orderOf = (bytes: number): number => bytes <= MIN_BLOCK ? 0 : 32 - Math.clz32(Math.ceil(bytes / MIN_BLOCK) - 1)

export class Arena {
  /** Bytes that can be allocated, a multiple of {@link MIN_BLOCK}. */
  readonly capacity: number
  readonly #start: number
  /** An entry for each smallest block: at a block's first one, FREE or USED and the order; 0 elsewhere. */
  readonly #marks: Uint8Array
  /** Free blocks by order; entries whose blocks were joined meanwhile are recognised by their mark and skipped. */
  readonly #free: Array<Array<number>> = []
  /** The same of those that are smaller than a page, by the kind of the page that they are in. */
  readonly #small: ReadonlyArray<Array<Array<number>>> = Array.from({ length: PAGE }, () => [])
  /** The kind of each page that has been split: the order of the blocks that it is for. */
  readonly #kinds: Uint8Array
  /** Allocated blocks of each order. */
  readonly #counts: Array<number> = []
  #used = 0
  #blocks = 0

  /** `start`: offset of the arena in its segment; `bytes`: its length. */
  constructor(start: number, bytes: number) {
    this.#start = start
    const count = Math.floor(bytes / MIN_BLOCK)
    this.capacity = count * MIN_BLOCK
    this.#marks = new Uint8Array(count)
    this.#kinds = new Uint8Array((count >> PAGE) + 1)
    // a length that is no power of two is the sum of several, largest first: each is a root block without a buddy
    for (let at = 0; at < count;) {
      const order = 31 - Math.clz32(count - at)
      this.#release(at, order)
      at += 1 << order
    }
  }

  /** Bytes in allocated blocks. */
  get used(): number {
    return this.#used
  }

  /** Allocated blocks. */
  get blocks(): number {
    return this.#blocks
  }

  /** Allocated blocks by their size in bytes. */
  get bySize(): ReadonlyMap<number, number> {
    return new Map(
      this.#counts.flatMap((count, order) => count === 0 ? [] : [[MIN_BLOCK * 2 ** order, count] as const])
    )
  }

  /** How many bytes an allocation of `bytes` takes: the next power of two. */
  static rounded(bytes: number): number {
    return MIN_BLOCK * 2 ** orderOf(bytes)
  }

  /** Offset in the segment of a block of at least `bytes`, or -1 when there is none. */
  allocate(bytes: number): number {
    const order = orderOf(bytes)
    const at = order < PAGE ? this.#takeSmall(order) : this.#takeFrom(this.#free, order)
    if (at < 0) return -1
    this.#marks[at] = USED | order
    this.#used += MIN_BLOCK * 2 ** order
    this.#blocks++
    while (this.#counts.length <= order) this.#counts.push(0)
    this.#counts[order]!++
    return this.#start + at * MIN_BLOCK
  }

  /** A block of less than a page: from a page of its kind, from a new one, or else from wherever there is one. */
  #takeSmall(order: number): number {
    const at = this.#takeFrom(this.#small[order]!, order)
    if (at >= 0) return at
    const page = this.#takeFrom(this.#free, PAGE)
    if (page >= 0) {
      this.#kinds[page >> PAGE] = order
      this.#split(page, PAGE, order)
      return page
    }
    for (const lists of this.#small) {
      const other = this.#takeFrom(lists, order)
      if (other >= 0) return other
    }
    return -1
  }

  /** The first block of `order` of the smallest block in the lists that is large enough; what remains of it is free. */
  #takeFrom(lists: ReadonlyArray<Array<number>>, order: number): number {
    for (let from = order; from < lists.length; from++) {
      const at = this.#take(lists[from]!, from)
      if (at < 0) continue
      this.#split(at, from, order)
      return at
    }
    return -1
  }

  /** Leaves of a block of order `from` its first one of `order`; the rest is free. */
  #split(at: number, from: number, order: number): void {
    for (let half = from; half > order;) this.#release(at + (1 << --half), half)
  }

  /** Gives a block back. Throws for an offset that is not an allocated block's, which is a bug in the caller. */
  free(offset: number): void {
    let at = (offset - this.#start) / MIN_BLOCK
    const mark = this.#marks[at]
    if (mark === undefined || (mark & USED) === 0) throw new Error(`no allocated block at ${offset}`)
    let order = mark & 0x3f
    this.#used -= MIN_BLOCK * 2 ** order
    this.#blocks--
    this.#counts[order]!--
    this.#marks[at] = 0
    for (;; order++) {
      const buddy = at ^ (1 << order)
      if (this.#marks[buddy] !== (FREE | order)) break
      this.#marks[buddy] = 0
      at = Math.min(at, buddy)
    }
    this.#release(at, order)
  }

  #release(at: number, order: number): void {
    const lists = order < PAGE ? this.#small[this.#kinds[at >> PAGE]!]! : this.#free
    while (lists.length <= order) lists.push([])
    this.#marks[at] = FREE | order
    lists[order]!.push(at)
  }

  #take(blocks: Array<number>, order: number): number {
    while (blocks.length > 0) {
      const at = blocks.pop()!
      if (this.#marks[at] === (FREE | order)) {
        this.#marks[at] = 0
        return at
      }
    }
    return -1
  }
}
