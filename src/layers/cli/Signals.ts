/**
 * The signals that end a host, the first of which asks it to stop in good order and the second ends the process at once;
 * and the one that has it read its files again.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Os from "node:os"

const ENDING = ["SIGINT", "SIGTERM"] as const

/**
 * Takes the signals over until the scope closes; the inner effect completes with the first of them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Effect.Effect<NodeJS.Signals>, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    const first = Deferred.makeUnsafe<NodeJS.Signals>()
    const onSignal = (signal: NodeJS.Signals) => {
      // a shell says it in the same way of a process that a signal has ended
      if (!Deferred.doneUnsafe(first, Effect.succeed(signal))) process.exit(128 + Os.constants.signals[signal])
    }
    for (const signal of ENDING) process.on(signal, onSignal)
    return { first, onSignal }
  }),
  ({ onSignal }) => Effect.sync(() => ENDING.forEach((signal) => process.off(signal, onSignal)))
).pipe(Effect.map(({ first }) => Deferred.await(first)))

/**
 * Takes `SIGHUP` over until the scope closes, so that it does not end the process; the inner effect completes with the
 * next one. Those that come while nobody waits are one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeReload: Effect.Effect<Effect.Effect<void>, never, Scope.Scope> = Queue.sliding<void>(1).pipe(
  Effect.tap((signals) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const onSignal = (): void => void Queue.offerUnsafe(signals, undefined)
        process.on("SIGHUP", onSignal)
        return onSignal
      }),
      (onSignal) => Effect.sync(() => process.off("SIGHUP", onSignal))
    )
  ),
  Effect.map(Queue.take)
)
