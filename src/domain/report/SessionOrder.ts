/**
 * In which order sessions are reported, and where a page of them goes on: by one thing that is known of each, and by slot
 * where that is the same.
 *
 * What an operator looks for comes first: the oldest, the most bytes, the most moves; texts go by the alphabet. A page says
 * where it ended by the last session's place, so the next one costs the same wherever it is, and a session whose place does
 * not change is on one page, whatever comes and goes.
 */
import * as Schema from "effect/Schema"
import type * as Report from "./Report.ts"

/**
 * What sessions can be sorted by: `in`, `out` are bytes; `unread`, `unsent` bytes that wait for the worker, and for the
 * peer.
 *
 * @category models
 * @since 0.1.0
 */
export const SessionSorting = Schema.Literals([
  "age",
  "in",
  "out",
  "unread",
  "unsent",
  "moves",
  "remote",
  "local",
  "worker",
  "state"
])
export type SessionSorting = typeof SessionSorting.Type

/** What an order looks at, read when it does. */
export interface Sorted
  extends
    Pick<Report.SessionReport, "appIndex" | "worker" | "state" | "local" | "remote" | "moves">,
    Pick<Report.SessionReport, "bytesIn" | "bytesOut" | "rx" | "tx">
{
  /** When it was made, on any clock. */
  readonly since: number
}

/** Where a session stands: less comes first. */
export interface Place {
  readonly key: number | string
  readonly slot: number
}

/** More workers than an application can have. */
const WORKERS = 2 ** 24

const keys: Readonly<Record<SessionSorting, (session: Sorted) => number | string>> = {
  age: ({ since }) => since,
  in: ({ bytesIn }) => -(bytesIn ?? -1),
  out: ({ bytesOut }) => -(bytesOut ?? -1),
  unread: ({ rx }) => -(rx?.used ?? -1),
  unsent: ({ tx }) => -(tx?.used ?? -1),
  moves: ({ moves }) => -moves,
  remote: ({ remote }) => remote,
  local: ({ local }) => local,
  worker: ({ appIndex, worker }) => appIndex * WORKERS + worker,
  state: ({ state }) => state
}

export const keyOf = (sorting: SessionSorting): (session: Sorted) => number | string => keys[sorting]

const TEXTS: ReadonlySet<SessionSorting> = new Set(["remote", "local", "state"])

export const compare = (a: Place, b: Place): number => a.key < b.key ? -1 : a.key > b.key ? 1 : a.slot - b.slot

/** A place as the `next` of a page. */
export const write = (sorting: SessionSorting, { key, slot }: Place): string => `${sorting}:${slot}:${key}`

/** The longest key that is taken back. */
const LONGEST = 400
const SLOT = /^(?:0|[1-9]\d{0,7})$/
const WRITTEN = new RegExp(`^([a-z]+):(0|[1-9]\\d{0,7}):(.{1,${LONGEST}})$`, "su")

/** The `next` of a page in this order; `undefined` where it is something else. */
export const read = (sorting: SessionSorting, text: string): Place | undefined => {
  const [, by, slot, key = ""] = WRITTEN.exec(text) ?? []
  if (by !== sorting) return undefined
  if (TEXTS.has(sorting)) return { key, slot: Number(slot) }
  const number = Number(key)
  return Number.isFinite(number) ? { key: number, slot: Number(slot) } : undefined
}

/** Whether a text can be the `next` of a page in this order, or by slots. */
export const isNext = (sorting: SessionSorting | undefined, text: string): boolean =>
  sorting === undefined ? SLOT.test(text) : read(sorting, text) !== undefined

/** The first of many, in order, without the rest: an entry costs no more than a look once there are enough before it. */
export class Firsts<A extends Place> {
  readonly #most: number
  readonly #compare: (a: Place, b: Place) => number
  readonly #entries: Array<A> = []

  constructor(most: number, order: (a: Place, b: Place) => number) {
    this.#most = most
    this.#compare = order
  }

  /** Returns whether it is among the first so far. */
  add(entry: A): boolean {
    const entries = this.#entries
    const last = entries.at(-1)
    if (entries.length >= this.#most && last !== undefined && this.#compare(entry, last) > 0) return false
    let from = 0
    let to = entries.length
    while (from < to) {
      const middle = (from + to) >>> 1
      if (this.#compare(entries[middle]!, entry) < 0) from = middle + 1
      else to = middle
    }
    entries.splice(from, 0, entry)
    if (entries.length > this.#most) entries.pop()
    return true
  }

  get entries(): ReadonlyArray<A> {
    return this.#entries
  }
}
