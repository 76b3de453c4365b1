/** Why an application needs another worker, and why it can't have one (X8). */

/**
 * What most of all keeps workers from taking more, the gravest first.
 *
 * | reason | |
 * |---|---|
 * | `congested` | messages wait for room in their queues, or they are behind with offers |
 * | `late` | the median claim takes nearly as long as an offer stands |
 * | `busy` | their loops are hardly ever idle |
 * | `full` | they have as many sessions as they may have |
 */
export const NeedReasons = ["congested", "late", "busy", "full"] as const
export type NeedReason = typeof NeedReasons[number]

/** What keeps an application from another worker: the most that it may have, the machine's processors, or its memory. */
export const NeedLimits = ["most", "processors", "memory"] as const
export type NeedLimit = typeof NeedLimits[number]
