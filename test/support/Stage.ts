/**
 * A host in-process over a network in memory, under `TestClock`, with applications and workers that act by a script.
 *
 * {@link scenario} ends every test with the ledger: it must balance, after the applications are detached nothing may be
 * left, and the events must add up to it.
 */
import { assert, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"
import * as Endpoint from "../../src/domain/net/Endpoint.ts"
import type { AppOptionsInput } from "../../src/domain/options/Options.ts"
import type * as Report from "../../src/domain/report/Report.ts"
import * as Handle from "../../src/domain/state/Handle.ts"
import type * as Ledger from "../../src/domain/state/Ledger.ts"
import * as Host from "../../src/layers/Host.ts"
import * as SessionLayerHost from "../../src/layers/host/SessionLayerHost.ts"
import * as AppWorkerInProcess from "../../src/layers/stack/AppWorkerInProcess.ts"
import * as WorkerStack from "../../src/layers/stack/WorkerStack.ts"
import { Machine } from "../../src/layers/system/Machine.ts"
import * as AppWorkerScripted from "../../src/layers/testing/AppWorkerScripted.ts"
import * as TransportMemory from "../../src/layers/testing/TransportMemory.ts"
import * as AppWorker from "../../src/services/AppWorker.ts"
import { Certificates } from "../../src/services/Certificates.ts"
import { Namespaces } from "../../src/services/Namespaces.ts"
import { type Application, type AttachFailed, SessionLayer } from "../../src/services/SessionLayer.ts"
import { SessionRules } from "../../src/services/SessionRules.ts"
import { type Session, Sessions, type WorkerInfo } from "../../src/services/Sessions.ts"
import { Succession } from "../../src/services/Succession.ts"
import { Transport } from "../../src/services/Transport.ts"
import { WorkerPlan } from "../../src/services/WorkerPlan.ts"
import * as EventSums from "./EventSums.ts"
import * as RawWorker from "./RawWorker.ts"
import { settled, until } from "./until.ts"

/** Where the applications of the tests listen. */
export const endpoint = "tcp://127.0.0.1:80"

/** One start of a worker of an actor. */
export interface Run {
  readonly info: WorkerInfo
  readonly sessions: Sessions["Service"]
  /** Sessions in the order in which they were accepted. */
  readonly accepted: Array<Session>
  /** Edges, as `readable 0.0`. */
  readonly edges: Array<string>
}

export interface Behaviour {
  /** What becomes of a session; by default its edges are recorded and nothing is read. */
  readonly accept?: (session: Session, run: Run) => void
  /** What a worker does at its start; by default it listens on all endpoints of its application. */
  readonly start?: (run: Run) => Effect.Effect<void, unknown, Scope.Scope>
}

/** An application that does what it is told, and remembers. */
export class Actor {
  /** Those that were made, by the URLs of their modules. */
  static readonly #all = new Map<string, Actor>()
  readonly runs: Array<Run> = []
  readonly module: AppWorker.AppModule
  /** The same for workers that are threads by their options, and in-process here. */
  readonly url = AppWorker.fromUrl(`actor:${Actor.#all.size}`)

  /** What the module is, whichever way it is given. */
  static moduleOf(module: AppWorker.AppModule): AppWorker.AppModule {
    return module._tag === "Url" ? Actor.#all.get(module.url)?.module ?? module : module
  }

  constructor(behaviour: Behaviour = {}) {
    Actor.#all.set(this.url._tag === "Url" ? this.url.url : "", this)
    this.module = AppWorker.fromLayer(Layer.effectDiscard(Effect.gen({ self: this }, function*() {
      const sessions = yield* Sessions
      const run: Run = { info: sessions.worker, sessions, accepted: [], edges: [] }
      this.runs.push(run)
      if (behaviour.start !== undefined) return yield* behaviour.start(run)
      for (const uri of sessions.endpoints) yield* sessions.listen(uri, accepting(run, behaviour.accept))
    })))
  }

  /** The latest start of a worker. */
  run(worker = 0): Run {
    return this.runs.findLast(({ info }) => info.worker === worker)!
  }

  /** Sessions of the latest starts, per worker. */
  counts(workers: number): ReadonlyArray<number> {
    return Array.from({ length: workers }, (_, worker) => this.run(worker).accepted.length)
  }
}

/** Takes sessions for a run. */
export const accepting = (run: Run, accept: Behaviour["accept"] = recorded) => (session: Session): void => {
  run.accepted.push(session)
  accept(session, run)
}

/** Takes a session up, which is parked until something is done with it (X1): from here on it stays with its worker. */
export const keep = (session: Session): void => void session.write(new Uint8Array(0))

/** Keeps the session, and records its edges. */
export const recorded = (session: Session, run: Run): void => {
  keep(session)
  const record = (edge: string) => run.edges.push(`${edge} ${Handle.format(session.handle)}`)
  session.handler = {
    readable: () => record("readable"),
    writable: () => record("writable"),
    ended: () => record("ended"),
    closed: (_, reset) => record(reset === undefined ? "closed" : `closed (${reset})`)
  }
}

/** Keeps the session, sends back what comes, and ends with the peer. */
export const echoing = (session: Session): void => {
  keep(session)
  let waiting: Uint8Array | undefined
  const go = (): void => {
    for (;;) {
      waiting ??= session.read(4096)
      if (waiting === undefined) return
      const taken = session.write(waiting)
      if (taken < 0) return
      if (taken < waiting.length) {
        waiting = waiting.subarray(taken)
        return
      }
      waiting = undefined
    }
  }
  session.handler = { readable: go, writable: go, ended: () => session.close() }
}

/** Listens that the transport takes its time for. */
export class SlowListens {
  readonly #held = new Map<string, { readonly latch: Latch.Latch; waiting: number }>()
  /** What the host has asked for with its latest listen: a test may say what the transport would. */
  latest: Parameters<Transport["Service"]["listen"]>[1] | undefined

  /** Listens on the endpoint are not answered from now on. */
  hold(uri: string = endpoint): void {
    this.#held.set(uri, { latch: Latch.makeUnsafe(false), waiting: 0 })
  }
  /** They are answered. */
  answer(uri: string = endpoint): void {
    this.#held.get(uri)?.latch.openUnsafe()
    this.#held.delete(uri)
  }
  /** Later ones are answered, those that wait still wait. */
  letPass(uri: string = endpoint): void {
    this.#held.delete(uri)
  }
  /** Listens that wait, and were not given up. */
  waiting(uri: string = endpoint): number {
    return this.#held.get(uri)?.waiting ?? 0
  }

  /** The transport with these listens. */
  readonly layer = Layer.effect(
    Transport,
    Effect.map(Transport, (transport): Transport["Service"] => ({
      ...transport,
      listen: (endpoint, options) =>
        Effect.suspend(() => {
          this.latest = options
          const held = this.#held.get(Endpoint.format(endpoint))
          if (held === undefined) return transport.listen(endpoint, options)
          held.waiting++
          return held.latch.await.pipe(
            Effect.ensuring(Effect.sync(() => held.waiting--)),
            Effect.andThen(transport.listen(endpoint, options))
          )
        })
    }))
  )
}

/** Spans in the order of their beginnings and ends. */
export class Spans {
  /** Names of those that have ended, in order. */
  readonly ended: Array<string> = []
  /** Called at the beginning and the end of each. */
  watch: (what: "begin" | "end", name: string, span: Tracer.Span) => void = () => {}

  readonly tracer: Tracer.Tracer = Tracer.make({
    span: (options) => {
      const span = new RecordedSpan(options)
      span.onEnd = () => {
        this.ended.push(span.name)
        this.watch("end", span.name, span)
      }
      this.watch("begin", span.name, span)
      return span
    }
  })

  /** The ends of spans whose names begin like this, without that beginning. */
  under(prefix: string): ReadonlyArray<string> {
    return this.ended.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length))
  }

  /** Records what happens in the effect, and in the workers of applications that are attached in it. */
  readonly record = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.provideService(effect, Tracer.Tracer, this.tracer)
}

