/**
 * Handles, and the pools that they point into.
 *
 * A handle is one number: the slot's index in its low 24 bits and the slot's generation, 28 bits, above them. Freeing a
 * slot moves its generation on, so a late event for the slot's previous owner no longer matches and is dropped instead
 * of being delivered to the next owner (W1). No handle is given out twice: a slot whose generations are used up is not
 * used again.
 *
 * Application index, worker index and the application-local worker number are branded apart: a function that takes
 * one of them cannot be given another. They are branded by type alone: `Brand.nominal` would have each worker load the
 * schemas of Effect.
 *
 * @since 0.1.0
 */
import type * as Brand from "effect/Brand"

/**
 * Index of an application in the host's table.
 *
 * @category models
 * @since 0.1.0
 */
export type AppIndex = Brand.Branded<number, "AppIndex">
export const AppIndex = (index: number) => index as AppIndex

/**
 * Index of a worker in the host's global pool, over all applications.
 *
 * @category models
 * @since 0.1.0
 */
export type WorkerIndex = Brand.Branded<number, "WorkerIndex">
export const WorkerIndex = (index: number) => index as WorkerIndex

/**
 * Number of a worker within its application; 0 is the default worker.
 *
 * @category models
 * @since 0.1.0
 */
export type WorkerMapIndex = Brand.Branded<number, "WorkerMapIndex">
export const WorkerMapIndex = (index: number) => index as WorkerMapIndex

/**
 * A slot of a {@link Pool} at one generation.
 *
 * @category models
 * @since 0.1.0
 */
export type Handle<Name extends string = string> = Brand.Branded<number, Name>

/**
 * @category models
 * @since 0.1.0
 */
export type SessionHandle = Handle<"SessionHandle">
/**
 * @category models
 * @since 0.1.0
 */
export type ListenerHandle = Handle<"ListenerHandle">
/**
 * @category models
 * @since 0.1.0
 */
export type WorkerHandle = Handle<"WorkerHandle">
/**
 * @category models
 * @since 0.1.0
 */
export type AppHandle = Handle<"AppHandle">
/**
 * @category models
 * @since 0.1.0
 */
export type CertificateHandle = Handle<"CertificateHandle">

const INDEX_BITS = 24
const INDEX_SIZE = 2 ** INDEX_BITS
const MAX_GENERATION = 2 ** 28

/**
 * Joins an index (0 to 2^24 - 1) and a generation (0 to 2^28 - 1).
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <H extends Handle>(index: number, generation: number): H => (generation * INDEX_SIZE + index) as H

/**
 * Whether the two numbers, which may have come from outside, are an index and a generation.
 *
 * @category guards
 * @since 0.1.0
 */
export const isValid = (index: number, generation: number): boolean =>
  Number.isInteger(index) && index >= 0 && index < INDEX_SIZE && Number.isInteger(generation) && generation >= 0 &&
  generation < MAX_GENERATION

/**
 * @category accessors
 * @since 0.1.0
 */
export const index = (handle: Handle): number => handle % INDEX_SIZE

/**
 * @category accessors
 * @since 0.1.0
 */
export const generation = (handle: Handle): number => Math.floor(handle / INDEX_SIZE)

/**
 * The text form used in logs and tables, for example `12.3` for slot 12 in its generation 3.
 *
 * @category formatting
 * @since 0.1.0
 */
export const format = (handle: Handle): string => `${index(handle)}.${generation(handle)}`

/**
 * A table of slots with generations.
 *
 * Slots are reused last-freed first, so a table that is used lightly stays small. A slot retires when its generations
 * are used up: at 20,000 handles a second, one slot in 3.7 hours. All handles together last for 7,000 years at that
 * rate.
 *
 * @category models
 * @since 0.1.0
 */
export class Pool<H extends Handle, A> {
  readonly capacity: number
  readonly #generationsOfSlot: number
  readonly #values: Array<A | undefined> = []
  readonly #generations: Array<number> = []
  readonly #free: Array<number> = []
  #size = 0

  /**
   * `capacity`: the most values that the table may hold, 1 to 2^24. `generations`: how often a slot is used before it
   * retires, 1 to 2^28.
   */
  constructor(capacity: number = INDEX_SIZE, generations: number = MAX_GENERATION) {
    this.capacity = Math.min(capacity, INDEX_SIZE)
    this.#generationsOfSlot = Math.min(generations, MAX_GENERATION)
  }

  get size(): number {
    return this.#size
  }

  /**
   * Takes a slot for what `make_` returns for the slot's handle; `undefined` when the table is full, or when `make_`
   * returns `undefined`.
   */
  allocate<B extends A>(make_: (handle: H) => B | undefined): B | undefined {
    if (this.#size >= this.capacity) return undefined
    let slot = this.#free.pop()
    if (slot === undefined) {
      if (this.#values.length >= INDEX_SIZE) return undefined
      slot = this.#values.length
      this.#values.push(undefined)
      this.#generations.push(0)
    }
    let value: B | undefined
    try {
      value = make_(make<H>(slot, this.#generations[slot]!))
    } finally {
      if (value === undefined) this.#release(slot)
    }
    if (value === undefined) return undefined
    this.#values[slot] = value
    this.#size++
    return value
  }

  get(handle: H): A | undefined {
    const slot = index(handle)
    return this.#generations[slot] === generation(handle) ? this.#values[slot] : undefined
  }

  /** The slot's present owner, whatever its generation: for look-ups by index from outside. */
  at(slot: number): A | undefined {
    return this.#values[slot]
  }

  /** Puts another value in the place of the one that has this handle; `false` when the handle is stale. */
  replace(handle: H, value: A): boolean {
    if (this.get(handle) === undefined) return false
    this.#values[index(handle)] = value
    return true
  }

  /** Frees the slot; `false` when the handle is stale. */
  free(handle: H): boolean {
    const slot = index(handle)
    if (this.#generations[slot] !== generation(handle) || this.#values[slot] === undefined) return false
    this.#values[slot] = undefined
    this.#release(slot)
    this.#size--
    return true
  }

  #release(slot: number): void {
    const next = this.#generations[slot]! + 1
    // a slot that retires keeps a generation that no handle has
    this.#generations[slot] = next
    if (next < this.#generationsOfSlot) this.#free.push(slot)
  }

  [Symbol.iterator](): IterableIterator<A> {
    return this.from(0)
  }

  /**
   * The values in the slots from this one on, in order. Values may come and go meanwhile: one that stays is met once.
   */
  *from(first: number): IterableIterator<A> {
    for (let slot = first; slot < this.#values.length; slot++) {
      const value = this.#values[slot]
      if (value !== undefined) yield value
    }
  }
}
