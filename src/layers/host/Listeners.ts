/**
 * The listeners of a host: who listens where, with which workers, from when to when.
 *
 * A listener is known by the URI that was asked for. Workers of one application that ask for the same URI share it
 * (W10). Unlisten and the end of a worker take seats away, and the listener closes with its last seat.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Message from "../../domain/memory/Message.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import * as Handle from "../../domain/state/Handle.ts"
import type * as Refusal from "../../domain/state/Refusal.ts"
import * as PerTurn from "../system/PerTurn.ts"
import { atListener } from "./EventSubjects.ts"
import { HostListener } from "./Listener.ts"
import * as ListenerOpening from "./ListenerOpening.ts"
import * as Replies from "./Replies.ts"
import type { Tables } from "./Tables.ts"
import type { LiveWorker, SlotApp, WorkerSlot } from "./Worker.ts"

/** What is on the endpoint already. */
type Standing =
  | { readonly _tag: "Open"; readonly listener: HostListener }
  | { readonly _tag: "Busy"; readonly over: Deferred.Deferred<void> }
  | { readonly _tag: "Refused"; readonly reason: Refusal.ListenReason; readonly detail: string }

const speaksHttp = ({ flags }: Message.Of<"listen">): boolean => (flags & Message.SPEAKS_HTTP) !== 0

/** For a worker that comes to listen when its successor already serves. */
const REPLACED = "the worker has been replaced"

/** Closes the transport's part of each listener: nothing arrives there any more. */
const closeTransports = (listeners: Iterable<HostListener>): Effect.Effect<void> =>
  Effect.forEach(listeners, ({ transport }) => Scope.close(transport, Exit.void), { discard: true })

export class Listeners {
  readonly #host: ListenerOpening.OpeningHost
  readonly #tables: Tables

  constructor(host: ListenerOpening.OpeningHost) {
    this.#host = host
    this.#tables = host.tables
  }

  // ---- listen

  listen(worker: LiveWorker, message: Message.Of<"listen">): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const refuse = (reason: Refusal.ListenReason, detail: string): void =>
        Replies.refuse(worker, message.request, reason, detail)
      const parsed = Endpoint.parse(message.endpoint)
      if (Result.isFailure(parsed)) return refuse("InvalidEndpoint", parsed.failure.message)
      const endpoint = parsed.success
      const outside = ListenerOpening.outOfScope(worker.slot.app, endpoint)
      if (outside !== undefined) return refuse("OutOfScope", outside)

      // a listener that is being made or unmade on this endpoint is waited for: afterwards it is there, or it is not
      let standing = this.#lookUp(worker, endpoint)
      for (; standing?._tag === "Busy"; standing = this.#lookUp(worker, endpoint)) yield* Deferred.await(standing.over)
      if (worker.slot.role === "former") return refuse("Detached", REPLACED)
      if (standing?._tag === "Refused") return refuse(standing.reason, standing.detail)
      if (standing?._tag === "Open") return this.#bind(worker, standing.listener, message)
      if (this.#tables.draining) return refuse("TransportFailed", "the host is shutting down")
      if (worker.slot.live !== worker) return

      // W8: listen session with its table entry, manager, transport; a failure undoes what came before it. Nothing
      // comes between the look-up and the entry
      const listener = this.#tables.listeners.allocate((handle) =>
        new HostListener(handle, worker, endpoint, speaksHttp(message), this.#host)
      )
      if (listener === undefined) return refuse("NoMemory", "the host has no room for another listener")
      const failure = yield* Effect.raceFirst(
        ListenerOpening.open(this.#host, listener, message),
        Effect.as(worker.over, { reason: "Detached" as const, detail: "the worker is gone" })
      )
      if (failure !== undefined) {
        yield* this.#close(listener)
        return worker.slot.live === worker ? refuse(failure.reason, failure.detail) : undefined
      }
      listener.move("bind")
      const { placement } = listener
      this.#tables.events.record({ kind: "listener-opened", ...atListener(listener), placement })
      yield* Deferred.succeed(listener.settled, undefined)
      this.#bind(worker, listener, message)
    })
  }

