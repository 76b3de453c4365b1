/**
 * The signals that a serving command takes from the process: those that end a host, where the first asks it to stop in
 * good order and a later one ends the process at once; the one that makes it read its files again; and the one that
 * makes it reload its application.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Os from "node:os"

/** Where the signals come from: the process, or a test. */
export interface SignalSource {
  /** Takes the ending signals over until the scope closes; the inner effect completes with the first of them. */
  readonly ending: Effect.Effect<Effect.Effect<NodeJS.Signals>, never, Scope.Scope>
  /**
   * Takes `SIGHUP` over until the scope closes, so that it does not end the process; the inner effect completes with
   * the next one. Signals that come while nothing waits count as one.
   */
  readonly hangup: Effect.Effect<Effect.Effect<void>, never, Scope.Scope>
  /** The same for `SIGUSR2`. */
  readonly reload: Effect.Effect<Effect.Effect<void>, never, Scope.Scope>
}

const ENDING = ["SIGINT", "SIGTERM"] as const

/**
 * Milliseconds within which signals count as one. With a program such as npm in front, the terminal signals both, and
 * the one in front passes its signal on.
 */
export const AS_ONE = 1000

/** Each signal of a kind; those that come while nothing waits count as one. */
const each = (signal: NodeJS.Signals): Effect.Effect<Effect.Effect<void>, never, Scope.Scope> =>
  Queue.sliding<void>(1).pipe(
    Effect.tap((signals) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const onSignal = (): void => void Queue.offerUnsafe(signals, undefined)
          process.on(signal, onSignal)
          return onSignal
        }),
        (onSignal) => Effect.sync(() => process.off(signal, onSignal))
      )
    ),
    Effect.map(Queue.take)
  )

const ofProcess: SignalSource = {
  ending: Effect.acquireRelease(
    Effect.sync(() => {
      const first = Deferred.makeUnsafe<NodeJS.Signals>()
      let since = 0
      const onSignal = (signal: NodeJS.Signals) => {
        if (Deferred.doneUnsafe(first, Effect.succeed(signal))) since = performance.now()
        // the code that a shell reports for a process that a signal has ended
        else if (performance.now() - since >= AS_ONE) process.exit(128 + Os.constants.signals[signal])
      }
      for (const signal of ENDING) process.on(signal, onSignal)
      return { first, onSignal }
    }),
    ({ onSignal }) => Effect.sync(() => ENDING.forEach((signal) => process.off(signal, onSignal)))
  ).pipe(Effect.map(({ first }) => Deferred.await(first))),

  hangup: each("SIGHUP"),
  reload: each("SIGUSR2")
}

/** The signals of the process, unless something else is provided. */
export const Signals = Context.Reference<SignalSource>("sluice/cli/Signals", { defaultValue: () => ofProcess })
