/**
 * What several reports have in common: counts, whose something is, and pages of lists.
 */
import * as Schema from "effect/Schema"

export const Count = Schema.Int

/** Counts by reason. */
export const countsOf = <K extends string>(keys: ReadonlyArray<K>) =>
  Schema.Struct(Object.fromEntries(keys.map((key) => [key, Count])) as Record<K, typeof Count>)

/** Which worker something belongs to. */
export const OfWorker = {
  app: Schema.String,
  appIndex: Count,
  worker: Count,
  workerHandle: Schema.String
}

/**
 * Which page of a list other than that of sessions.
 *
 * @category models
 * @since 0.1.0
 */
export const ListPage = Schema.Struct({
  /** The `next` of the page before; without it, the first page is meant. */
  after: Schema.optional(Schema.String.check(
    Schema.isPattern(/^(?:0|[1-9]\d{0,14})(?:\.(?:0|[1-9]\d{0,14})){0,2}$/, {
      expected: "what `next` was on the page before"
    })
  )),
  /** The most entries on the page, give or take those that are listed together, such as a worker's. Default: 100. */
  limit: Schema.optional(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 })))
})
export type ListPage = typeof ListPage.Type

/** Where the next page of a list begins; absent on the last one. It stays good while entries come and go. */
export const nextPage = { next: Schema.optionalKey(Schema.String) }