class RecordedSpan extends Tracer.NativeSpan {
  onEnd: () => void = () => {}
  override end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
    super.end(endTime, exit)
    this.onEnd()
  }
}

/** The handle that a report shows. */
export const handleOf = <H extends Handle.Handle>(shown: string): H => {
  const [index, generation] = shown.split(".").map(Number)
  return Handle.make<H>(index!, generation!)
}

export interface Stage {
  readonly network: TransportMemory.Network
  /** The transport's listens, which a test may hold back. */
  readonly listens: SlowListens
  readonly host: SessionLayer["Service"]
  readonly rules: SessionRules["Service"]
  readonly namespaces: Namespaces["Service"]
  readonly certificates: Certificates["Service"]
  readonly succession: Succession["Service"]
  /** What the machine has: 16 processors, and more memory than it takes. */
  readonly machine: { processors: number; free: number }
  /** What is counted of a worker's messages: a test may falsify it, and has to put it right. */
  readonly messages: (worker?: number) => Ledger.MessageLedger
  /** The script of a worker, from before its start on; of a thread by its options, the script of its latest start. */
  readonly script: (worker?: number, app?: string) => AppWorkerScripted.Script
  /** Makes a worker a raw one; before it is started. */
  readonly raw: (worker?: number, app?: string) => RawWorker.RawWorker
  /** Attaches with one in-process worker that listens on {@link endpoint}, unless the options say otherwise. */
  readonly attach: (
    actor: Actor | AppWorker.AppModule,
    options?: AppOptionsInput
  ) => Effect.Effect<Application, AttachFailed, Scope.Scope>
  readonly report: Effect.Effect<Report.HostReport>
  readonly app: (name?: string) => Effect.Effect<Report.AppReport>
  readonly worker: (worker?: number, app?: string) => Effect.Effect<Report.WorkerReport>
  readonly listener: Effect.Effect<Report.ListenerReport>
  /** Dials, and lets what follows happen, as far as it needs no time. */
  readonly dial: (uri?: string, from?: string) => Effect.Effect<TransportMemory.Peer>
  /** The same until a worker has claimed the session. */
  readonly dialOpen: (uri?: string) => Effect.Effect<TransportMemory.Peer>
  /**
   * Connects so many times, each 80 ms before the first worker looks at its queue: too late for `sojournTarget` and, where
   * `revokeAfter` is longer, in time for the offer. Then the worker goes on, or is blocked again (`look`).
   */
  readonly dialLate: (count: number, then?: "release" | "look") => Effect.Effect<void>
  /** So many milliseconds pass, in steps, each with what follows from it. */
  readonly pass: (millis: number, step?: number) => Effect.Effect<void>
}

