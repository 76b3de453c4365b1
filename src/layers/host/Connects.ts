/**
 * The connects of a host's workers: half-open until they become a session or a reason why not (W14).
 *
 * ```
 * connect ─ rules ─ limits ─┬─ local scope: a listener of the namespace ─── cut-through
 *                           └─ global scope: the transport ──────────────── a connection
 * ```
 *
 * A half-open connect belongs to its worker: it is counted, shown, and cancelled with it. The worker always hears of the
 * result, unless it has taken the request back.
 *
 * Most connects have the application's own timeout, so the one that began first is the one that is over first, and a
 * fiber per worker waits for that; only those with a timeout of their own have a timer each.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberMap from "effect/FiberMap"
import * as Latch from "effect/Latch"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type * as Message from "../../domain/memory/Message.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import * as Refusal from "../../domain/state/Refusal.ts"
import type { SessionRules } from "../../services/SessionRules.ts"
import type { SharedConnection, Transport } from "../../services/Transport.ts"
import type { ConnectionSession } from "./ConnectionSession.ts"
import { connectOrigin, type Failure, type Outcome } from "./CutThrough.ts"
import { CutThroughs } from "./CutThroughs.ts"
import type { HostListener } from "./Listener.ts"
import type { Listeners } from "./Listeners.ts"
import * as Replies from "./Replies.ts"
import { type Listening, Tables } from "./Tables.ts"
import type { HalfOpen, LiveWorker } from "./Worker.ts"

export interface Connects {
  /** The cut-through sessions that came of it. */
  readonly cutThroughs: CutThroughs
  /** Takes a worker's connects from now on, until the scope closes. */
  readonly admit: (worker: LiveWorker) => Effect.Effect<void, never, Scope.Scope>
  readonly connect: (worker: LiveWorker, message: Message.Of<"connect">) => void
  readonly cancel: (worker: LiveWorker, message: Message.Of<"cancelConnect">) => void
  /** Cancels all connects of the worker and takes no more (W12). */
  readonly cancelAll: (worker: LiveWorker) => Effect.Effect<void>
}

/** The connects of one worker that are under way. */
interface Connecting {
  readonly fibers: FiberMap.FiberMap<number, void>
  readonly fork: (request: number, effect: Effect.Effect<void>) => Fiber.Fiber<void>
  /** Open while there may be some with the application's own timeout. */
  readonly begun: Latch.Latch
}

/** Where a connect goes: to a listener in local scope, out by the transport, or nowhere. */
type Route =
  | { readonly _tag: "Local"; readonly listener: HostListener }
  | { readonly _tag: "Global"; readonly endpoint: Endpoint.TransportEndpoint }
  | { readonly _tag: "Nowhere"; readonly why: Failure }

const NO_MEMORY: Failure = { reason: "no-memory", detail: "the worker's segments are full" }

const nowhere = (why: Failure): Route => ({ _tag: "Nowhere", why })

/** Why the worker may not connect now. */
const whyNoConnect = (worker: LiveWorker): Failure | undefined => {
  if (worker.slot.live !== worker) return { reason: "no-worker", detail: "the worker is gone" }
  // M7: a congested worker opens no further sessions
  if (worker.congested) return { reason: "congested", detail: "the worker is behind with its queue" }
  if (Tables.isFull(worker.slot.app)) {
    return { reason: "host-limit", detail: "the application has all the sessions it may have" }
  }
  if (worker.slot.isFull) return { reason: "worker-limit", detail: "the worker has all the sessions it may have" }
  return undefined
}

