/**
 * Does to a host what comes to mind, in random order, and compares it with the {@link Model} at every step.
 *
 * A step is one thing done. Most are followed by a look at everything, when all has happened that needs no time; the
 * others run into each other. The ledger, and the sums of sessions, are looked at after each.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Crypto from "node:crypto"
import type { RuleHandle } from "../../src/domain/admission/SessionRule.ts"
import type { AppOptionsInput } from "../../src/domain/options/Options.ts"
import * as Handle from "../../src/domain/state/Handle.ts"
import {
  type App,
  type AppSpec,
  type Arrival,
  Connect,
  type Far,
  isLocal,
  type Listener,
  Model,
  type Observed,
  portOf,
  type Side,
  type Worker
} from "./HostModel.ts"
import type { World } from "./HostWorlds.ts"
import type { Word } from "./Puppet.ts"
import type { Random } from "./random.ts"

const KiB = 1024
/** Operations that a failure shows. */
const SHOWN = 25
/** Bytes that are given along with parked sessions: none, some, as many as may be, too many. */
const STATES = [0, 100, 100, 600, 4096, 5000]
/** Characters of an operation that a failure shows. */
const LINE = 200
/** Settlings after which what differs stays so. */
const PATIENCE = 5
/** Bytes of each fifo. */
const FIFO = 4 * KiB

export const optionsOf = (spec: AppSpec, config: unknown): AppOptionsInput => ({
  name: spec.name,
  namespace: spec.namespace,
  scope: spec.scope,
  listen: spec.listen,
  config,
  queue: {
    indexQueue: spec.slots,
    ioRing: spec.slots,
    controlRing: spec.slots,
    postponedMessages: spec.postponedMessages
  },
  segment: { firstSegmentSize: 512 * KiB, addSegmentSize: 256 * KiB, rxFifoSize: FIFO, txFifoSize: FIFO },
  admission: {
    policy: spec.policy,
    holdMax: spec.holdMax,
    holdTime: spec.holdTime,
    revokeAfter: spec.revokeAfter,
    maxSessionsPerWorker: spec.maxSessionsPerWorker,
    maxSessionsPerListener: spec.maxSessionsPerListener,
    maxSessions: spec.maxSessions,
    maxHalfOpen: spec.maxHalfOpen,
    connectTimeout: spec.connectTimeout
  },
  workers: spec.workers,
  worker: {
    kind: "in-process",
    backoffBase: spec.backoff,
    backoffMax: spec.backoff,
    drainTimeout: spec.drainTimeout
  }
})

/** What must come of a step, once things have settled. */
type Check = (observed: Observed) => string | undefined

type Op = Effect.Effect<string | undefined, unknown, Scope.Scope>

export interface Tally {
  /** Steps done, by what was done, and looks at everything. */
  readonly steps: Record<string, number>
  looks: number
}

