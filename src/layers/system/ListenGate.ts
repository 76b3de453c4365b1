/**
 * A gate before the listeners of a host that is to follow another one (X4): what they do with their sockets waits until
 * it is opened. A listener that comes later finds it open.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"

export class ListenGate<E> {
  readonly #opened = Deferred.makeUnsafe<void, E>()
  #waiting: Set<Effect.Effect<void, E>> | undefined = new Set()

  get isOpen(): boolean {
    return this.#waiting === undefined
  }

  /** Leaves something to be done as the gate opens. */
  wait(listen: Effect.Effect<void, E>): void {
    this.#waiting?.add(listen)
  }

  /** Does something that can't fail as the gate opens, or at once where it is open. */
  pass(step: () => void): void {
    if (this.isOpen) step()
    else this.wait(Effect.sync(step))
  }

  /** Does it no more; `false` when it has been done, or begun. */
  withdraw(listen: Effect.Effect<void, E>): boolean {
    return this.#waiting?.delete(listen) === true
  }

  /**
   * Opens the gate, and does what waits, in order; or waits until that has been done. Fails with the first failure; the
   * gate is open nevertheless.
   */
  readonly open: Effect.Effect<void, E> = Effect.suspend(() => {
    const waiting = this.#waiting
    if (waiting === undefined) return Deferred.await(this.#opened)
    this.#waiting = undefined
    return Effect.forEach(waiting, (listen) => listen, { discard: true }).pipe(
      Effect.onExit((exit) => Deferred.done(this.#opened, exit))
    )
  })
}
