/**
 * The connects of a host's workers: half-open until they become a session or a reason why not (W14).
 *
 * A half-open connect belongs to its worker: it is counted, shown, and cancelled with that worker. The worker always
 * hears the result, unless it has withdrawn the request. Where a connect goes is decided by {@link ConnectRoutes}.
 * All connects of a worker have one timer.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberMap from "effect/FiberMap"
import * as Result from "effect/Result"
import { Deadlines } from "../../domain/admission/Deadlines.ts"
import type * as Message from "../../domain/memory/Message.ts"
import * as Refusal from "../../domain/state/Refusal.ts"
import type { SessionRules } from "../../services/SessionRules.ts"
import type { SharedConnection, Transport } from "../../services/Transport.ts"
import { Alarm } from "./Alarm.ts"
import type { ConnectionSession } from "./ConnectionSession.ts"
import { ConnectRoutes, type Route } from "./ConnectRoutes.ts"
import { connectOrigin, type Failure, type Outcome } from "./CutThrough.ts"
import { CutThroughs } from "./CutThroughs.ts"
import { HalfOpen } from "./HalfOpen.ts"
import type { HostListener } from "./Listener.ts"
import * as Replies from "./Replies.ts"
import { Tables } from "./Tables.ts"
import type { LiveWorker } from "./Worker.ts"

/** The name under which connects use their worker's memory. */
const USER = "connects"

/** The connects of one worker that are under way. */
interface Connecting {
  readonly fibers: FiberMap.FiberMap<number, void>
  readonly fork: (request: number, effect: Effect.Effect<void>) => Fiber.Fiber<void>
  /** When each of them times out. */
  readonly deadlines: Deadlines<HalfOpen>
  readonly alarm: Alarm
}

const NO_MEMORY: Failure = { reason: "no-memory", detail: "the worker's segments are full" }

const timedOut = ({ timeout }: HalfOpen): Failure => ({ reason: "TimedOut", detail: `no answer within ${timeout} ms` })

/** Why the worker may not have another session that it asks for. */
const whyNoConnect = (worker: LiveWorker): Failure | undefined => {
  if (worker.slot.live !== worker) return { reason: "no-worker", detail: "the worker is gone" }
  // M7: a congested worker opens no further sessions
  if (worker.isBehind) return { reason: "congested", detail: "the worker is behind with its queue" }
  if (Tables.isFull(worker.slot.app)) {
    return { reason: "host-limit", detail: "the application has all the sessions it may have" }
  }
  if (worker.slot.isFull) return { reason: "worker-limit", detail: "the worker has all the sessions it may have" }
  return undefined
}

/** Why the worker may not begin this connect. */
const whyNotBegin = (worker: LiveWorker, request: number): Failure | undefined => {
  const why = whyNoConnect(worker)
  if (why !== undefined) return why
  if (worker.halfOpen.size >= worker.slot.app.options.admission.maxHalfOpen) {
    return { reason: "half-open-limit", detail: "the worker has all the connects under way that it may have" }
  }
  return worker.halfOpen.has(request)
    ? { reason: "asked-already", detail: "the worker has asked for this already" }
    : undefined
}

export class Connects {
  /** The cut-through sessions that connects have led to. */
  readonly cutThroughs: CutThroughs
  readonly #tables: Tables
  readonly #transport: Transport["Service"]
  readonly #routes: ConnectRoutes
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  /** How many connects have begun. */
  #begun = 0
  readonly #connecting = new Map<LiveWorker, Connecting>()

  constructor(options: {
    readonly tables: Tables
    readonly transport: Transport["Service"]
    readonly rules: SessionRules["Service"]
    /** Runs an effect apart from the caller, for the host's life. */
    readonly fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  }) {
    this.#tables = options.tables
    this.#transport = options.transport
    this.#routes = new ConnectRoutes(options.tables, options.rules)
    this.#fork = options.fork
    this.cutThroughs = new CutThroughs(options.tables, whyNoConnect)
  }

