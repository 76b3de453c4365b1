/** The superuser is stopped by no permission, so what tests them gives that up for a while. */
import * as Effect from "effect/Effect"

/** `nobody`, on every Linux and on macOS. */
const NOBODY = 65_534

export const unprivileged = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  process.geteuid?.() !== 0
    ? effect
    : Effect.acquireUseRelease(
      Effect.sync(() => process.seteuid?.(NOBODY)),
      () => effect,
      () => Effect.sync(() => process.seteuid?.(0))
    )
