/**
 * Parked sessions, as a peer sees them, over random steps: workers block, crash, are drained, restarted, deleted, added
 * and reloaded, with code that starts and code that does not, whatever the peers are at. Any generation of a worker may
 * be blocked, before, during and after that; their queues are short, and a worker has no room for all sessions. Each message of a peer is answered once, in order, by whichever worker, with
 * a count that goes along with the session; what a worker had in hand when it was gone is reset, and nothing else is.
 * After every step the ledger balances.
 *
 * What needs three deaths or two blocked workers at once comes up once in some ten thousand steps. A run of 100,000, to
 * be done after changes to how sessions move, takes some minutes:
 *
 * ```
 * SLUICE_TEST_STEPS=50000 npx vitest run test/layers/host/MovesModel.test.ts
 * ```
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Handle from "../../../src/domain/state/Handle.ts"
import type { Script } from "../../../src/layers/testing/AppWorkerScripted.ts"
import type { Peer } from "../../../src/layers/testing/MemoryPeer.ts"
import type { Session } from "../../../src/services/Sessions.ts"
import * as Long from "../../support/long.ts"
import * as Random from "../../support/random.ts"
import { accepting, Actor, handleOf, type Run, scenario, type Stage } from "../../support/Stage.ts"
import { settled } from "../../support/until.ts"

/** Steps of a run, of which there are two with different seeds; `SLUICE_TEST_STEPS` says otherwise. */
const STEPS = Number(process.env["SLUICE_TEST_STEPS"] ?? Long.steps({ short: 700, long: 2500 }))
/** Milliseconds that a run may take: a step takes 2 on a machine that is not busy. */
const TIMEOUT = 30_000 + 30 * STEPS
const PEERS = 16
/** The most sessions of a worker: two workers, and there are never fewer, have room for all. */
const MOST = PEERS / 2
/** Messages: one is answered at once, the other when it is said. */
const QUICK = "m;"
const SLOW = "s;"
/** Workers that may die, one after the other, with a session that none of them has done anything with. */
const CRASHES = 3

/** A session as the application has it: it answers each message with how many there were. */
class Talk {
  readonly run: Run
  readonly session: Session
  /** The one that its session had with another worker before. */
  readonly before: Talk | undefined
  #count: number
  #text = ""
  /** It waits with its answer. */
  isBusy = false
  /** Nothing has been done with it, or it is parked: it may go on with another worker. */
  isFresh = true
  isParked = true
  /** It has moved on, or is over here. */
  isOver = false

  constructor(session: Session, run: Run, before: Talk | undefined) {
    this.run = run
    this.before = before
    this.session = session
    this.#count = Number(Buffer.from(session.about.state ?? []).toString())
    session.handler = {
      readable: () => this.#go(),
      ended: () => {
        this.#take()
        this.#go()
      },
      closed: () => this.isOver = true,
      moved: () => {
        assert.isTrue(this.isParked, "a session has moved that was in hand")
        this.isOver = true
      }
    }
  }

