/**
 * Priority classes of connections (X7): of those that wait, those of a higher class are served first, and the highest
 * class goes beyond limits by a reserve.
 */

/** The classes, the lowest first. */
export const Priorities = ["low", "normal", "high"] as const
export type Priority = typeof Priorities[number]

/** A class as a number: that of a higher class is higher. */
export const rankOf = (priority: Priority): number => Priorities.indexOf(priority)

export const LOW = rankOf("low")
export const NORMAL = rankOf("normal")
export const HIGH = rankOf("high")