export const optionsOf = ({ worker, ...options }: AppOptionsInput = {}): AppOptionsInput => ({
  name: "app",
  listen: [endpoint],
  workers: 1,
  ...options,
  worker: { kind: "in-process", ...worker }
})

const key = (worker: number, app: string): string => `${app}/${worker}`

const make = Effect.gen(function*() {
  const network = new TransportMemory.Network()
  const listens = new SlowListens()
  const scripts = new Map<string, Array<AppWorkerScripted.Script>>()
  const raws = new Map<string, RawWorker.RawWorker>()
  const starts = (worker = 0, app = "app"): Array<AppWorkerScripted.Script> => {
    let all = scripts.get(key(worker, app))
    if (all === undefined) scripts.set(key(worker, app), all = [])
    return all
  }
  const ledgers = new Map<string, Ledger.MessageLedger>()
  const script = (worker = 0, app = "app"): AppWorkerScripted.Script => {
    const all = starts(worker, app)
    if (all.length === 0) all.push(new AppWorkerScripted.Script())
    return all.at(-1)!
  }
  const raw = (worker = 0, app = "app"): RawWorker.RawWorker => {
    let raw = raws.get(key(worker, app))
    if (raw === undefined) raws.set(key(worker, app), raw = new RawWorker.RawWorker())
    return raw
  }
  const appWorker = Layer.unwrap(Effect.map(WorkerPlan, ({ info: { app, kind, worker }, ledger, lingers, module }) => {
    ledgers.set(key(worker, app), ledger)
    const scripted = raws.get(key(worker, app))
    // generations of a worker may be there at the same time: each has a script of its own
    if (kind === "thread") starts(worker, app).push(new AppWorkerScripted.Script())
    const run = scripted === undefined
      ? AppWorkerScripted.layer(script(worker, app), lingers)
      : RawWorker.layer(scripted)
    return AppWorkerInProcess.layerWith((options) => run({ ...options, module: Actor.moduleOf(module) }))
  }))
  const machine = { processors: 16, free: 2 ** 36 }
  const services = yield* Layer.build(
    SessionLayerHost.layerStack.pipe(
      Layer.provide(WorkerStack.layerInProcess({ appWorker })),
      Layer.provide(Layer.provide(listens.layer, TransportMemory.layer(network))),
      Layer.provideMerge(Host.layerSettings),
      Layer.provide(Layer.succeed(Machine, {
        processors: () => machine.processors,
        memory: () => ({ total: 2 ** 37, free: machine.free })
      }))
    )
  )
  const host = Context.get(services, SessionLayer)
  const rules = Context.get(services, SessionRules)
  const namespaces = Context.get(services, Namespaces)
  const certificates = Context.get(services, Certificates)
  const app = (name = "app") => Effect.map(host.report, ({ apps }) => apps.find((app) => app.name === name)!)
  const dial = (uri = endpoint, from?: string) =>
    Effect.suspend(() => {
      const peer = network.dial(uri, from)
      return Effect.as(settled, peer)
    })
  const stage: Stage = {
    network,
    listens,
    host,
    rules,
    namespaces,
    certificates,
    succession: Context.get(services, Succession),
    machine,
    messages: (worker = 0) => ledgers.get(key(worker, "app"))!,
    script,
    raw,
    attach: (actor, options) =>
      host.attach(
        optionsOf(options),
        !(actor instanceof Actor) ? actor : options?.worker?.kind === "thread" ? actor.url : actor.module
      ),
    report: host.report,
    app,
    worker: (worker = 0, name) => Effect.map(app(name), ({ workers }) => workers[worker]!),
    listener: Effect.map(host.report, ({ apps }) => apps[0]!.listeners[0]!),
    dial,
    dialLate: Effect.fnUntraced(function*(count, then = "release") {
      for (let i = 0; i < count; i++) {
        script().block()
        yield* dial()
        yield* TestClock.adjust(80)
        script()[then]()
        yield* settled
      }
    }),
    dialOpen: (uri) => Effect.flatMap(dial(uri), (peer) => Effect.as(until("a claim", () => peer.opened), peer)),
    pass: Effect.fnUntraced(function*(millis, step = 250) {
      for (let passed = 0; passed < millis; passed += step) {
        yield* TestClock.adjust(step)
        yield* settled
      }
    })
  }
  const releaseAll = Effect.sync(() => {
    for (const script of [...scripts.values()].flat()) {
      script.unmute()
      script.slow(0)
      script.release()
    }
    for (const raw of raws.values()) {
      raw.held = false
      raw.look()
    }
  })
  return { stage, releaseAll }
})

