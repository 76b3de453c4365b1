/**
 * Parked sessions, as a peer sees them, over random steps: workers block, crash, are drained, restarted, deleted, added
 * and reloaded, whatever the peers are at. Each message of a peer is answered once, in order, by whichever worker, with
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
import type { Peer } from "../../../src/layers/testing/MemoryPeer.ts"
import type { Session } from "../../../src/services/Sessions.ts"
import * as Long from "../../support/long.ts"
import * as Random from "../../support/random.ts"
import { Actor, handleOf, type Run, scenario, type Stage } from "../../support/Stage.ts"
import { settled } from "../../support/until.ts"

/** Steps of a run, of which there are two with different seeds; `SLUICE_TEST_STEPS` says otherwise. */
const STEPS = Number(process.env["SLUICE_TEST_STEPS"] ?? Long.steps({ short: 250, long: 1500 }))
/** Milliseconds that a run may take: a step takes 2 on a machine that is not busy. */
const TIMEOUT = 30_000 + 30 * STEPS
const PEERS = 16
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

type Step = Effect.Effect<void, unknown, Scope.Scope>

class Walk {
  readonly kinds = new Map<string, number>()
  readonly #stage: Stage
  readonly #actor: Actor
  readonly #app: Handle.AppHandle
  readonly #random: Random.Random
  readonly #talks: Map<string, Talk>
  readonly #log: Array<string> = []
  #callers: Array<Caller> = []
  readonly #blocked = new Set<number>()
  /** What is done to workers and has not come to its end. */
  #under: { readonly what: string; readonly fiber: Fiber.Fiber<unknown, unknown> } | undefined
  #lost = 0

  constructor(stage: Stage, actor: Actor, app: Handle.AppHandle, random: Random.Random, talks: Map<string, Talk>) {
    this.#stage = stage
    this.#actor = actor
    this.#app = app
    this.#random = random
    this.#talks = talks
  }

  #pick<A>(from: ReadonlyArray<A>): A | undefined {
    return from[this.#random(Math.max(1, from.length))]
  }

  #fail(what: string): never {
    throw new Error([what, ...this.#log.slice(-25)].join("\n  "))
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
    const { workers } = yield* this.#stage.app()
    for (const { mapIndex, state } of workers) if (state !== "RUNNING") this.#blocked.delete(mapIndex)
    if (this.#under?.fiber.pollUnsafe() !== undefined) {
      yield* Fiber.join(this.#under.fiber)
      this.#under = undefined
      this.#blocked.clear()
      for (const { mapIndex } of workers) this.#stage.script(mapIndex).release()
    }
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
   * The latest start of a worker is gone, at once; what starts before it have in hand goes on, unless all are. A worker
   * that is blocked has not heard which sessions have moved on: those are not lost, and only the host knows of them.
   */
  #lose(worker: number, why: "crash" | "restart" | "delete"): Step {
    return Effect.gen({ self: this }, function*() {
      const latest = this.#actor.run(worker)
      const there = new Set((yield* this.#stage.host.sessions({})).map(({ handle }) => handle))
      for (const caller of this.#callers) {
        const { talk } = caller
        if (talk === undefined) continue
        const isGone = talk.run === latest || (why === "delete" && talk.run.info.worker === worker)
        const isThere = !this.#blocked.has(worker) || there.has(Handle.format(talk.session.handle))
        if (isGone && isThere) caller.losesWorker(why === "crash")
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
    peer.send(half === undefined ? message : ";")
    caller.half = undefined
    caller.sent++
    return message === SLOW ? "send a slow one" : "send"
  }

  /** Something that happens to a worker. */
  #workerStep(number: number, handle: Handle.WorkerHandle, workers: number): readonly [string, Step] | undefined {
    const { host } = this.#stage
    const script = this.#stage.script(number)
    const roll = this.#random(20)
    if (roll < 5 && this.#under === undefined) {
      script.block()
      this.#blocked.add(number)
      return ["block", Effect.void]
    }
    if (roll < 10 && this.#blocked.delete(number)) return ["release", Effect.sync(() => script.release())]
    if (this.#under !== undefined) return undefined
    if (roll < 14) {
      return ["crash", Effect.andThen(this.#lose(number, "crash"), Effect.sync(() => script.crash()))]
    }
    // a script is that of a worker's latest start: one before it would be blocked for ever
    for (const blocked of this.#blocked) this.#stage.script(blocked).release()
    this.#blocked.clear()
    const drain = this.#random(2) === 0
    const how = drain ? "" : " at once"
    if (roll < 16) {
      return [
        `restart${how}`,
        this.#begin("restart", host.restartWorker(handle, { drain }), drain ? undefined : number)
      ]
    }
    if (roll === 16 && number > 0 && workers > 2) {
      return [`delete${how}`, this.#begin("delete", host.deleteWorker(handle, { drain }), drain ? undefined : number)]
    }
    if (roll === 17 && workers < 4) return ["add", this.#begin("add", host.addWorker(this.#app, { kind: "thread" }))]
    if (roll < 18) return undefined
    const atOnce = this.#random(2) === 0
    return [`reload${atOnce ? " at once" : ""}`, this.#begin("reload", host.reload(this.#app, { atOnce }))]
  }

  readonly step: Step = Effect.gen({ self: this }, function*() {
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
    for (let turns = 0; turns < 20; turns++) {
      for (let number = 0; number < 4; number++) this.#stage.script(number).release()
      for (const { talk } of this.#callers) talk?.answer()
      yield* TestClock.adjust(100)
      yield* this.settle
    }
    if (this.#under !== undefined) this.#fail(`${this.#under.what} does not end`)
    for (const caller of this.#callers) {
      caller.peer.send(caller.half === undefined ? QUICK : ";")
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
          const actor = new Actor({
            accept: (session, run) => void talks.set(session.remote, new Talk(session, run, talks.get(session.remote)))
          })
          const { handle } = yield* stage.attach(actor, {
            workers: 3,
            admission: { holdTime: "5 minutes" },
            worker: {
              kind: "thread",
              backoffBase: "20 millis",
              backoffMax: "50 millis",
              drainTimeout: "1 hour",
              generationsMax: 64
            }
          })
          const walk = new Walk(stage, actor, handle, Random.make(seed), talks)
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
      "release",
      "crash",
      "restart",
      "restart at once",
      "delete",
      "delete at once",
      "add",
      "reload",
      "reload at once"
    ])
  })
})
