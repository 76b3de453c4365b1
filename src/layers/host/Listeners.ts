/**
 * The listeners of a host: who listens where, in which scopes, with which workers.
 *
 * A listener is known by the URI that was asked for. Workers of one application that ask for the same one share it (W10).
 * In global scope the transport listens; in local scope the listener stands in its namespace's local table, where the
 * connects of other workers find it (W16, W17). Unlisten and the end of a worker take seats away, and the listener
 * closes with its last one.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Message from "../../domain/memory/Message.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import * as ListenerOptions from "../../domain/options/ListenerOptions.ts"
import * as Handle from "../../domain/state/Handle.ts"
import * as Ledger from "../../domain/state/Ledger.ts"
import * as Refusal from "../../domain/state/Refusal.ts"
import type { Certificates } from "../../services/Certificates.ts"
import type { SessionRules } from "../../services/SessionRules.ts"
import type { Transport } from "../../services/Transport.ts"
import type { Arriving } from "./HostSession.ts"
import * as Listener from "./Listener.ts"
import * as Replies from "./Replies.ts"
import { type Listening, Tables } from "./Tables.ts"
import type { LiveWorker, SlotApp, WorkerSlot } from "./Worker.ts"

export interface Listeners {
  readonly listen: (worker: LiveWorker, message: Message.Of<"listen">) => Effect.Effect<void>
  readonly unlisten: (worker: LiveWorker, message: Message.Of<"unlisten">) => Effect.Effect<void>
  /** Closes a listener for all its workers; `false` when the handle is stale. */
  readonly close: (handle: Handle.ListenerHandle) => Effect.Effect<boolean>
  /** Takes the worker from all listeners, for good or until its next start, and its offers with it (W12). */
  readonly leaveAll: (worker: LiveWorker, forGood: boolean) => Effect.Effect<void>
  /**
   * Empties the seats that the worker's present start, if there is one, has not taken: for good when it will not.
   * Listeners at which no seat is left are closed.
   */
  readonly vacate: (slot: WorkerSlot, forGood: boolean) => Effect.Effect<void>
  /** Closes an application's listeners on any port (W13, W18). */
  readonly closeProxies: (app: SlotApp) => Effect.Effect<void>
  /** Stops listening everywhere; established sessions go on. */
  readonly stop: Effect.Effect<void>
  /** The first listener of an application, which rules that name the application lead to. */
  readonly firstOf: (app: string) => Listening | undefined
}