  /** Accepts the worker's connects from now on, until the scope closes. */
  readonly admit = Effect.fnUntraced({ self: this }, function*(worker: LiveWorker) {
    const fibers = yield* FiberMap.make<number, void>()
    const fork = yield* FiberMap.runtime(fibers)()
    const deadlines = new Deadlines<HalfOpen>()
    const alarm = new Alarm(this.#tables.now, this.#fork, () => this.#timeOut(worker, fibers, deadlines))
    yield* Effect.addFinalizer(() => Effect.sync(() => alarm.stop()))
    this.#connecting.set(worker, { fibers, fork, deadlines, alarm })
  })

  connect(worker: LiveWorker, message: Message.Of<"connect">): void {
    const entry = this.#connecting.get(worker)
    if (entry === undefined) return
    const { request, timeout } = message
    const why = whyNotBegin(worker, request)
    if (why !== undefined) return Replies.refuse(worker, request, why.reason, why.detail)
    const since = this.#tables.now()
    const half = new HalfOpen(
      message,
      this.#begun++,
      since,
      timeout === 0 ? worker.slot.app.options.admission.connectTimeout : timeout
    )
    worker.connecting(half)
    entry.deadlines.add(half, since + half.timeout)
    entry.fork(request, this.#settle(worker, entry, half))
    entry.alarm.set(entry.deadlines.next)
  }

  /** The worker withdraws a request. */
  cancel(worker: LiveWorker, { request }: Message.Of<"cancelConnect">): void {
    const entry = this.#connecting.get(worker)
    if (entry !== undefined) this.#fork(FiberMap.remove(entry.fibers, request))
  }

  /** Cancels all connects of the worker and accepts no more (W12). */
  cancelAll(worker: LiveWorker): Effect.Effect<void> {
    return Effect.suspend(() => {
      const entry = this.#connecting.get(worker)
      this.#connecting.delete(worker)
      return entry === undefined ? Effect.void : FiberMap.clear(entry.fibers)
    })
  }

  // ---- one connect

  /** From the request to the answer. */
  #settle(worker: LiveWorker, { deadlines }: Connecting, half: HalfOpen): Effect.Effect<void> {
    return this.#follow(worker, half, this.#routes.of(worker, half)).pipe(
      Effect.map((outcome) => {
        if (outcome !== undefined) Replies.refuse(worker, half.request, outcome.reason, outcome.detail)
      }),
      Effect.ensuring(Effect.sync(() => {
        deadlines.remove(half)
        worker.settled(half)
      }))
    )
  }

  #follow(worker: LiveWorker, half: HalfOpen, route: Route): Effect.Effect<Outcome> {
    switch (route._tag) {
      case "Local":
        half.scope = "local"
        return this.#connectLocal(worker, half, route.listener)
      case "Global":
        return this.#connectGlobal(worker, half, route)
      case "Nowhere":
        return Effect.succeed(route.why)
    }
  }

  #connectLocal(worker: LiveWorker, { endpoint, request }: HalfOpen, listener: HostListener): Effect.Effect<Outcome> {
    return Effect.callback<Outcome>((resume) => {
      const cancel = this.cutThroughs.connect(
        worker,
        request,
        endpoint,
        listener,
        (outcome) => resume(Effect.succeed(outcome))
      )
      return Effect.sync(cancel)
    })
  }

  readonly #connectGlobal = Effect.fnUntraced({ self: this }, function*(
    worker: LiveWorker,
    { request }: HalfOpen,
    { endpoint, source }: Extract<Route, { readonly _tag: "Global" }>
  ) {
    const { admission, listener, tlsClient: tls } = worker.slot.app.options
    const connected = yield* Effect.result(this.#transport.connect(endpoint, { source, listener, tls }))
    if (Result.isFailure(connected)) {
      const { detail, reason } = connected.failure
      return { reason: Refusal.ofConnect[reason], detail }
    }
    const connection = connected.success
    const until = this.#tables.now() + admission.holdTime
    let session = this.#sessionNow(worker, connection)
    // the session is made here and nowhere else: an interrupted wait leaves none behind
    while (session === undefined) {
      yield* worker.memory.await.pipe(
        Effect.timeoutOption(Math.max(0, until - this.#tables.now())),
        Effect.onInterrupt(() => Effect.sync(() => connection.abort()))
      )
      session = this.#sessionNow(worker, connection) ?? (this.#tables.now() >= until ? NO_MEMORY : undefined)
    }
    if ("reason" in session) {
      connection.abort()
      return session
    }
    session.connected(session.connectedMessage(request))
    session.open()
    return undefined
  })

  /** A session for a connect, or why there is none; `undefined` while memory for it is on its way to the worker. */
  #sessionNow(worker: LiveWorker, connection: SharedConnection): ConnectionSession | Failure | undefined {
    // once more: other sessions may have begun while the connection was made
    const late = whyNoConnect(worker)
    if (late !== undefined) return late
    const session = this.#tables.createSession(worker, USER, connectOrigin, connection)
    if (session !== undefined) return session
    return worker.segments.acquire(USER).growing ? undefined : NO_MEMORY
  }

  // ---- time

  /** Ends the connects whose time is over. Returns when the next one's time is over. */
  #timeOut(worker: LiveWorker, fibers: Connecting["fibers"], deadlines: Deadlines<HalfOpen>): number {
    const now = this.#tables.now()
    for (let half; (half = deadlines.take(now)) !== undefined;) this.#fork(this.#giveUp(worker, fibers, half))
    return deadlines.next
  }

  /** Ends a connect whose time is over, and tells the worker when nothing is left of it. */
  #giveUp(worker: LiveWorker, fibers: Connecting["fibers"], half: HalfOpen): Effect.Effect<void> {
    return Effect.suspend(() => {
      // the connect may have been answered at the last moment
      if (worker.halfOpen.get(half.request) !== half) return Effect.void
      const { detail, reason } = timedOut(half)
      return Effect.andThen(
        FiberMap.remove(fibers, half.request),
        Effect.sync(() => Replies.refuse(worker, half.request, reason, detail))
      )
    })
  }
}
