/** Why a worker is gone, as closed lists. */

/** It is gone by itself, or has never run. */
export const ExitReasons = [
  /** A layer of its stack could not be built. */
  "LayerFailed",
  /** There is no such module. */
  "ModuleMissing",
  /** The module, or the layer that it exports, has failed. */
  "ModuleFailed",
  /** The module is no application. */
  "NotAnApp",
  /** The application was not ready in time. */
  "StartTimeout",
  /** Something in it was thrown, or its memory was written over. */
  "Crashed",
  "OutOfMemory",
  /** It ended its thread. */
  "Exited"
] as const
export type ExitReason = typeof ExitReasons[number]

/** The host has given it up. */
export const UnresponsiveReasons = [
  /** As many messages, or bytes of them, as allowed wait for room in its queue. */
  "postponed-messages",
  "postponed-bytes",
  /** It could not be given a segment. */
  "hand-over-failed",
  /** It has closed its queue, or written nonsense into it. */
  "queue-closed",
  "queue-corrupt",
  /** It took nothing for as long as it may (`stuckAfter`), though messages waited. */
  "stuck"
] as const

/** Another generation has taken its place: it was to be started again, or to have new code. */
export const ReplaceReasons = ["restart", "reload", "stuck", "heap", "sessions"] as const

/** Why a worker was started again. `restart`, too, where it was ended for that, with no other beside it. */
export const RestartReasons = [...ExitReasons, ...UnresponsiveReasons, "restart", "reload", "heap", "sessions"] as const
export type RestartReason = typeof RestartReasons[number]

/** How often a worker was started again, by reason. */
export type RestartCounts = Record<RestartReason, number>

export const noRestarts = (): RestartCounts =>
  Object.fromEntries(RestartReasons.map((reason) => [reason, 0])) as RestartCounts

/** Why a worker that is stuck is not replaced. */
export const StuckKept = [
  /** As many threads as may be of its application could not be ended, and each more would cost as much. */
  "quarantine-full"
] as const
export type StuckKeptReason = typeof StuckKept[number]