  #lookUp(worker: LiveWorker, endpoint: Endpoint.Endpoint): Standing | undefined {
    const { app } = worker.slot
    const requested = Endpoint.format(endpoint)
    for (const listener of this.#tables.listeners) {
      if (listener.requestedUri !== requested) continue
      if (listener.app !== app) {
        // with port 0 each gets a port of its own
        if (Endpoint.isEphemeral(endpoint)) continue
        const reason = ListenerOpening.conflict(endpoint, app, listener.app)
        if (reason === undefined) continue
        return { _tag: "Refused", reason, detail: `application ${listener.app.name} listens on ${requested}` }
      }
      if (listener.state === "BINDING") return { _tag: "Busy", over: listener.settled }
      if (listener.state !== "BOUND") return { _tag: "Busy", over: listener.closed }
      if (!listener.has(worker)) return { _tag: "Open", listener }
      // with port 0, so does each listener of a worker; the workers share the first ones, the second ones, and so on
      if (Endpoint.isEphemeral(endpoint)) continue
      return { _tag: "Refused", reason: "AlreadyListening", detail: `this worker listens on ${requested} already` }
    }
    return undefined
  }

  /** Gives the worker its seat. A worker that has gone meanwhile, or has been replaced, gets no seat. */
  #bind(worker: LiveWorker, listener: HostListener, message: Message.Of<"listen">): void {
    const { request } = message
    if (worker.slot.live !== worker || worker.slot.role === "former") {
      if (listener.isVacant) this.#host.fork(this.#close(listener))
      if (worker.slot.live === worker) Replies.refuse(worker, request, "Detached", REPLACED)
      return
    }
    listener.join(worker, speaksHttp(message))
    Replies.reply(worker, { _tag: "bound", request, listener: listener.handle, local: listener.boundUri })
    listener.intake.admit()
  }

  // ---- unlisten

  unlisten(worker: LiveWorker, message: Message.Of<"unlisten">): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const listener = this.#tables.listeners.get(message.listener)
      const unlistened = () =>
        Replies.reply(worker, { _tag: "unlistened", request: message.request, listener: message.listener })
      // its successor has its seats, and it need not know
      if (worker.slot.role === "former") return unlistened()
      if (listener === undefined || !listener.has(worker)) {
        const foreign = listener !== undefined && listener.app !== worker.slot.app
        const handle = Handle.format(message.listener)
        return Replies.refuse(
          worker,
          message.request,
          foreign ? "NotOwner" : "NoSuchListener",
          foreign ? `listener ${handle} is another application's` : `this worker has no listener ${handle}`
        )
      }
      yield* this.#leave(listener, worker)
      unlistened()
    })
  }

  /**
   * Takes the worker from the listener, which closes with its last worker (W10). Established sessions go on (W9).
   *
   * A worker that is to start again may close its servers for that: its seat is kept for the next start. So is the seat
   * that a start has from the one before, until it is ready: a start that fails gives up what it listens on.
   */
  #leave(listener: HostListener, worker: LiveWorker): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { slot } = worker
      listener.leave(slot, slot.restarting || (slot.state === "STARTING" && listener.wasKeptFor(slot)))
      if (!listener.isVacant) return Effect.sync(() => listener.intake.takeBackAll(worker))
      listener.move("close")
      return closeTransports([listener]).pipe(
        Effect.andThen(Effect.sync(() => listener.intake.takeBackAll(worker))),
        Effect.andThen(this.#close(listener))
      )
    })
  }

  /** Closes a listener for all its workers; `false` when the handle is stale. */
  close(handle: Handle.ListenerHandle): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      const listener = this.#tables.listeners.get(handle)
      if (listener?.state !== "BOUND") return Effect.succeed(false)
      const workers = listener.dissolve()
      listener.move("close")
      return closeTransports([listener]).pipe(
        Effect.andThen(Effect.sync(() => {
          for (const worker of workers) {
            listener.intake.takeBackAll(worker)
            Replies.reply(worker, { _tag: "unlistened", request: Replies.UNASKED, listener: handle })
          }
        })),
        Effect.andThen(this.#close(listener)),
        Effect.as(true)
      )
    })
  }

  /** The last step for a listener: afterwards its endpoint is free. */
  #close(listener: HostListener): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!this.#tables.listeners.free(listener.handle)) return Deferred.await(listener.closed)
      const wasBound = listener.state !== "BINDING"
      if (listener.state !== "CLOSING") listener.move("close")
      ListenerOpening.leaveLocally(this.#host, listener)
      listener.intake.stop("no-worker")
      this.#tables.closed.add(listener)
      return Scope.close(listener.scope, Exit.void).pipe(
        Effect.andThen(Effect.sync(() => {
          listener.intake.end()
          listener.move("closed")
          if (wasBound) {
            this.#tables.events.record({ kind: "listener-closed", ...atListener(listener) })
          }
        })),
        Effect.andThen(Deferred.succeed(listener.settled, undefined)),
        Effect.andThen(Deferred.succeed(listener.closed, undefined)),
        Effect.asVoid
      )
    })
  }

  // ---- an application

  /** The endpoints on which no worker of the application listens. */
  missing(app: SlotApp, endpoints: ReadonlyArray<Endpoint.Endpoint>): ReadonlyArray<string> {
    const heard = new Set<string>()
    for (const listener of this.#tables.listeners) if (listener.app === app) heard.add(listener.requestedUri)
    return endpoints.map(Endpoint.format).filter((uri) => !heard.has(uri))
  }

  // ---- the end of a worker, of an application, of the host

  /** Takes the worker, and its offers with it, from all listeners, for good or until its next start (W12). */
  leaveAll(worker: LiveWorker, forGood: boolean): Effect.Effect<void> {
    return Effect.suspend(() => {
      const begun = [...this.#tables.listeners].filter(({ opener, state }) => opener === worker && state === "BINDING")
      // all seats first: an offer that is taken back may go to another listener's worker only if that one stays
      const last: Array<HostListener> = []
      for (const listener of this.#tables.listeners) {
        if (!listener.leave(worker.slot, !forGood) || !listener.isVacant) continue
        listener.move("close")
        last.push(listener)
      }
      return closeTransports(last).pipe(
        Effect.andThen(PerTurn.forEach(worker.sessions, (session) => {
          session.origin.takeBack(session)
          // an offer that was taken back leaves nothing here: the worker will never pass it
          if (session.state === "REVOKED") session.pass()
          session.carryOn()
        })),
        Effect.andThen(Effect.forEach(last, (listener) => this.#close(listener), { discard: true })),
        Effect.andThen(Effect.forEach(begun, (listener) => this.#giveUp(listener), { discard: true }))
      )
    })
  }

  /** Waits for the end of a listen whose worker is gone. Other workers that asked for the same may have it. */
  #giveUp(listener: HostListener): Effect.Effect<void> {
    return Effect.andThen(
      Deferred.await(listener.settled),
      Effect.suspend(() => listener.isVacant ? this.#close(listener) : Effect.void)
    )
  }

  /**
   * Empties the seats that the worker's present start, if there is one, has not taken: for good when no start will take
   * them. Listeners at which no seat is left are closed.
   */
  vacate(slot: WorkerSlot, forGood: boolean): Effect.Effect<void> {
    return Effect.suspend(() => {
      const vacant: Array<HostListener> = []
      for (const listener of this.#tables.listeners) {
        if (slot.live !== undefined && listener.has(slot.live)) continue
        if (!listener.leave(slot, !forGood) || !listener.isVacant) continue
        listener.move("close")
        vacant.push(listener)
      }
      return Effect.forEach(
        vacant,
        (listener) => Effect.andThen(closeTransports([listener]), this.#close(listener)),
        { discard: true }
      )
    })
  }

  /**
   * The worker's successor takes its seats (X2), in this turn. Offers to the worker go to others, and listeners that
   * the successor does not serve, and nobody else, are closed.
   */
  promote(worker: WorkerSlot): Effect.Effect<void> {
    return Effect.suspend(() => {
      const left = [...this.#tables.listeners].filter((listener) => listener.promote(worker))
      const vacant = left.filter(({ isVacant }) => isVacant)
      for (const listener of vacant) listener.move("close")
      const takeBack = (from: ReadonlyArray<HostListener>) =>
        Effect.sync(() => {
          if (worker.live !== undefined) { for (const listener of from) listener.intake.takeBackAll(worker.live) }
        })
      return takeBack(left.filter(({ isVacant }) => !isVacant)).pipe(
        Effect.andThen(closeTransports(vacant)),
        Effect.andThen(takeBack(vacant)),
        Effect.andThen(Effect.forEach(vacant, (listener) => this.#close(listener), { discard: true }))
      )
    })
  }

  /** Closes an application's listeners on any port (W13, W18). */
  closeProxies(app: SlotApp): Effect.Effect<void> {
    return Effect.suspend(() =>
      Effect.forEach(
        [...this.#tables.listeners].filter((listener) =>
          listener.app === app && Endpoint.isAnyPort(listener.requested)
        ),
        ({ handle }) => this.close(handle),
        { discard: true }
      )
    )
  }

  /** Accepts nothing any more, anywhere; what waits for a worker goes on waiting. */
  readonly closeAll: Effect.Effect<void> = Effect.suspend(() => closeTransports([...this.#tables.listeners]))

  /** Stops listening everywhere; established sessions go on. */
  readonly stop: Effect.Effect<void> = Effect.suspend(() => {
    for (const listener of this.#tables.listeners) listener.intake.stop("draining")
    return closeTransports([...this.#tables.listeners])
  })
}