export const make = (options: {
  readonly tables: Tables
  readonly transport: Transport["Service"]
  readonly rules: SessionRules["Service"]
  readonly certificates: Certificates["Service"]
  /** Runs an effect beside the caller, for the host's life. */
  readonly run: (effect: Effect.Effect<void>) => void
  readonly scope: Scope.Scope
}): Listeners => {
  const { certificates, rules, run, scope, tables, transport } = options
  const { listeners } = tables

  const firstOf = (app: string): Listening | undefined => {
    for (const entry of listeners) if (entry.app.name === app && entry.status === "bound") return entry
    return undefined
  }

  const judge = (app: SlotApp) => (connection: Arriving): Listener.Verdict => {
    // rules on cut-through sessions are the connect's
    if (rules.isEmpty || connection._tag === "CutThrough") return undefined
    const verdict = rules.decide("accept", app.options.namespace, connection.local, connection.remote)
    switch (verdict._tag) {
      case "Allow":
        return undefined
      case "Deny":
        return verdict.by === "source" ? "source-denied" : "rule-denied"
      case "Redirect": {
        const target = firstOf(verdict.app)
        return target === undefined ? "no-listener" : target.app === app ? undefined : target.listener
      }
    }
  }

  const listenerHost = (app: SlotApp, requested: string): Listener.ListenerHost => ({
    createSession: (worker, listener, connection) =>
      connection._tag === "CutThrough"
        ? connection.owner.offerTo(worker, listener)
        : tables.createSession(worker, listener.user, listener, connection),
    judge: judge(app),
    isFull: () => Tables.isFull(app),
    draining: () => tables.draining,
    affinity: ListenerOptions.of(app.options, requested).affinity,
    warn: (message) => run(Effect.logWarning(message))
  })

  /** Whether two applications' listeners on one endpoint are in each other's way, and how that is called. */
  const conflict = (
    endpoint: Endpoint.Endpoint,
    mine: SlotApp,
    theirs: SlotApp
  ): "AlreadyListening" | "AddressInUse" | undefined => {
    const global = mine.options.scope.global && theirs.options.scope.global
    if (global && Endpoint.isTransport(endpoint)) return "AlreadyListening"
    const shared = mine.options.scope.local && theirs.options.scope.local
    return shared && mine.options.namespace === theirs.options.namespace ? "AddressInUse" : undefined
  }

  /** Why the application may not listen there at all. */
  const outOfScope = (app: SlotApp, endpoint: Endpoint.Endpoint): string | undefined => {
    if (endpoint._tag === "local" && !app.options.scope.local) {
      return "local endpoints are for applications with local scope (scope.local)"
    }
    if (Endpoint.isAnyPort(endpoint) && !app.options.proxiedTransports.includes("tcp")) {
      return "any port is for proxies of that transport (proxiedTransports)"
    }
    return undefined
  }

  /** What stands on the endpoint already. */
  type Standing =
    | { readonly _tag: "Open"; readonly entry: Listening }
    | { readonly _tag: "Busy"; readonly over: Deferred.Deferred<void> }
    | { readonly _tag: "Refused"; readonly reason: Refusal.ListenReason; readonly detail: string }

  const lookUp = (worker: LiveWorker, endpoint: Endpoint.Endpoint): Standing | undefined => {
    const { app, mapIndex } = worker.slot
    const requested = Endpoint.format(endpoint)
    for (const entry of listeners) {
      const { closed, listener, settled, status } = entry
      if (listener.requested !== requested) continue
      if (entry.app !== app) {
        // of port 0 each gets one of its own
        if (Endpoint.isEphemeral(endpoint)) continue
        const reason = conflict(endpoint, app, entry.app)
        if (reason === undefined) continue
        return { _tag: "Refused", reason, detail: `application ${entry.app.name} listens on ${requested}` }
      }
      if (status !== "bound") return { _tag: "Busy", over: status === "binding" ? settled : closed }
      if (listener.members.get(mapIndex)?.live !== worker) return { _tag: "Open", entry }
      return { _tag: "Refused", reason: "AlreadyListening", detail: `this worker listens on ${requested} already` }
    }
    return undefined
  }

  /** Enters a listener that is to be opened; `undefined` when the table is full. */
  const enter = (
    worker: LiveWorker,
    endpoint: Endpoint.Endpoint,
    queues: Listener.Queues
  ): Listening | undefined => {
    const { app } = worker.slot
    const requested = Endpoint.format(endpoint)
    return listeners.allocate((handle): Listening => {
      const host = listenerHost(app, requested)
      const { admission } = app.options
      const listener = new Listener.HostListener(handle, requested, app.index, admission, host, tables.now, queues)
      listener.local = requested
      const listenerScope = Scope.forkUnsafe(scope)
      return {
        listener,
        app,
        requested: endpoint,
        bound: endpoint,
        placement: "shared",
        opener: worker,
        scope: listenerScope,
        transport: Scope.forkUnsafe(listenerScope),
        status: "binding",
        settled: Deferred.makeUnsafe(),
        closed: Deferred.makeUnsafe()
      }
    })
  }

  const listen = Effect.fnUntraced(function*(worker: LiveWorker, message: Message.Of<"listen">) {
    const { request } = message
    const refuse = (reason: Refusal.ListenReason, detail: string): void =>
      Replies.refuse(worker, request, reason, detail)
    const parsed = Endpoint.parse(message.endpoint)
    if (Result.isFailure(parsed)) return refuse("InvalidEndpoint", parsed.failure.message)
    const endpoint = parsed.success
    const { app } = worker.slot
    const outside = outOfScope(app, endpoint)
    if (outside !== undefined) return refuse("OutOfScope", outside)
    const queues = yield* Listener.makeQueues

    // a listener that is being made or unmade on this endpoint is waited for: it is there then, or it is not
    let standing = lookUp(worker, endpoint)
    for (; standing?._tag === "Busy"; standing = lookUp(worker, endpoint)) yield* Deferred.await(standing.over)
    if (standing?._tag === "Refused") return refuse(standing.reason, standing.detail)
    if (standing?._tag === "Open") return bind(worker, standing.entry, request)
    if (tables.draining) return refuse("TransportFailed", "the host is shutting down")
    if (worker.slot.live !== worker) return

    // W8: listen session with its table entry, manager, transport; a failure undoes what came before it. Nothing comes
    // in between the look and the entry
    const entry = enter(worker, endpoint, queues)
    if (entry === undefined) return refuse("NoMemory", "the host has no room for another listener")
    yield* Scope.provide(Listener.runTimers(entry.listener, queues), entry.scope)
    const failure = yield* Effect.raceFirst(
      open(entry, message),
      Effect.as(worker.over, { reason: "Detached" as const, detail: "the worker is gone" })
    )
    if (failure !== undefined) {
      yield* closeListener(entry)
      return worker.slot.live === worker ? refuse(failure.reason, failure.detail) : undefined
    }
    entry.status = "bound"
    yield* Deferred.succeed(entry.settled, undefined)
    bind(worker, entry, request)
  })

  type NoListener = Refusal.Refusal<Refusal.ListenReason>

  /** Opens a listener in its scopes; answers why not. */
  const open = Effect.fnUntraced(function*(entry: Listening, message: Message.Of<"listen">) {
    const { app, listener, requested } = entry
    const { admission, namespace, scope } = app.options
    const locals = tables.locals(namespace)
    const addLocally = (endpoint: Endpoint.Endpoint): NoListener | undefined => {
      if (!scope.local || locals.get(endpoint) === entry || locals.add(endpoint, entry)) return undefined
      return {
        reason: "AddressInUse",
        detail: `another listener has ${Endpoint.format(endpoint)} in the local scope of namespace ${namespace}`
      }
    }
    if (!Endpoint.isTransport(requested)) return addLocally(requested)
    if (!scope.global) {
      if (!Endpoint.isEphemeral(requested)) return addLocally(requested)
      return {
        reason: "AddressNotAvailable" as const,
        detail: "port 0 is for the system to choose, which local scope does not ask"
      }
    }
    const taken = Endpoint.isEphemeral(requested) ? undefined : addLocally(requested)
    if (taken !== undefined) return taken
    const asked = ListenerOptions.of(app.options, Endpoint.format(requested))
    const leavesTls = requested._tag === "tls" && asked.tlsIn === "worker"
    const moves = asked.placement === "transfer" || leavesTls
    const why = !moves
      ? undefined
      : transport.immovable === undefined
      ? "they are no sockets that could be moved"
      : transport.immovable(requested, asked)
    if (why !== undefined) {
      yield* Effect.logWarning(
        `the connections of ${listener.requested} stay in the host (placement "shared" instead of "transfer"${
          requested._tag === "tls" ? ", and TLS ends there" : ""
        }): ${why}`
      )
    }
    entry.placement = moves && why === undefined ? "transfer" : "shared"
    const bound = yield* transport.listen(requested, {
      backlog: message.backlog === 0 ? admission.backlog : message.backlog,
      ipv6Only: (message.flags & Message.IPV6_ONLY) !== 0,
      listener: { ...asked, placement: entry.placement },
      certificate: (serverName) => certificates.choose(app.handle, serverName),
      isDenied: (remote, local) => {
        if (rules.isEmpty) return false
        const verdict = rules.decide("accept", namespace, local, remote)
        if (verdict._tag !== "Deny" || verdict.by !== "source") return false
        listener.turnAway("source-denied")
        return true
      },
      refused: (reason) => listener.turnAway(reason),
      dropped: (reason) => listener.arrivals.dropped[reason]++,
      accept: listener.arrive,
      acceptError: (error, detail) =>
        run(Effect.logWarning(`accept on ${listener.local} failed and is tried again: ${error} (${detail})`))
    }).pipe(Scope.provide(entry.transport), Effect.result)
    if (Result.isFailure(bound)) {
      const { detail, reason } = bound.failure
      return { reason: Refusal.ofListen[reason], detail }
    }
    entry.bound = bound.success
    listener.local = Endpoint.format(bound.success)
    return Endpoint.isEphemeral(requested) ? addLocally(bound.success) : undefined
  })

  /** Gives the worker its seat. A worker that has gone meanwhile gets none. */
  const bind = (worker: LiveWorker, entry: Listening, request: number): void => {
    const { listener } = entry
    if (worker.slot.live !== worker) {
      if (listener.members.size === 0) run(closeListener(entry))
      return
    }
    worker.segments.acquire(listener.user)
    listener.members.set(worker.slot.mapIndex, { slot: worker.slot, live: worker })
    Replies.reply(worker, { _tag: "bound", request, listener: listener.handle, local: listener.local })
    listener.admit()
  }

  const unlisten = Effect.fnUntraced(function*(worker: LiveWorker, message: Message.Of<"unlisten">) {
    const entry = listeners.get(message.listener)
    const seat = entry?.listener.members.get(worker.slot.mapIndex)
    if (entry === undefined || seat?.live !== worker) {
      const foreign = entry !== undefined && entry.app !== worker.slot.app
      const handle = Handle.format(message.listener)
      return Replies.refuse(
        worker,
        message.request,
        foreign ? "NotOwner" : "NoSuchListener",
        foreign ? `listener ${handle} is another application's` : `this worker has no listener ${handle}`
      )
    }
    yield* leave(entry, worker)
    Replies.reply(worker, { _tag: "unlistened", request: message.request, listener: message.listener })
  })

  /** Takes the worker from the listener, which closes with its last one (W10). Established sessions go on (W9). */
  const leave = (entry: Listening, worker: LiveWorker): Effect.Effect<void> =>
    Effect.suspend(() => {
      const { listener } = entry
      const { mapIndex, restarting } = worker.slot
      // what a worker lets go of that is to start again is kept for its next start
      if (restarting) listener.members.get(mapIndex)!.live = undefined
      else listener.members.delete(mapIndex)
      if (listener.members.size > 0) {
        takeBack(listener, worker)
        return Effect.void
      }
      entry.status = "closing"
      return Scope.close(entry.transport, Exit.void).pipe(
        Effect.andThen(Effect.sync(() => takeBack(listener, worker))),
        Effect.andThen(closeListener(entry))
      )
    })

  /** The worker's offers go to others, and its manager, for this listener, to whoever listens next. */
  const takeBack = (listener: Listener.HostListener, worker: LiveWorker): void => {
    for (const session of worker.sessions) if (session.origin === listener) listener.takeBack(session)
    worker.segments.release(listener.user)
  }

  const closeListener = (entry: Listening): Effect.Effect<void> =>
    Effect.suspend(() => {
      const { app, bound, listener, requested, scope } = entry
      if (!listeners.free(listener.handle)) return Deferred.await(entry.closed)
      entry.status = "closing"
      const locals = tables.locals(app.options.namespace)
      for (const endpoint of [requested, bound]) if (locals.get(endpoint) === entry) locals.remove(endpoint)
      listener.refuseHeld("no-worker")
      // what is claimed or refused later is counted by a listener that nobody asks any more
      Ledger.add(tables.past.arrivals, listener.arrivals)
      return Scope.close(scope, Exit.void).pipe(
        Effect.andThen(Deferred.succeed(entry.settled, undefined)),
        Effect.andThen(Deferred.succeed(entry.closed, undefined)),
        Effect.asVoid
      )
    })

  const close = (handle: Handle.ListenerHandle): Effect.Effect<boolean> =>
    Effect.suspend(() => {
      const entry = listeners.get(handle)
      if (entry === undefined || entry.status !== "bound") return Effect.succeed(false)
      const members = [...entry.listener.members.values()]
      entry.status = "closing"
      entry.listener.members.clear()
      return Scope.close(entry.transport, Exit.void).pipe(
        Effect.andThen(Effect.sync(() => {
          for (const { live } of members) {
            if (live === undefined) continue
            takeBack(entry.listener, live)
            Replies.reply(live, { _tag: "unlistened", request: Replies.UNASKED, listener: handle })
          }
        })),
        Effect.andThen(closeListener(entry)),
        Effect.as(true)
      )
    })

  const leaveAll = (worker: LiveWorker, forGood: boolean): Effect.Effect<void> =>
    Effect.suspend(() => {
      const { slot } = worker
      const left: Array<Listening> = []
      const begun = [...listeners].filter(({ opener, status }) => opener === worker && status === "binding")
      // all seats first: an offer that is taken back may go to another listener's worker only if that one stays
      for (const entry of listeners) {
        const seat = entry.listener.members.get(slot.mapIndex)
        if (seat?.slot !== slot) continue
        seat.live = undefined
        if (forGood) entry.listener.members.delete(slot.mapIndex)
        left.push(entry)
      }
      const last = left.filter(({ listener }) => listener.members.size === 0)
      for (const entry of last) entry.status = "closing"
      return Effect.forEach(last, ({ transport }) => Scope.close(transport, Exit.void), { discard: true }).pipe(
        Effect.andThen(Effect.sync(() => {
          for (const session of worker.sessions) {
            session.origin.takeBack(session)
            // an offer that was taken back leaves nothing here: the worker will never come past it
            if (session.state === "REVOKED") session.pass()
          }
        })),
        Effect.andThen(Effect.forEach(last, closeListener, { discard: true })),
        Effect.andThen(Effect.forEach(begun, giveUp, { discard: true }))
      )
    })

  /** Waits for the end of a listen whose worker is gone. Others that asked for the same may have the listener. */
  const giveUp = (entry: Listening): Effect.Effect<void> =>
    Effect.andThen(
      Deferred.await(entry.settled),
      Effect.suspend(() => entry.listener.members.size === 0 ? closeListener(entry) : Effect.void)
    )

  const vacate = (slot: WorkerSlot, forGood: boolean): Effect.Effect<void> =>
    Effect.suspend(() => {
      const empty: Array<Listening> = []
      for (const entry of listeners) {
        const seat = entry.listener.members.get(slot.mapIndex)
        if (seat?.slot !== slot || (seat.live !== undefined && seat.live === slot.live)) continue
        seat.live = undefined
        if (forGood) entry.listener.members.delete(slot.mapIndex)
        if (entry.listener.members.size > 0) continue
        entry.status = "closing"
        empty.push(entry)
      }
      return Effect.forEach(
        empty,
        (entry) => Effect.andThen(Scope.close(entry.transport, Exit.void), closeListener(entry)),
        { discard: true }
      )
    })

  const closeProxies = (app: SlotApp): Effect.Effect<void> =>
    Effect.suspend(() =>
      Effect.forEach(
        [...listeners].filter((entry) => entry.app === app && Endpoint.isAnyPort(entry.requested)),
        ({ listener }) => close(listener.handle),
        { discard: true }
      )
    )

  const stop = Effect.suspend(() => {
    for (const { listener } of listeners) listener.refuseHeld("draining")
    return Effect.forEach([...listeners], ({ transport }) => Scope.close(transport, Exit.void), { discard: true })
  })

  return { listen, unlisten, close, leaveAll, vacate, closeProxies, stop, firstOf }
}