export const make = (options: {
  readonly tables: Tables
  readonly transport: Transport["Service"]
  readonly rules: SessionRules["Service"]
  readonly listeners: Listeners
  readonly run: (effect: Effect.Effect<void>) => void
}): Connects => {
  const { listeners, rules, run, tables, transport } = options
  const cutThroughs = new CutThroughs(tables, whyNoConnect)
  const connecting = new Map<LiveWorker, Connecting>()

  /** A session for a connect, or why there is none; `undefined` while memory for it is on its way to the worker. */
  const sessionNow = (worker: LiveWorker, connection: SharedConnection): ConnectionSession | Failure | undefined => {
    // once more: others may have come first while the connection was made
    const late = whyNoConnect(worker)
    if (late !== undefined) return late
    const session = tables.createSession(worker, "connects", connectOrigin, connection)
    if (session !== undefined) return session
    return worker.segments.acquire("connects").growing ? undefined : NO_MEMORY
  }

  const connectGlobal = Effect.fnUntraced(function*(
    worker: LiveWorker,
    endpoint: Endpoint.TransportEndpoint,
    source: Endpoint.InetEndpoint | undefined,
    request: number
  ) {
    const { listener, tlsClient: tls } = worker.slot.app.options
    const connected = yield* Effect.result(transport.connect(endpoint, { source, listener, tls }))
    if (Result.isFailure(connected)) {
      const { detail, reason } = connected.failure
      return { reason: Refusal.ofConnect[reason], detail }
    }
    const connection = connected.success
    const until = tables.now() + worker.slot.app.options.admission.holdTime
    let session = sessionNow(worker, connection)
    // it is made here and nowhere beside: who is interrupted while he waits has none yet
    while (session === undefined) {
      yield* worker.memory.await.pipe(
        Effect.timeoutOption(Math.max(0, until - tables.now())),
        Effect.onInterrupt(() => Effect.sync(() => connection.abort()))
      )
      session = sessionNow(worker, connection) ?? (tables.now() >= until ? NO_MEMORY : undefined)
    }
    if ("reason" in session) {
      connection.abort()
      return session
    }
    session.connected(session.connectedMessage(request))
    session.open()
    return undefined
  })

  const connectLocal = (worker: LiveWorker, endpoint: string, listener: HostListener, request: number) =>
    Effect.callback<Outcome>((resume) => {
      const cancel = cutThroughs.connect(
        worker,
        request,
        endpoint,
        listener,
        (outcome) => resume(Effect.succeed(outcome))
      )
      return Effect.sync(cancel)
    })

  /** The local listener that a connect finds: a proxy never finds one of its own (W18). */
  const localListener = (worker: LiveWorker, endpoint: Endpoint.Endpoint): Listening | undefined => {
    const { app } = worker.slot
    if (!app.options.scope.local) return undefined
    const isProxy = app.options.proxiedTransports.length > 0
    const eligible = (entry: Listening) => entry.status === "bound" && !(isProxy && entry.app === app)
    return tables.locals(app.options.namespace).lookup(endpoint, eligible)
  }

  const route = (
    worker: LiveWorker,
    endpoint: Endpoint.Endpoint,
    source: Endpoint.InetEndpoint | undefined
  ): Route => {
    const { app } = worker.slot
    if (!rules.isEmpty) {
      const from = source === undefined ? "" : Endpoint.format(source)
      const verdict = rules.decide("connect", app.options.namespace, from, Endpoint.format(endpoint))
      if (verdict._tag === "Deny") return nowhere({ reason: "rule-denied", detail: verdict.by })
      // who is sent to itself goes where it wanted to: a proxy would never get out
      if (verdict._tag === "Redirect" && verdict.app !== app.name) {
        const target = listeners.firstOf(verdict.app)
        return target === undefined
          ? nowhere({ reason: "no-listener", detail: `a rule sends it to ${verdict.app}, which does not listen` })
          : { _tag: "Local", listener: target.listener }
      }
    }
    const found = localListener(worker, endpoint)
    if (found !== undefined) return { _tag: "Local", listener: found.listener }
    if (Endpoint.isTransport(endpoint)) {
      return app.options.scope.global
        ? { _tag: "Global", endpoint }
        : nowhere({ reason: "ConnectionRefused", detail: "nobody listens there in the local scope" })
    }
    return nowhere(
      app.options.scope.local
        ? { reason: "ConnectionRefused", detail: "nobody listens there" }
        : { reason: "OutOfScope", detail: "local endpoints are for applications with local scope (scope.local)" }
    )
  }

  /** The last endpoint that was connected to: many connects go to the same one. */
  let last: { readonly text: string; readonly parsed: ReturnType<typeof Endpoint.parse> } | undefined

  const attempt = (worker: LiveWorker, message: Message.Of<"connect">, half: HalfOpen): Effect.Effect<Outcome> => {
    if (last?.text !== message.endpoint) last = { text: message.endpoint, parsed: Endpoint.parse(message.endpoint) }
    const { parsed } = last
    if (Result.isFailure(parsed)) return Effect.succeed({ reason: "InvalidEndpoint", detail: parsed.failure.message })
    const endpoint = parsed.success
    if (Endpoint.isAnyPort(endpoint) || Endpoint.isEphemeral(endpoint)) {
      return Effect.succeed({
        reason: "InvalidEndpoint",
        detail: `endpoint "${message.endpoint}": a connect needs a port from 1 to 65535`
      })
    }
    const source = message.source === "" ? undefined : Endpoint.parse(message.source)
    if (source !== undefined && (Result.isFailure(source) || !Endpoint.isInet(source.success))) {
      const detail = Result.isFailure(source) ? source.failure.message : "it must be an address and a port"
      return Effect.succeed({ reason: "InvalidSource", detail: `source: ${detail}` })
    }
    const from = source?.success as Endpoint.InetEndpoint | undefined
    if (from !== undefined && Endpoint.isTransport(endpoint) && from._tag !== endpoint._tag) {
      const detail = `source: it must be of the endpoint's transport, ${endpoint._tag}, not ${from._tag}`
      return Effect.succeed({ reason: "InvalidSource", detail })
    }
    const where = route(worker, endpoint, from)
    switch (where._tag) {
      case "Local":
        half.scope = "local"
        return connectLocal(worker, message.endpoint, where.listener, message.request)
      case "Global":
        return connectGlobal(worker, where.endpoint, from, message.request)
      case "Nowhere":
        return Effect.succeed(where.why)
    }
  }

  const timedOut = (half: HalfOpen): Failure => ({ reason: "TimedOut", detail: `no answer within ${half.timeout} ms` })

  /** Whether the connect's time is looked after by its worker's fiber. */
  const isUsual = (worker: LiveWorker, half: HalfOpen): boolean =>
    half.timeout === worker.slot.app.options.admission.connectTimeout

  const settle = (worker: LiveWorker, message: Message.Of<"connect">, half: HalfOpen): Effect.Effect<void> => {
    const made = attempt(worker, message, half)
    const timed: Effect.Effect<Outcome> = isUsual(worker, half)
      ? made
      : Effect.timeoutOrElse(made, { duration: half.timeout, orElse: () => Effect.succeed(timedOut(half)) })
    return timed.pipe(
      Effect.map((outcome) => {
        if (outcome !== undefined) Replies.refuse(worker, message.request, outcome.reason, outcome.detail)
      }),
      Effect.ensuring(Effect.sync(() => worker.halfOpen.delete(message.request)))
    )
  }

  const firstUsual = (worker: LiveWorker): HalfOpen | undefined => {
    for (const half of worker.halfOpen.values()) if (isUsual(worker, half)) return half
    return undefined
  }

  /** Ends the connects whose time is over, each in its turn. */
  const watch = (worker: LiveWorker, { begun, fibers }: Connecting): Effect.Effect<never> =>
    begun.await.pipe(
      Effect.andThen(Effect.suspend(() => {
        const first = firstUsual(worker)
        if (first === undefined) {
          begun.closeUnsafe()
          return Effect.void
        }
        const left = first.since + first.timeout - tables.now()
        if (left > 0) return Effect.sleep(left)
        const { detail, reason } = timedOut(first)
        return Effect.andThen(
          FiberMap.remove(fibers, first.request),
          Effect.sync(() => Replies.refuse(worker, first.request, reason, detail))
        )
      })),
      Effect.forever
    )

  const admit = Effect.fnUntraced(function*(worker: LiveWorker) {
    const fibers = yield* FiberMap.make<number, void>()
    const fork = yield* FiberMap.runtime(fibers)()
    const entry = { fibers, fork, begun: Latch.makeUnsafe(false) }
    connecting.set(worker, entry)
    yield* Effect.forkScoped(watch(worker, entry))
  })

  const connect = (worker: LiveWorker, message: Message.Of<"connect">): void => {
    const entry = connecting.get(worker)
    if (entry === undefined) return
    const { connectTimeout, maxHalfOpen } = worker.slot.app.options.admission
    const early: Failure | undefined = whyNoConnect(worker)
      ?? (worker.halfOpen.size >= maxHalfOpen
        ? { reason: "half-open-limit", detail: "the worker has all the connects under way that it may have" }
        : undefined)
      ?? (worker.halfOpen.has(message.request) ?
        { reason: "asked-already", detail: "the worker has asked for this already" }
        : undefined)
    if (early !== undefined) return Replies.refuse(worker, message.request, early.reason, early.detail)
    const { endpoint, request, source, timeout } = message
    const half: HalfOpen = {
      request,
      endpoint,
      source,
      scope: "global",
      since: tables.now(),
      timeout: timeout === 0 ? connectTimeout : timeout
    }
    worker.halfOpen.set(request, half)
    entry.begun.openUnsafe()
    entry.fork(request, settle(worker, message, half))
  }

  return {
    cutThroughs,
    connect,
    admit,
    cancel: (worker, { request }) => {
      const entry = connecting.get(worker)
      if (entry !== undefined) run(FiberMap.remove(entry.fibers, request))
    },
    cancelAll: (worker) =>
      Effect.suspend(() => {
        const entry = connecting.get(worker)
        connecting.delete(worker)
        return entry === undefined ? Effect.void : FiberMap.clear(entry.fibers)
      })
  }
}