  #take(): void {
    this.isFresh = false
    this.isParked = false
  }

  answer(): void {
    if (!this.isBusy || this.isOver) return
    this.isBusy = false
    this.session.write(Buffer.from(`${this.#count};`))
    this.#go()
  }

  #go(): void {
    if (this.isOver) return
    for (;;) {
      this.#answerAll()
      if (this.isBusy) return
      const bytes = this.session.read()
      if (bytes !== undefined) {
        this.#take()
        this.#text += Buffer.from(bytes).toString()
      } else if (this.session.ended) {
        this.isOver = true
        return this.session.close()
      } else if (this.isParked || this.#text !== "" || this.#park()) return
    }
  }

  /** `false` when there is something to read after all. */
  #park(): boolean {
    const refusal = this.session.park(Buffer.from(String(this.#count)))
    assert.include([undefined, "unread"], refusal)
    this.isParked = refusal === undefined
    return this.isParked
  }

  #answerAll(): void {
    for (let end; !this.isBusy && (end = this.#text.indexOf(";")) >= 0;) {
      const message = this.#text.slice(0, end + 1)
      this.#text = this.#text.slice(end + 1)
      this.#count++
      if (message === SLOW) this.isBusy = true
      else this.session.write(Buffer.from(`${this.#count};`))
    }
  }
}

/** A peer, and what is to come of it. */
class Caller {
  readonly peer: Peer
  talk: Talk | undefined
  /** Messages, of the last of which a half may have been sent. */
  sent = 0
  half: string | undefined
  /** Workers that died with it, one after the other, and had done nothing with it. */
  crashes = 0
  /** A worker that had it in hand is gone; it has broken the connection itself. */
  isLost = false
  hasReset = false
  hasEnded = false

  constructor(peer: Peer) {
    this.peer = peer
  }

  get isOpen(): boolean {
    return !this.isLost && !this.hasReset && !this.peer.closed
  }

  get expected(): string {
    return Array.from({ length: this.sent }, (_, i) => `${i + 1};`).join("")
  }

  get isAnswered(): boolean {
    return this.peer.received().toString() === this.expected
  }

  /** Its session may be another one by now. */
  goesOn(talk: Talk | undefined): void {
    for (let one = talk; one !== undefined && one !== this.talk;) {
      one = one.before
      if (one?.isFresh === false) this.crashes = 0
    }
    this.talk = talk
  }

  /** Its session's worker is gone, at once. */
  losesWorker(isCrash: boolean): void {
    const { talk } = this
    if (talk === undefined || talk.isOver || !this.isOpen) return
    if (talk.isFresh && isCrash) this.crashes++
    if (!talk.isParked || (talk.isFresh && this.crashes === CRASHES)) this.isLost = true
    talk.isOver = true
  }
}

/** What is done to workers, and may last. */
const operations = [
  "restart",
  "restart at once",
  "delete",
  "delete at once",
  "add",
  "reload",
  "reload at once",
  "reload, which fails",
  "reload at once, which fails"
] as const

/** The starts of workers that are there, by age, with their scripts. */
class Starts {
  readonly #scripts = new Map<Run, Script>()
  readonly #random: Random.Random
  /** Whether they take their time, and whether the next one fails. */
  areSlow = false
  fails = false

  constructor(random: Random.Random) {
    this.#random = random
  }

  /** The start is there until its scope closes. */
  begin(run: Run, script: Script): Effect.Effect<void, Error, Scope.Scope> {
    return Effect.suspend(() => {
      this.#scripts.set(run, script)
      const { fails } = this
      this.fails = false
      return Effect.addFinalizer(() => Effect.sync(() => this.#scripts.delete(run))).pipe(
        Effect.andThen(this.areSlow && this.#random(2) === 0 ? Effect.sleep(this.#random(20)) : Effect.void),
        Effect.andThen(fails ? Effect.fail(new Error("the new code does not start")) : Effect.void)
      )
    })
  }

  of(worker: number): ReadonlyArray<readonly [Run, Script]> {
    return [...this.#scripts].filter(([{ info }]) => info.worker === worker)
  }

  has(run: Run): boolean {
    return this.#scripts.has(run)
  }
}

type Step = Effect.Effect<void, unknown, Scope.Scope>

class Walk {
  readonly kinds = new Map<string, number>()
  readonly #stage: Stage
  readonly #app: Handle.AppHandle
  readonly #random: Random.Random
  readonly #talks: Map<string, Talk>
  readonly #starts: Starts
  readonly #log: Array<string> = []
  #steps = 0
  #callers: Array<Caller> = []
  /** Starts of workers, which may be gone. */
  readonly #blocked = new Map<Run, Script>()
  #deck: Array<typeof operations[number]> = []
  /** What is done to workers and has not come to its end. */
  #under: { readonly what: string; readonly fiber: Fiber.Fiber<unknown, unknown> } | undefined
  #lost = 0

  constructor(
    stage: Stage,
    app: Handle.AppHandle,
    random: Random.Random,
    talks: Map<string, Talk>,
    starts: Starts
  ) {
    this.#starts = starts
    this.#stage = stage
    this.#app = app
    this.#random = random
    this.#talks = talks
  }

  #pick<A>(from: ReadonlyArray<A>): A | undefined {
    return from[this.#random(Math.max(1, from.length))]
  }

  #fail(what: string): never {
    throw new Error([`step ${this.#steps}: ${what}`, ...this.#log.slice(-25)].join("\n  "))
  }

  /** What holds at any moment. */
  readonly check = Effect.gen({ self: this }, function*() {
    const { imbalances, ledger: { arrivals } } = yield* this.#stage.report
    if (imbalances.length > 0) this.#fail(imbalances.join("; "))
    const refused = Object.values(arrivals.refused).reduce((a, b) => a + b, 0)
    if (refused > 0) this.#fail(`${refused} connections were refused`)
    for (const caller of this.#callers) {
      const { hasReset, isLost, peer } = caller
      caller.goesOn(this.#talks.get(peer.local))
      if (!caller.expected.startsWith(peer.received().toString())) {
        this.#fail(`${peer.local} was answered ${peer.received().toString()}, and must be ${caller.expected}`)
      }
      if (peer.broken !== undefined && !hasReset && !isLost) this.#fail(`${peer.local} was reset`)
    }
  })

  readonly settle = Effect.gen({ self: this }, function*() {
    yield* settled
    yield* this.check
    for (const { isLost, peer } of this.#callers) {
      if (isLost && !peer.closed) this.#fail(`${peer.local} was in hand, and is not reset`)
    }
    const { lost } = (yield* this.#stage.report).ledger.arrivals
    this.#lost += this.#callers.filter(({ isLost }) => isLost).length
    if (lost !== this.#lost) this.#fail(`${lost} sessions were lost, and it must be ${this.#lost}`)
    this.#callers = this.#callers.filter(({ peer }) => !peer.closed)
    for (const run of this.#blocked.keys()) if (!this.#starts.has(run)) this.#blocked.delete(run)
    if (this.#under?.fiber.pollUnsafe() === undefined) return
    yield* Fiber.join(this.#under.fiber)
    this.#under = undefined
    this.#starts.fails = false
  })

  /** Begins something that may last until other things have been done. */
  #begin(what: "add" | "delete" | "reload" | "restart", effect: Effect.Effect<unknown, unknown>, ends?: number): Step {
    return Effect.gen({ self: this }, function*() {
      yield* this.settle
      if (ends !== undefined) yield* this.#lose(ends, what === "delete" ? "delete" : "restart")
      this.#under = { what, fiber: yield* Effect.forkScoped(effect) }
    })
  }

  /**
   * The latest start of a worker is gone, at once; what starts before it have in hand goes on, unless all are. A start
   * that is blocked has not heard which sessions have moved on: those are not lost, and only the host knows of them.
   */
  #lose(worker: number, why: "crash" | "restart" | "delete"): Step {
    return Effect.gen({ self: this }, function*() {
      const latest = this.#starts.of(worker).at(-1)?.[0]
      const there = new Set((yield* this.#stage.host.sessions({})).map(({ handle }) => handle))
      for (const caller of this.#callers) {
        const { talk } = caller
        if (talk === undefined) continue
        const isGone = talk.run === latest || (why === "delete" && talk.run.info.worker === worker)
        if (isGone && there.has(Handle.format(talk.session.handle))) caller.losesWorker(why === "crash")
      }
    })
  }

  /** Something that a peer does. */
  #peerStep(): string | undefined {
    const caller = this.#pick(this.#callers.filter(({ hasEnded, isOpen }) => isOpen && !hasEnded))
    const roll = this.#random(20)
    if (caller === undefined || (roll < 5 && this.#callers.length < PEERS)) {
      this.#callers.push(new Caller(this.#stage.network.dial("tcp://127.0.0.1:80")))
      return "dial"
    }
    const { half, peer } = caller
    if (roll === 5) {
      peer.reset()
      caller.hasReset = true
      return "reset"
    }
    if (roll === 6 && half === undefined) {
      peer.end()
      caller.hasEnded = true
      return "end"
    }
    const message = half ?? (roll < 11 ? SLOW : QUICK)
    if (half === undefined && roll > 16) {
      peer.send(message[0]!)
      caller.half = message
      return "send a half"
    }
    if (half !== undefined) this.#sendRest(caller)
    else {
      peer.send(message)
      caller.sent++
    }
    return message === SLOW ? "send a slow one" : "send"
  }

  #sendRest(caller: Caller): void {
    caller.peer.send(";")
    caller.half = undefined
    caller.sent++
  }

  /** Something that happens to a worker. */
  #workerStep(number: number, handle: Handle.WorkerHandle, workers: number): readonly [string, Step] | undefined {
    const starts = this.#starts.of(number)
    const roll = this.#random(this.#under === undefined ? 20 : 12)
    if (roll < 5) {
      const [run, script] = this.#pick(starts)!
      script.block()
      this.#blocked.set(run, script)
      return [this.#under === undefined ? "block" : "block meanwhile", Effect.void]
    }
    if (roll < 12) {
      const [run, script] = this.#pick([...this.#blocked]) ?? []
      if (run !== undefined) this.#blocked.delete(run)
      return script === undefined ? undefined : ["release", Effect.sync(() => script.release())]
    }
    if (roll < 14) {
      return ["crash", Effect.andThen(this.#lose(number, "crash"), Effect.sync(() => starts.at(-1)![1].crash()))]
    }
    // dealt like cards, so that a short run has them all
    if (this.#deck.length === 0) this.#deck = [...operations]
    const [operation] = this.#deck.splice(this.#random(this.#deck.length), 1)
    const done = this.#operation(operation!, number, handle, workers)
    if (done === undefined) this.#deck.push(operation!)
    return done && [operation!, done]
  }

  #operation(
    operation: typeof operations[number],
    number: number,
    handle: Handle.WorkerHandle,
    workers: number
  ): Step | undefined {
    const { host } = this.#stage
    const atOnce = operation.includes("at once")
    switch (operation) {
      case "restart":
        return this.#begin("restart", host.restartWorker(handle))
      case "restart at once":
        return Effect.andThen(
          this.#releaseAll(number),
          this.#begin("restart", host.restartWorker(handle, { drain: false }), number)
        )
      case "delete":
        if (number === 0 || workers < 3) return undefined
        return this.#begin("delete", host.deleteWorker(handle))
      case "delete at once":
        if (number === 0 || workers < 3) return undefined
        return Effect.andThen(
          this.#releaseAll(number),
          this.#begin("delete", host.deleteWorker(handle, { drain: false }), number)
        )
      case "add":
        return workers > 3 ? undefined : this.#begin("add", host.addWorker(this.#app, { kind: "thread" }))
      case "reload":
      case "reload at once":
        return this.#begin("reload", host.reload(this.#app, { atOnce }))
      case "reload, which fails":
      case "reload at once, which fails":
        return Effect.andThen(
          Effect.sync(() => void (this.#starts.fails = true)),
          this.#begin("reload", this.#failingReload(atOnce))
        )
    }
  }

  /** A start that does not look is waited for, and what it has in hand is reset only then. */
  #releaseAll(number: number): Step {
    return Effect.sync(() => {
      for (const [run, script] of this.#starts.of(number)) {
        script.release()
        this.#blocked.delete(run)
      }
    })
  }

  /** The start that fails may be another one, of a worker that has crashed: then the new code is as good as the old. */
  #failingReload(atOnce: boolean): Effect.Effect<unknown, unknown> {
    return this.#stage.host.reload(this.#app, { atOnce }).pipe(
      Effect.catchTag("ReloadFailed", (error) => {
        if (error.reason._tag !== "WorkerFailed") return Effect.fail(error)
        if (this.#starts.fails) this.#fail("a reload has failed, and no start has")
        return Effect.void
      })
    )
  }

  readonly step: Step = Effect.gen({ self: this }, function*() {
    this.#steps++
    const roll = this.#random(10)
    let kind: string | undefined
    if (roll < 5) kind = this.#peerStep()
    else if (roll < 7) {
      const talk = this.#pick(this.#callers.flatMap(({ talk }) => talk?.isBusy === true && !talk.isOver ? [talk] : []))
      kind = talk === undefined ? undefined : "answer"
      talk?.answer()
    } else if (roll < 8) {
      kind = "time"
      yield* TestClock.adjust(this.#random(8) === 0 ? this.#random(200) : this.#random(12))
    } else {
      // what is in hand is known where nothing is under way
      yield* this.settle
      const workers = (yield* this.#stage.app()).workers.filter(({ state }) => state === "RUNNING")
      const worker = this.#pick(workers)
      const done = worker === undefined
        ? undefined
        : this.#workerStep(worker.mapIndex, handleOf(worker.handle), workers.length)
      if (done !== undefined) {
        kind = done[0]
        this.#log.push(`${kind} ${worker!.mapIndex}`)
        yield* done[1]
        yield* this.settle
      }
    }
    if (kind === undefined) return
    this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + 1)
    this.#log.push(kind)
    yield* this.check
    if (this.#random(3) === 0) yield* this.settle
  })

  /** Whoever is left is answered. */
  readonly end: Step = Effect.gen({ self: this }, function*() {
    // a session with a part of a message is in hand, and a drain waits for it
    for (const caller of this.#callers) if (caller.half !== undefined) this.#sendRest(caller)
    for (let turns = 0; turns < 20; turns++) {
      for (const script of this.#blocked.values()) script.release()
      for (const { talk } of this.#callers) talk?.answer()
      yield* TestClock.adjust(100)
      yield* this.settle
    }
    if (this.#under !== undefined) this.#fail(`${this.#under.what} does not end`)
    for (const caller of this.#callers) {
      caller.peer.send(QUICK)
      caller.sent++
    }
    for (let turns = 0; turns < 50 && this.#callers.some((caller) => !caller.isAnswered); turns++) {
      yield* TestClock.adjust(10)
      yield* this.settle
      for (const { talk } of this.#callers) talk?.answer()
    }
    for (const caller of this.#callers) {
      const { expected, isAnswered, peer, talk } = caller
      if (!isAnswered) {
        this.#fail(
          `${peer.local} was answered ${peer.received().toString()}, and must be ${expected}; ` +
            `worker ${talk?.run.info.worker}, ${talk?.isParked === true ? "parked" : "in hand"}`
        )
      }
      peer.reset()
    }
    yield* settled
  })
}

const kinds = new Map<string, number>()

describe("sessions that move", () => {
  for (const seed of [1, 2]) {
    scenario(
      `X1 X2 X3 M14 are answered in order whatever becomes of workers, ${STEPS} steps (seed ${seed})`,
      (stage) =>
        Effect.gen(function*() {
          const talks = new Map<string, Talk>()
          const random = Random.make(seed)
          const starts = new Starts(random)
          const accept = (session: Session, run: Run): void =>
            void talks.set(session.remote, new Talk(session, run, talks.get(session.remote)))
          const actor = new Actor({
            start: (run) =>
              Effect.andThen(
                starts.begin(run, stage.script(run.info.worker)),
                Effect.forEach(run.sessions.endpoints, (uri) => run.sessions.listen(uri, accepting(run, accept)))
              )
          })
          const { handle } = yield* stage.attach(actor, {
            workers: 3,
            admission: { holdTime: "5 minutes", maxSessionsPerWorker: MOST },
            listener: { held: "oldest" },
            queue: { indexQueue: 16, ioRing: 16, controlRing: 8 },
            worker: {
              kind: "thread",
              backoffBase: "20 millis",
              backoffMax: "50 millis",
              startTimeout: "10 minutes",
              drainTimeout: "1 hour",
              generationsMax: 64,
              handOver: 0
            }
          })
          const walk = new Walk(stage, handle, random, talks, starts)
          starts.areSlow = true
          for (let i = 0; i < STEPS; i++) yield* walk.step
          yield* walk.end
          for (const [kind, count] of walk.kinds) kinds.set(kind, (kinds.get(kind) ?? 0) + count)
        }),
      { timeout: TIMEOUT }
    )
  }

  it("all kinds of steps were done", () => {
    assert.sameMembers([...kinds.keys()], [
      "dial",
      "reset",
      "end",
      "send",
      "send a half",
      "send a slow one",
      "answer",
      "time",
      "block",
      "block meanwhile",
      "release",
      "crash",
      ...operations
    ])
  })
})
