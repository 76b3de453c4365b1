/** Those who want to hear of each change of a store, in the call that makes it. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export class Observers<Change> {
  readonly #observers = new Set<(change: Change) => void>()

  /** `hear` is called from now on, until the scope closes. */
  readonly observe = (hear: (change: Change) => void): Effect.Effect<void, never, Scope.Scope> =>
    Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() => this.#observers.add(hear)),
      () => Effect.sync(() => this.#observers.delete(hear))
    ))

  readonly tell = (change: Change): void => {
    for (const hear of this.#observers) hear(change)
  }
}