/** Attaches raw workers that listen on the first endpoint of the options, and gives them. */
export const attachRaw = Effect.fnUntraced(function*(stage: Stage, options: AppOptionsInput = {}, workers = 1) {
  const raws = Array.from({ length: workers }, (_, worker) => stage.raw(worker, options.name))
  const app = yield* stage.attach(new Actor(), {
    workers,
    ...options,
    worker: { kind: "in-process", ...options.worker }
  })
  const [uri] = options.listen ?? [endpoint]
  for (const raw of raws) {
    if (uri === undefined) continue
    raw.send({ _tag: "listen", request: 1, endpoint: uri, backlog: 0, flags: 0 })
    yield* until("bound", () => raw.all("bound").length === 1)
  }
  return { app, raws }
})

/** Nothing is left, and everything that ever was is accounted for. */
export const assertNothingLeft = Effect.fnUntraced(function*(
  { host, network }: { readonly host: SessionLayer["Service"]; readonly network: Pick<Stage["network"], "listening"> }
) {
  const report = yield* host.report
  assert.deepStrictEqual(report.imbalances, [])
  assert.deepStrictEqual(report.apps, [])
  assert.strictEqual(report.sessions, 0)
  assert.deepStrictEqual(network.listening, [])
  const { arrivals, messages, offers } = report.ledger
  assert.deepStrictEqual(
    { postponed: messages.postponed, pending: offers.pending, held: arrivals.held, offered: arrivals.offered },
    { postponed: 0, pending: 0, held: 0, offered: 0 }
  )
})

export const assertBalanced = Effect.fnUntraced(function*({ host }: Pick<Stage, "host">) {
  assert.deepStrictEqual((yield* host.report).imbalances, [])
})

/** A wall clock that a test sets back; timers and monotonic time go on as those of the `TestClock`. */
export class WallClock {
  /** Milliseconds by which the wall clock is behind. */
  setBack = 0

  /** The test's clock with this wall time. */
  readonly over = (clock: Clock.Clock): Clock.Clock => {
    const currentTimeMillisUnsafe = () => clock.currentTimeMillisUnsafe() - this.setBack
    const currentTimeNanosUnsafe = () => clock.currentTimeNanosUnsafe() - BigInt(this.setBack) * 1_000_000n
    return {
      ...clock,
      currentTimeMillisUnsafe,
      currentTimeMillis: Effect.sync(currentTimeMillisUnsafe),
      currentTimeNanosUnsafe,
      currentTimeNanos: Effect.sync(currentTimeNanosUnsafe)
    }
  }
}

/**
 * A test on a stage; when it is over the applications are detached, and nothing may be left of them. `timeout`:
 * milliseconds that it may take.
 */
export const scenario = (
  title: string,
  body: (stage: Stage) => Effect.Effect<void, unknown, Scope.Scope>,
  { timeout, wall = new WallClock() }: { readonly wall?: WallClock; readonly timeout?: number } = {}
): void =>
  it.effect(title, () =>
    Effect.gen(function*() {
      const { releaseAll, stage } = yield* make
      const events = yield* EventSums.follow(stage.host)
      yield* body(stage).pipe(Effect.andThen(assertBalanced(stage)), Effect.ensuring(releaseAll), Effect.scoped)
      yield* settled
      yield* assertNothingLeft(stage)
      yield* TestClock.adjust(1000)
      yield* settled
      yield* events.addUp
    }).pipe(Effect.scoped, Effect.updateService(Clock.Clock, wall.over)), timeout)
