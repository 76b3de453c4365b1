/**
 * Opens something in a scope of its own: for what may be closed before the scope around it is, and must leave nothing
 * behind when the opening fails or is interrupted.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/** Opens something in the scope, and closes the scope at once, not some time later, if that fails or is interrupted. */
export const into = <A, E, R>(
  own: Scope.Closeable,
  open: Effect.Effect<A, E, R>
): Effect.Effect<A, E, Exclude<R, Scope.Scope>> =>
  open.pipe(Scope.provide(own), Effect.onError((cause) => Scope.close(own, Exit.failCause(cause))))

/** The same in a new scope, closed no later than its parent; `open` is given the scope, to close it earlier. */
export const under = <A, E, R>(
  parent: Scope.Scope,
  open: (own: Scope.Closeable) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, Exclude<R, Scope.Scope>> => Effect.flatMap(Scope.fork(parent), (own) => into(own, open(own)))