export class Driver {
  readonly world: World
  readonly model: Model
  readonly tally: Tally = { steps: {}, looks: 0 }
  readonly #random: Random
  readonly #seed: number
  readonly #digest = Crypto.createHash("sha256")
  readonly #log: Array<string> = []
  readonly #answers = new Map<number, Word>()
  readonly #rules = new Map<string, RuleHandle>()
  readonly #running: Array<{ readonly what: string; readonly fiber: Fiber.Fiber<unknown, unknown> }> = []
  readonly #dead = {
    app: [] as Array<string>,
    worker: [] as Array<string>,
    listener: [] as Array<string>,
    session: [] as Array<string>
  }
  #checks: Array<Check> = []
  #fars: Array<{ readonly far: Far; readonly arrival: Arrival }> = []
  #ids = 0
  #step = 0
  #clean = true
  #last: Observed | undefined

  constructor(world: World, random: Random, seed: number) {
    this.world = world
    this.model = new Model()
    this.#random = random
    this.#seed = seed
  }

  /** Everything that was done and seen, in one text: the same for two runs that are the same. */
  digest(): string {
    return this.#digest.copy().digest("hex")
  }

  #say(what: string): void {
    this.#digest.update(`${this.#step} ${this.model.now} ${what}\n`)
    this.#log.push(`${this.#step}, at ${this.model.now} ms: ${what}`.slice(0, LINE))
    if (this.#log.length > SHOWN) this.#log.shift()
  }

  fail(problems: ReadonlyArray<string>): never {
    throw new Error(
      [
        `seed ${this.#seed}, step ${this.#step}, at ${this.model.now} ms: the host is not what it must be`,
        ...problems.map((problem) => `  ${problem}`),
        "last operations:",
        ...this.#log.map((line) => `  ${line}`)
      ].join("\n")
    )
  }

  // ---- looking

  #pick<A>(some: Iterable<A>, holds: (one: A) => boolean = () => true): A | undefined {
    const all = [...some].filter(holds)
    return all[this.#random(Math.max(1, all.length))]
  }

  #hear(): void {
    for (const life of this.world.lives()) {
      this.#say(`${life.app}/${life.worker} starts, ${life.restarts}`)
      this.model.born(life)
    }
    for (const far of this.world.fars()) this.model.strays.add(far)
    for (const [life, word] of this.world.words()) {
      this.#say(`${life.app}/${life.worker} ${JSON.stringify(word)}`)
      if (word.say === "bound" || word.say === "unlistened" || word.say === "failed") this.#answers.set(word.id, word)
      this.model.hear(life, word)
    }
  }

  readonly observe = Effect.suspend(() => {
    const { host } = this.world
    return Effect.all({
      report: host.report,
      sessions: host.sessions({}),
      connects: host.connects,
      locals: host.locals,
      segments: host.segments
    })
  })

  /** What holds at any moment, settled or not. */
  readonly always = Effect.gen({ self: this }, function*() {
    const { report, sessions } = yield* this.observe
    const problems = [...report.imbalances]
    if (report.sessions !== sessions.length) {
      problems.push(`${report.sessions} sessions in total, and ${sessions.length} in the table`)
    }
    if (new Set(sessions.map(({ handle }) => handle)).size < sessions.length) {
      problems.push("two sessions have one handle")
    }
    for (const { listeners, name, workers } of report.apps) {
      for (const { handle, mapIndex, sessions: load } of workers) {
        const rows = sessions.filter(({ workerHandle }) => workerHandle === handle).length
        if (load !== rows) problems.push(`${name}/${mapIndex} has ${load} sessions, and ${rows} in the table`)
      }
      for (const { arrivals, handle, requested, sessions: load, workers: seats } of listeners) {
        const rows = sessions.filter(({ listener }) => listener === handle).length
        if (load !== rows) problems.push(`${requested} has ${load} sessions, and ${rows} in the table`)
        if (seats.some((seat) => !workers.some(({ mapIndex }) => mapIndex === seat))) {
          problems.push(`${requested} is served by ${seats}`)
        }
        if (arrivals.held < 0 || arrivals.offered < 0) problems.push(`${requested} has less than nothing`)
      }
    }
    for (const { app, worker, workerHandle } of sessions) {
      if (!report.apps.some(({ workers }) => workers.some(({ handle }) => handle === workerHandle))) {
        problems.push(`a session of ${app}/${worker}, which is not there`)
      }
    }
    if (problems.length > 0) this.fail(problems)
  })

  /** Looks at everything, when all has happened that needs no time. */
  readonly look = Effect.gen({ self: this }, function*() {
    const { model, world } = this
    let problems: ReadonlyArray<string> = []
    for (let tries = 0; tries < PATIENCE; tries++) {
      yield* world.settled
      this.#hear()
      const observed = yield* this.observe
      for (const worker of Array.from(model.workers())) if (model.isFinished(worker, observed)) model.stop(worker)
      model.settleStarts()
      problems = this.#problems(observed)
      if (problems.length === 0) {
        this.#take(observed)
        return
      }
    }
    this.fail(problems)
  })

  #problems(observed: Observed): ReadonlyArray<string> {
    const problems = this.model.differences(observed)
    const listening = this.world.listening()
    if (listening !== undefined) {
      const mine = [...this.model.listeners]
        .filter(({ app, endpoint, open }) => open && app.spec.scope.global && !isLocal(endpoint))
        .map(({ endpoint }) => endpoint).sort().join()
      const theirs = [...listening].sort().join()
      if (theirs !== mine) problems.push(`the host listens on ${theirs}, and must on ${mine}`)
    }
    for (const check of this.#checks) {
      const problem = check(observed)
      if (problem !== undefined) problems.push(problem)
    }
    return problems
  }

  #take(observed: Observed): void {
    const { model } = this
    const before = new Set([...model.sides()].flatMap(({ handle }) => handle ?? []))
    model.commit()
    for (const side of model.sides()) if (!side.gone && side.handle !== undefined) before.delete(side.handle)
    for (const handle of before) this.#bury("session", handle)
    this.#checks = []
    this.#clean = true
    this.#last = observed
    this.tally.looks++
    const { connects, locals, report: { apps, ledger, sessions }, sessions: rows } = observed
    this.#digest.update(JSON.stringify({ connects, locals, apps, ledger, sessions, rows }))
  }

  #bury(kind: "app" | "worker" | "listener" | "session", handle: string | undefined): void {
    if (handle === undefined) return
    const handles = this.#dead[kind]
    handles.push(handle)
    if (handles.length > 8) handles.shift()
  }

  /** Buries what is not there any more. */
  #mourn(workers: ReadonlyArray<Worker>, listeners: ReadonlyArray<Listener>): void {
    const left = new Set(this.model.workers())
    for (const worker of workers) if (!left.has(worker)) this.#bury("worker", worker.handle)
    for (const { handle, open } of listeners) if (!open) this.#bury("listener", handle)
  }

  // ---- what can be done

  #id(): number {
    return this.#ids++
  }

  /** Runs an effect of the host beside the test, and waits for it as long as it needs no time. */
  #begin<A, E>(
    what: string,
    effect: Effect.Effect<A, E, Scope.Scope>
  ): Effect.Effect<Fiber.Fiber<Result.Result<A, E>>, never, Scope.Scope> {
    return Effect.gen({ self: this }, function*() {
      const fiber = yield* Effect.forkScoped(Effect.result(effect))
      this.#running.push({ what, fiber })
      return fiber
    })
  }

  /** Waits for the answer of a worker that looks at its queue. */
  #answer(id: number): Effect.Effect<Word> {
    return Effect.gen({ self: this }, function*() {
      for (let turns = 0; turns < 200; turns++) {
        this.#hear()
        const word = this.#answers.get(id)
        if (word !== undefined) {
          this.#answers.delete(id)
          return word
        }
        yield* this.world.turn
      }
      return this.fail([`nobody answered request ${id}`])
    })
  }

  /** A failure of an operation that must come, by its reason. */
  #mustFail<A, E>(effect: Effect.Effect<A, E>, reason: string): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const result = yield* Effect.result(effect)
      const tag = Result.isSuccess(result) ? "nothing" : tagOf(result.failure)
      if (tag !== reason) this.fail([`it failed with ${tag}, and must with ${reason}`])
    })
  }

  readonly attach: Op = Effect.gen({ self: this }, function*() {
    const { model, world } = this
    const spec = this.#pick(world.specs)!
    const options = optionsOf(spec, world.config)
    if (model.apps.has(spec.name)) {
      yield* this.#mustFail(Effect.scoped(world.host.attach(options, world.module)), "AlreadyAttached")
      return `attach ${spec.name} once more`
    }
    const application = yield* world.host.attach(options, world.module)
    const app = this.#newApp(spec, application.handle)
    return `attach ${spec.name} as ${Handle.format(app.handle)}`
  })

  #newApp(spec: AppSpec, handle: Handle.AppHandle): App {
    const app = this.model.attach(spec, handle)
    if (this.#dead.app.includes(Handle.format(handle))) {
      this.fail([`application ${spec.name} has the handle of another one`])
    }
    return app
  }

  readonly detach: Op = Effect.gen({ self: this }, function*() {
    const app = this.#pick(this.model.apps.values(), ({ detaching }) => !detaching)
    if (app === undefined || (this.#random(3) > 0 && this.model.apps.size < 3)) return undefined
    yield* this.#begin("detach", this.world.host.detach(app.handle))
    yield* this.world.turn
    this.model.detach(app)
    this.#bury("app", Handle.format(app.handle))
    return `detach ${app.spec.name}`
  })

  readonly addWorker: Op = Effect.gen({ self: this }, function*() {
    const app = this.#pick(this.model.apps.values(), ({ detaching, workers }) => !detaching && workers.size < 4)
    if (app === undefined) return undefined
    if ([...app.workers.values()].every(({ purpose }) => purpose === "delete" || purpose === "detach")) {
      yield* this.#mustFail(this.world.host.addWorker(app.handle), "NoSuchApp")
      return `add a worker to ${app.spec.name}, which is going`
    }
    const added = yield* this.world.host.addWorker(app.handle)
    const worker = this.model.addWorker(app)
    worker.handle = Handle.format(added.handle)
    this.model.listenAll(worker)
    if (added.mapIndex !== worker.number) {
      this.fail([`the worker has number ${added.mapIndex}, and must have ${worker.number}`])
    }
    return `add ${worker.name} as ${worker.handle}`
  })

  readonly deleteWorker: Op = Effect.gen({ self: this }, function*() {
    const worker = this.#pick(this.model.workers(), ({ app }) => !app.detaching)
    if (worker?.handle === undefined) return undefined
    const { app, name } = worker
    const handle = handleOf<Handle.WorkerHandle>(worker.handle)
    if (worker.state === "DRAINING" || worker.purpose === "detach") {
      if (worker.purpose === "restart") return undefined
      yield* this.#mustFail(this.world.host.deleteWorker(handle), "NoSuchWorker")
      return `delete ${name}, which is being deleted`
    }
    const others = [...app.workers.values()].filter((other) =>
      other !== worker && (other.state !== "DRAINING" || other.purpose === "restart")
    )
    if (worker.number === 0 && others.length > 0) {
      yield* this.#mustFail(this.world.host.deleteWorker(handle), "DefaultWorker")
      return `delete ${name}, which is the default worker`
    }
    if (others.length === 0 && this.#random(4) > 0) return undefined
    const drain = this.#random(2) === 0
    yield* this.#begin("delete", this.world.host.deleteWorker(handle, { drain }))
    yield* this.world.turn
    const purpose = others.length === 0 ? "detach" as const : "delete" as const
    if (drain) this.model.drain(worker, purpose)
    else this.model.stop(worker, purpose)
    if (purpose === "detach" && !drain) this.#bury("app", Handle.format(app.handle))
    return `delete ${name}${drain ? " when it has finished" : ""}`
  })

  readonly restartWorker: Op = Effect.gen({ self: this }, function*() {
    const worker = this.#pick(
      this.model.workers(),
      ({ app, purpose, state }) => !app.detaching && state !== "DRAINING" && purpose !== "detach"
    )
    if (worker?.handle === undefined) return undefined
    const drain = this.#random(2) === 0
    const handle = handleOf<Handle.WorkerHandle>(worker.handle)
    yield* this.#begin("restart", this.world.host.restartWorker(handle, { drain }))
    yield* this.world.turn
    if (drain) this.model.drain(worker, "restart")
    else this.model.stop(worker, "restart")
    return `restart ${worker.name}${drain ? " when it has finished" : ""}`
  })

  readonly failStart: Op = Effect.gen({ self: this }, function*() {
    const worker = this.#pick(
      this.model.workers(),
      ({ app, blocked, handle, life, purpose, state }) =>
        !app.detaching && !blocked && state !== "DRAINING" && purpose !== "detach" && handle !== undefined
        && life !== undefined
    )
    if (worker === undefined) return undefined
    worker.failing = true
    this.world.failStart(worker)
    yield* this.#begin("restart", this.world.host.restartWorker(handleOf(worker.handle!), { drain: false }))
    yield* this.world.turn
    this.model.stop(worker, "restart")
    return `restart ${worker.name}, which fails to start`
  })

  readonly crash: Op = Effect.sync(() => {
    const worker = this.#pick(this.model.workers(), ({ life, state }) => state !== "BACKOFF" && life !== undefined)
    if (worker === undefined) return undefined
    const { name } = worker
    this.world.crash(worker)
    this.model.crash(worker)
    return `crash ${name}`
  })

  readonly block: Op = Effect.sync(() => {
    const { epoch } = this.model
    const worker = this.#pick(
      this.model.workers(),
      ({ blocked, life, releasedAt, state }) =>
        !blocked && state === "RUNNING" && life !== undefined && releasedAt !== epoch
    )
    if (worker === undefined) return undefined
    this.world.block(worker)
    worker.blocked = true
    return `block ${worker.name}`
  })

  readonly release: Op = Effect.gen({ self: this }, function*() {
    const worker = this.#pick(this.model.workers(), ({ blocked }) => blocked)
    if (worker === undefined) return undefined
    const { name, stopping } = worker
    this.#release(worker)
    // it stops now, and its number and its application's name may be another's only then
    if (stopping) yield* this.look
    return `release ${name}`
  })

  #release(worker: Worker): void {
    this.world.release(worker)
    worker.blocked = false
    worker.releasedAt = this.model.epoch
    worker.forget()
    if (worker.stopping) this.model.stop(worker)
  }

  readonly refuse: Op = Effect.sync(() => {
    const worker = this.#pick(this.model.workers(), ({ life, live }) => live && life !== undefined)
    if (worker === undefined) return undefined
    const offers = 1 + this.#random(2)
    worker.life!.tell({ do: "refuse", offers })
    return `${worker.name} refuses ${offers}`
  })

  readonly listen: Op = Effect.gen({ self: this }, function*() {
    const worker = this.#pick(
      this.model.workers(),
      ({ blocked, life, state }) => !blocked && state === "RUNNING" && life !== undefined
    )
    if (worker === undefined) return undefined
    const { app } = worker
    const endpoint = this.#pick([...app.spec.extra, ...app.spec.extra, ...app.spec.listen])!
    const why = this.model.whyNoListen(worker, endpoint)
    const id = this.#id()
    worker.life!.tell({ do: "listen", id, endpoint })
    const word = yield* this.#answer(id)
    const reason = word.say === "failed" ? word.reason : undefined
    if (reason !== why) {
      this.fail([`${worker.name} listens on ${endpoint}: ${reason ?? "yes"}, and it must be: ${why ?? "yes"}`])
    }
    if (word.say === "bound") this.model.listen(worker, endpoint, word.local)
    return `${worker.name} listens on ${endpoint}: ${why ?? "yes"}`
  })

  readonly unlisten: Op = Effect.gen({ self: this }, function*() {
    const listener = this.#pick(this.model.listeners, ({ handle, open }) => open && handle !== undefined)
    if (listener === undefined) return undefined
    const handle = handleOf<Handle.ListenerHandle>(listener.handle!)
    if (this.#random(4) === 0) {
      yield* this.world.host.unlisten(handle)
      this.model.close(listener)
      return `unlisten ${listener.requested} of ${listener.app.spec.name} for all`
    }
    const worker = this.#pick(
      this.model.workers(),
      ({ app, blocked, life, state }) =>
        !blocked && state !== "BACKOFF" && life !== undefined && (app === listener.app || this.#random(5) === 0)
    )
    if (worker === undefined) return undefined
    const why = worker.app !== listener.app
      ? "NotOwner"
      : listener.members.get(worker.number) === true
      ? undefined
      : "NoSuchListener"
    const id = this.#id()
    worker.life!.tell({ do: "unlisten", id, listener: handle })
    const word = yield* this.#answer(id)
    const reason = word.say === "failed" ? word.reason : undefined
    if (reason !== why) {
      this.fail([`${worker.name} unlistens ${listener.requested}: ${reason ?? "yes"}, and it must be: ${why ?? "yes"}`])
    }
    if (why === undefined) this.model.unlisten(listener, worker)
    return `${worker.name} unlistens ${listener.requested}: ${why ?? "yes"}`
  })

  readonly dial: Op = Effect.gen({ self: this }, function*() {
    const { model, world } = this
    const bound = this.#pick(
      model.listeners,
      ({ app, endpoint, handle, open }) => open && handle !== undefined && app.spec.scope.global && !isLocal(endpoint)
    )
    const endpoint = bound === undefined || this.#random(20) === 0
      ? "tcp://127.0.0.1:99"
      : `tcp://127.0.0.1:${portOf(bound.endpoint)}`
    const listener = model.dialled(endpoint)
    const judged = listener && model.judge(listener)
    const fate = this.#clean && typeof judged === "object" ? model.fate(judged, false) : undefined
    const far = world.dial(endpoint)
    const arrival = listener && model.arrive(listener, far, judged!)
    if (arrival === undefined) model.strays.add(far)
    else this.#fars.push({ far, arrival })
    // the connection is there
    yield* Effect.promise(() => Promise.resolve())
    if (arrival !== undefined && fate !== undefined) this.#checks.push(this.#fateOf(arrival, fate, far))
    return `dial ${endpoint} from ${far.local}: ${fate ?? (typeof judged === "string" ? judged : "?")}`
  })

  /** That a connection came to what it must come to. */
  #fateOf(arrival: Arrival, fate: ReturnType<Model["fate"]>, far?: Far): Check {
    const { listener } = arrival
    const refused = (observed: Observed | undefined): Readonly<Record<string, number>> =>
      observed?.report.apps.flatMap(({ listeners }) => listeners).find(({ handle }) => handle === listener.handle)
        ?.arrivals.refused ?? {}
    const before = refused(this.#last)
    return (observed) => {
      const what = `the connection from ${arrival.remote} to ${arrival.local} must have been ${fate}`
      const row = observed.sessions.some(({ local, remote, state }) =>
        state === "ACCEPTING" && local === arrival.local && remote === arrival.remote
      )
      const placed = arrival.status === "claimed" || arrival.status === "refused" || row
      if (fate === "placed") return placed ? undefined : what
      if (placed) return `${what}, and was placed`
      if (fate === "held") return far?.closed === true ? `${what}, and is gone` : undefined
      const now = refused(observed)
      return (now[fate] ?? 0) === (before[fate] ?? 0) + 1
        ? undefined
        : `${what}, and the reasons are ${JSON.stringify(now)}`
    }
  }

  readonly connect: Op = Effect.gen({ self: this }, function*() {
    const { model, world } = this
    const worker = this.#pick(
      model.workers(),
      ({ life, live }) => live && life !== undefined
    )
    if (worker === undefined || worker.stopping || !this.#clean) return undefined
    const { answers, holds, nobody, unreachable } = world.targets
    const locals = [...model.listeners].filter(({ app, endpoint, open }) =>
      open && app.spec.scope.local && portOf(endpoint) !== 0
    )
      .map(({ endpoint }) => endpoint.replace("0.0.0.0", "127.0.0.1"))
    const endpoint = this.#random(3) > 0 && locals.length > 0
      ? this.#pick(locals)!
      : this.#pick([
        answers,
        answers,
        answers,
        holds,
        holds,
        holds,
        holds,
        nobody,
        ...(unreachable === undefined ? [] : [unreachable]),
        "local://none"
      ])!
    const life = worker.life!
    const isSame = (connect: Connect): boolean =>
      connect.worker === worker && connect.endpoint === endpoint && (connect.half || connect.outcome === undefined)
    if ([...model.connects.values()].some(isSame)) return undefined
    const half = model.halfOpenOf(worker)
    const early = model.whyNoConnect(worker) ?? (half >= worker.app.spec.maxHalfOpen ? "half-open-limit" : undefined)
    const id = this.#id()
    const timeout = this.#random(2) === 0 ? 0 : 50 + this.#random(100)
    const until = model.now + (timeout === 0 ? worker.app.spec.connectTimeout : timeout)
    const connect = new Connect(id, worker, life, endpoint, until)
    model.connects.set(id, connect)
    const route = model.route(worker, endpoint)
    let must: string | undefined
    let fate: ReturnType<Model["fate"]> | undefined
    if (early !== undefined) must = `Refused ${early}`
    else if (route === "transport") {
      must = endpoint === answers
        ? undefined
        : endpoint === nobody
        ? "ConnectionRefused"
        : endpoint === unreachable
        ? "Unreachable"
        : undefined
    } else if ("refused" in route) must = route.refused
    else {
      fate = model.fate(route, true)
      connect.arrival = model.arrive(route, connect, route)
      this.#checks.push(this.#fateOf(connect.arrival!, fate))
      if (fate !== "placed" && fate !== "held") must = `Refused ${fate}`
    }
    life.tell({ do: "connect", id, endpoint, timeout })
    this.#checks.push(() => {
      if (worker.blocked || worker.life !== life || must === undefined || connect.cancelled) return undefined
      return connect.outcome?.startsWith(must) === true
        ? undefined
        : `connect ${id}: ${connect.outcome}, and must be ${must}`
    })
    // the host has heard of it
    for (let turns = 0; turns < 30; turns++) {
      yield* world.turn
      this.#hear()
      if (connect.outcome !== undefined || connect.conn !== undefined) break
      if (
        (yield* world.host.connects).some(({ request, workerHandle }) => request >= 0 && workerHandle === worker.handle)
      ) break
    }
    return `${worker.name} connects to ${endpoint} (${id}): ${must ?? fate ?? "?"}`
  })

  readonly answer: Op = Effect.sync(() => {
    const { connects } = this.model
    const { holds } = this.world.targets
    if (![...connects.values()].some(({ endpoint, half }) => half && endpoint === holds)) return undefined
    const failure = ([undefined, undefined, "Reset", "TimedOut", "Unreachable"] as const)[this.#random(5)]
    this.world.answer(failure)
    return `${holds} answers: ${failure ?? "yes"}`
  })

  readonly cancel: Op = Effect.sync(() => {
    const connect = this.#pick(
      this.model.connects.values(),
      ({ cancelled, life, outcome, worker }) =>
        !cancelled && outcome === undefined && worker.life === life && worker.live
    )
    if (connect === undefined) return undefined
    connect.cancelled = true
    connect.life.tell({ do: "cancel", id: connect.id })
    return `${connect.worker.name} cancels connect ${connect.id}`
  })

  /** A session whose application can be told to do something. */
  #side(holds: (side: Side) => boolean = () => true): Side | undefined {
    return this.#pick(
      this.model.sides(),
      (side) =>
        !side.dropped && !side.mute && side.handle !== undefined && side.worker.life === side.life && side.worker.live
        && holds(side)
    )
  }

  readonly write: Op = Effect.sync(() => {
    const side = this.#side(({ given }) => !given)
    if (side === undefined) return undefined
    const { conn } = side
    const bytes = 1 + this.#random(this.#random(4) === 0 ? 6000 : 200)
    const base = (side === conn.near ? conn.fromNear : conn.toNear) + side.before.written
    side.life.tell({ do: "write", session: side.handle!, bytes, base })
    return `${side.worker.name} writes ${bytes} to ${side.handle}`
  })

  readonly read: Op = Effect.sync(() => {
    const side = this.#side(({ given }) => !given)
    if (side === undefined) return undefined
    const { conn } = side
    const bytes = this.#random(2) === 0 ? 1 + this.#random(3000) : 100_000
    const base = (side === conn.near ? conn.toNear : conn.fromNear) + side.before.read
    side.life.tell({ do: "read", session: side.handle!, bytes, base })
    return `${side.worker.name} reads ${bytes} from ${side.handle}`
  })

  readonly endSide: Op = Effect.sync(() => {
    const side = this.#side(({ ended, given }) => !ended && !given)
    if (side === undefined) return undefined
    const how = (["end", "end", "close", "abort"] as const)[this.#random(4)]!
    side.life.tell({ do: how, session: side.handle! })
    return `${side.worker.name} ${how}s ${side.handle}`
  })

  readonly park: Op = Effect.sync(() => {
    const side = this.#side(({ conn, given }) => !given && (conn.kind === "accepted" || this.#random(20) === 0))
    if (side === undefined) return undefined
    const bytes = this.#pick(STATES)!
    this.#park(side, bytes)
    return `${side.worker.name} parks ${side.handle}, with ${bytes} bytes`
  })

  /** Something comes for a session that is parked: its time begins to run. */
  readonly parkedGets: Op = Effect.sync(() => {
    const conn = this.#pick(
      this.model.conns,
      ({ far, near }) => near.parked && far?.closed === false && !far.sentReset && !far.sentEnd
    )
    if (conn === undefined) return undefined
    const ends = this.#random(8) === 0
    if (ends) conn.far!.end()
    else conn.far!.send(1 + this.#random(300), conn.toNear)
    return `the far end of ${conn.near.handle}, which is parked, ${ends ? "ends" : "sends"}`
  })

  #park({ conn, handle, life }: Side, bytes: number): void {
    const state = `${conn.tag}.${this.#id()};`.repeat(bytes).slice(0, bytes)
    life.tell({ do: "park", session: handle!, state })
  }

  /** What has moved on is used by its worker, which has not heard of that: nothing comes of it. */
  readonly ghostActs: Op = Effect.sync(() => {
    const side = this.#pick(this.model.ghosts, ({ life, worker }) => worker.live && worker.life === life)
    if (side === undefined) return undefined
    const { handle, life, worker } = side
    const session = handle!
    const how = (["write", "read", "end", "close", "abort", "park"] as const)[this.#random(6)]!
    switch (how) {
      case "write":
      case "read":
        life.tell({ do: how, session, bytes: 100, base: 0 })
        break
      case "park":
        this.#park(side, 100)
        break
      default:
        life.tell({ do: how, session })
    }
    return `${worker.name} ${how}s ${handle}, which has moved on`
  })

  readonly leaveFresh: Op = Effect.sync(() => {
    const worker = this.#pick(this.model.workers(), ({ life, live }) => live && life !== undefined)
    if (worker === undefined) return undefined
    const offers = 1 + this.#random(3)
    worker.life!.tell({ do: "leaveFresh", offers })
    return `${worker.name} does nothing with ${offers}`
  })

  readonly hostEnds: Op = Effect.gen({ self: this }, function*() {
    if (!this.#clean) return undefined
    const side = this.#pick(
      this.model.sides(),
      ({ dropped, gone, handle, mute }) => !dropped && !gone && !mute && handle !== undefined
    )
    if (side === undefined) return undefined
    const { far } = side.conn
    const how = this.#random(2) === 0 ? "close" as const : "reset" as const
    if (far !== undefined && !side.isGiven && !side.conn.over) side.arrived = far.sent - far.unsent
    yield* this.world.host.endSession(handleOf(side.handle!), how)
    if (!side.isGiven) side.givenAt = this.model.epoch
    side.hostGiven = true
    // what was given up may still be broken
    if (how === "reset") side.aborted = true
    return `the host ${how}s ${side.handle} of ${side.worker.name}`
  })

  readonly farActs: Op = Effect.sync(() => {
    const far = this.#farEnd()
    if (far === undefined) return undefined
    const { conn, far: end } = far
    const where = conn?.near.handle ?? end.local
    switch (this.#random(6)) {
      case 0:
        if (end.sentEnd) return undefined
        end.end()
        return `the far end of ${where} ends`
      case 1:
        if (conn?.near.parked === true && this.#random(3) > 0) return undefined
        end.reset()
        return `the far end of ${where} resets`
      case 2:
        if (this.#random(2) === 0) end.stop()
        else end.read()
        return `the far end of ${where} stops or reads`
      default: {
        if (conn === undefined || end.sentEnd) return undefined
        const bytes = 1 + this.#random(this.#random(3) === 0 ? 6000 : 300)
        end.send(bytes, conn.toNear)
        return `the far end of ${where} sends ${bytes}`
      }
    }
  })

  #farEnd() {
    const open = [...this.model.conns].filter(({ far }) => far !== undefined && !far.closed && !far.sentReset)
    const waiting = this.#fars.filter(({ arrival, far }) => arrival.pending && !far.closed && !far.sentReset)
    this.#fars = waiting
    const conn = this.#pick(open)
    const waits = this.#pick(waiting)
    if (waits !== undefined && (conn === undefined || this.#random(4) === 0)) return { conn: undefined, far: waits.far }
    return conn === undefined ? undefined : { conn, far: conn.far! }
  }

  readonly changeRules: Op = Effect.gen({ self: this }, function*() {
    const { model, world: { rules } } = this
    switch (this.#random(5)) {
      case 0:
        if (model.deniedSource) yield* rules.allowSource("127.0.0.1")
        else if (this.#random(4) === 0) yield* rules.denySource("127.0.0.1")
        else return undefined
        model.deniedSource = !model.deniedSource
        return `${model.deniedSource ? "deny" : "allow"} all sources`
      case 1:
      case 2:
      case 3: {
        const key = this.#pick(this.#rules.keys())
        if (key === undefined) return undefined
        yield* rules.remove(this.#rules.get(key)!)
        this.#rules.delete(key)
        model.rules.delete(key)
        return `remove the rule ${key}`
      }
    }
    const on = this.#random(2) === 0 ? "accept" as const : "connect" as const
    const ports = on === "accept"
      ? [...model.listeners].filter(({ endpoint }) => !isLocal(endpoint)).map(({ endpoint }) => portOf(endpoint))
      : [443, 90, 70]
    const port = this.#pick(ports)
    if (port === undefined || port === 0) return undefined
    const action = this.#random(3) === 0 ? "deny" as const : `app:${this.#pick(this.world.specs)!.name}` as const
    const key = `${on} ${port}`
    const rule = { on, action, ...(on === "accept" ? { localPort: port } : { remotePort: port }) }
    if (this.#rules.has(key)) {
      yield* this.#mustFail(rules.add(rule), "AlreadyExists")
      return `rule ${key} once more`
    }
    this.#rules.set(key, yield* rules.add(rule))
    model.rules.set(key, { on, port, action })
    return `rule ${key} ${action}`
  })

  /** What a handle of something that is gone does: nothing. */
  readonly stale: Op = Effect.gen({ self: this }, function*() {
    const { host } = this.world
    const kind = (["app", "worker", "listener", "session"] as const)[this.#random(4)]!
    const handle = this.#pick(this.#dead[kind])
    if (handle === undefined) return undefined
    switch (kind) {
      case "app":
        yield* this.#mustFail(host.detach(handleOf(handle)), "NoSuchApp")
        yield* this.#mustFail(host.addWorker(handleOf(handle)), "NoSuchApp")
        break
      case "worker":
        yield* this.#mustFail(host.deleteWorker(handleOf(handle)), "NoSuchWorker")
        yield* this.#mustFail(host.restartWorker(handleOf(handle)), "NoSuchWorker")
        break
      case "listener":
        yield* this.#mustFail(host.unlisten(handleOf(handle)), "NoSuchListener")
        break
      case "session":
        yield* this.#mustFail(host.endSession(handleOf(handle), "reset"), "NoSuchSession")
    }
    return `${kind} ${handle}, which is gone`
  })

  // ---- time

  /** Lets time pass, from one thing that is due to the next. */
  pass(millis: number): Op {
    return Effect.gen({ self: this }, function*() {
      const { model, world } = this
      yield* this.look
      const end = model.now + millis
      while (model.now < end) {
        const next = Math.min(model.nextDeadline(), end)
        yield* world.pass(next - model.now)
        model.now = next
        model.passTime()
        yield* this.look
      }
      return `${millis} ms pass`
    })
  }

  readonly time: Op = Effect.suspend(() => this.pass(this.#random(6) === 0 ? this.#random(400) : this.#random(12)))

  // ---- all of it

  /** One operation; what can't be done now is none. */
  #do(name: string, op: Op): Effect.Effect<boolean, unknown, Scope.Scope> {
    return Effect.gen({ self: this }, function*() {
      const workers = [...this.model.workers()]
      const listeners = [...this.model.listeners]
      // what a worker has parked, and what it has in hand, is to be known before it goes
      this.#hear()
      this.#step++
      // what was foretold held for one thing alone
      if (!this.#clean) this.#checks = []
      const what = yield* op
      if (what === undefined) {
        this.#step--
        return false
      }
      this.tally.steps[name] = (this.tally.steps[name] ?? 0) + 1
      this.#say(what)
      this.#clean = false
      yield* this.always
      this.#mourn(workers, listeners)
      return true
    })
  }

  #choose(weights: Readonly<Record<string, readonly [number, Op]>>): readonly [string, Op] {
    const entries = Object.entries(weights)
    let at = this.#random(entries.reduce((sum, [, [weight]]) => sum + weight, 0))
    for (const [name, [weight, op]] of entries) {
      at -= weight
      if (at < 0) return [name, op]
    }
    throw new Error("no weights")
  }

  run(steps: number, weights: (driver: this) => { readonly light: Weights; readonly heavy: Weights }) {
    return Effect.gen({ self: this }, function*() {
      const { heavy, light } = weights(this)
      const all = { ...light, ...heavy }
      while (this.#step < steps) {
        // some run into each other, and into one that changes more
        for (let burst = this.#random(3) === 0 ? this.#random(6) : 0; burst > 0; burst--) {
          yield* this.#do(...this.#choose(light))
        }
        yield* this.#do(...this.#choose(all))
        if (!this.#clean) yield* this.look
        if (this.model.apps.size === 0) {
          yield* this.#do("attach", this.attach)
          yield* this.look
        }
      }
      yield* this.end
    })
  }

  /** Everything is released and detached; then nothing is under way. */
  readonly end = Effect.gen({ self: this }, function*() {
    for (const worker of Array.from(this.model.workers())) if (worker.blocked) this.#release(worker)
    yield* this.look
    for (const key of this.#rules.keys()) yield* this.world.rules.remove(this.#rules.get(key)!)
    if (this.model.deniedSource) yield* this.world.rules.allowSource("127.0.0.1")
    for (const app of Array.from(this.model.apps.values())) {
      if (app.detaching) continue
      yield* this.world.host.detach(app.handle)
      this.model.detach(app)
    }
    this.#say("detach all")
    yield* this.look
    for (const { fiber, what } of this.#running) {
      const exit = fiber.pollUnsafe()
      const problem = exit === undefined ? "does not end" : exit._tag === "Failure" ? "was interrupted" : undefined
      if (problem !== undefined) this.fail([`${what} ${problem}`])
    }
  })
}

export type Weights = Readonly<Record<string, readonly [number, Op]>>

/** How often what is done. */
export const usual = (driver: Driver): { readonly light: Weights; readonly heavy: Weights } => ({
  light: {
    dial: [14, driver.dial],
    write: [12, driver.write],
    read: [12, driver.read],
    far: [18, driver.farActs],
    end: [6, driver.endSide],
    park: [16, driver.park],
    parkedGets: [14, driver.parkedGets],
    fresh: [6, driver.leaveFresh],
    ghost: [8, driver.ghostActs],
    block: [5, driver.block],
    release: [3, driver.release],
    refuse: [2, driver.refuse],
    cancel: [3, driver.cancel]
  },
  heavy: {
    connect: [16, driver.connect],
    time: [14, driver.time],
    hostEnds: [4, driver.hostEnds],
    listen: [4, driver.listen],
    unlisten: [4, driver.unlisten],
    crash: [3, driver.crash],
    failStart: [2, driver.failStart],
    answer: [8, driver.answer],
    restart: [2, driver.restartWorker],
    add: [3, driver.addWorker],
    delete: [3, driver.deleteWorker],
    attach: [4, driver.attach],
    detach: [2, driver.detach],
    rules: [5, driver.changeRules],
    stale: [5, driver.stale]
  }
})

const handleOf = <H extends Handle.Handle>(text: string): H => {
  const [index, generation] = text.split(".").map(Number)
  return Handle.make<H>(index!, generation!)
}

/** The tag of an error, or of the reason in it. */
const tagOf = (error: unknown): string => {
  const { _tag, reason } = error as { readonly _tag: string; readonly reason?: { readonly _tag?: string } }
  return reason?._tag ?? _tag
}
