/** Admission against a plain model of it, over random steps that can be repeated from their seed. */
import { assert, it } from "@effect/vitest"
import type { ListenerAdmission } from "../../../src/domain/admission/Admission.ts"
import * as Options from "../../../src/domain/options/Options.ts"
import { HIGH, NORMAL } from "../../../src/domain/options/Priority.ts"
import * as Ledger from "../../../src/domain/state/Ledger.ts"
import { Desk, DeskWorker } from "../../support/AdmissionDesk.ts"
import { AdmissionModel, ModelWorker } from "../../support/AdmissionModel.ts"
import * as Random from "../../support/random.ts"

const EPISODES = 500
const STEPS = 200
const SEED = 20_260_801

/** One listener, in both forms, and what is done to it. */
class Episode {
  readonly desk: Desk
  readonly model: AdmissionModel
  readonly #random: Random.Random
  readonly #options: ListenerAdmission
  readonly #numbers: number
  readonly #workers = new Map<number, readonly [DeskWorker, ModelWorker]>()
  /** All that ever were, those that have left included. */
  readonly #all: Array<readonly [DeskWorker, ModelWorker]> = []
  #names = 0

  constructor(random: Random.Random) {
    this.#random = random
    const small = () => random(3) === 0 ? 1 + random(8) : 1000
    this.#options = {
      ...Options.defaults.admission,
      revokeAfter: 1 + random(random(3) === 0 ? 300 : 10),
      sojournTarget: random(6),
      sojournInterval: 10 + random(20),
      slowStart: random(3) * random(100),
      held: random(3) === 0 ? "oldest" : "adaptive",
      policy: random(4) === 0 ? "refuse" : "hold",
      holdMax: random(8),
      holdTime: 1 + random(random(2) === 0 ? 12 : 200),
      maxSessionsPerWorker: small(),
      maxSessionsPerListener: small(),
      maxSessions: small(),
      reserve: random(4)
    }
    const hasKeys = random(3) === 0
    this.desk = new Desk(this.#options, hasKeys)
    this.model = new AdmissionModel(this.#options, hasKeys)
    this.#numbers = 1 + random(6)
    for (let number = 0; number < this.#numbers; number++) if (random(4) > 0) this.#join(number)
  }

  #pick<A>(from: ReadonlyArray<A>): A | undefined {
    return from[this.#random(from.length)]
  }

  #join(number: number): void {
    // one that starts again counts on where its last start has stopped
    const before = this.#all.findLast(([worker]) => worker.number === number)
    const pair = [
      new DeskWorker(number, before?.[0].offers, this.#options),
      new ModelWorker(number, before?.[1].counts)
    ] as const
    this.#workers.set(number, pair)
    this.#all.push(pair)
    this.desk.admission.seats.join(pair[0])
    this.desk.admit()
    this.model.join(pair[1])
  }

  #admit(): void {
    this.desk.admit()
    this.model.admit()
  }

  /** Does something, and answers what. */
  step(): string {
    const { desk, model } = this
    const random = this.#random
    const roll = random(235)
    const offer = this.#pick(model.offers)
    const pair = this.#pick([...this.#workers.values()])
    if (roll >= 229) {
      if (pair === undefined) return this.step()
      const spare = this.#pick([-2, 0, 1, Infinity, Infinity])!
      for (const worker of pair) worker.spare = spare
      if (spare <= 0) return "busy"
      this.#admit()
      return "spare"
    }
    if (roll < 70) {
      const caller = { name: `c${this.#names++}`, key: random(4) === 0 ? undefined : `k${random(5)}` }
      const rank = random(2) === 0 ? NORMAL : random(HIGH + 1)
      desk.arrive({ ...caller, rank })
      model.arrive(caller, rank)
      return "arrive"
    }
    if (roll < 95 && offer !== undefined) {
      desk.claim(offer.name)
      model.claim(offer.name)
      return "claim"
    }
    if (roll < 101 && offer !== undefined) {
      desk.offered.get(offer.name)!.taken = true
      offer.taken = true
      return "take"
    }
    if (roll < 106 && offer !== undefined) {
      desk.giveUp(offer.name)
      model.giveUp(offer.name)
      return "give up"
    }
    if (roll < 110 && model.waiting.length > 0) {
      const { name } = this.#pick(model.waiting)!
      desk.go(name)
      model.go(name)
      return "go"
    }
    if (roll < 132) {
      const millis = random(10) === 0 ? random(300) : random(8)
      desk.pass(millis)
      model.pass(millis)
      return "time"
    }
    if (roll < 150 && model.stale.length > 0) {
      const at = random(model.stale.length)
      const { name, worker } = model.stale[at]!
      desk.comePast(
        desk.stale.find((session) => session.connection.name === name && session.worker.number === worker.number)!
      )
      model.comePast(model.stale.findIndex((other) => other.name === name && other.worker.number === worker.number))
      return "come past"
    }
    if (roll < 168 && model.claimed.length > 0) {
      const { name } = this.#pick(model.claimed)!
      desk.free(name)
      model.free(name)
      return "free"
    }
    if (roll < 180 && pair !== undefined) {
      const congested = !pair[0].congested
      for (const worker of pair) worker.congested = congested
      if (congested) return "congest"
      // the listener may be told of it later
      if (random(3) === 0) return "settle"
      this.#admit()
      return "ease"
    }
    if (roll < 186 && pair !== undefined) {
      const memory = this.#pick(["some", "some", "none", "growing"] as const)!
      for (const worker of pair) worker.memory = memory
      this.#admit()
      return `memory ${memory}`
    }
    if (roll < 189 && pair !== undefined) {
      const running = !pair[0].running
      for (const worker of pair) worker.running = running
      if (running) this.#admit()
      return running ? "run" : "finish"
    }
    if (roll < 193 && pair !== undefined) {
      const keep = random(2) === 0
      this.#workers.delete(pair[0].number)
      desk.leave(pair[0], keep)
      model.leave(pair[1], keep)
      return keep ? "restart" : "leave"
    }
    if (roll < 197) {
      const free = Array.from({ length: this.#numbers }, (_, number) => number).filter((n) => !this.#workers.has(n))
      if (free.length === 0) return this.step()
      this.#join(this.#pick(free)!)
      return "join"
    }
    if (roll < 212) {
      const session = this.#pick(model.claimed)
      if (session === undefined) return this.step()
      const late = random(2) === 0
      const moves = desk.moveOn(session.name, late)
      assert.strictEqual(model.moveOn(session.name, late), moves, session.name)
      return moves ? "move on" : "stay"
    }
    if (roll < 219) {
      const session = this.#pick(model.moved)
      if (session === undefined) return this.step()
      // one that has moved more than once is known to more than one worker: the first is meant
      desk.letGo(session.name)
      model.letGo(session.name)
      return "let go"
    }
    if (roll < 222) {
      if (pair === undefined) return this.step()
      const keep = random(2) === 0
      const mine = model.claimed.filter(({ worker }) => worker === pair[1])
      this.#workers.delete(pair[0].number)
      desk.leave(pair[0], keep)
      model.leave(pair[1], keep)
      // the others were in hand
      for (const { name } of mine) {
        const isParked = random(4) > 0
        for (const side of [desk, model]) isParked ? side.carryOn(name) : side.free(name)
      }
      this.#admit()
      return "crash"
    }
    if (roll < 226) {
      const delayed = [...this.#workers.values()].find((pair) => pair[0].sojourn.congested) ?? pair
      if (delayed === undefined) return this.step()
      const millis = random(8)
      desk.answer(delayed[0], millis)
      model.answer(delayed[1], millis)
      return "answer"
    }
    if (roll < 228 || random(4) > 0) {
      // sessions of other listeners, and of connects
      const more = random(2) === 0 || desk.app.sessions - model.sessions <= 0 ? 1 : -1
      desk.app.sessions += more
      model.appSessions += more
      this.#admit()
      return "elsewhere"
    }
    desk.stop("draining")
    model.stop("draining")
    return "stop"
  }

  /** What both must agree on. */
  seen(): readonly [desk: string, model: string] {
    const { desk, model } = this
    const { admission } = desk
    const { arrived, claimed, held, moved, offered, refused, withdrawn } = admission.arrivals
    const refusals = Object.values(refused).reduce((sum, count) => sum + count, 0)
    const workers = (of: (pair: readonly [DeskWorker, ModelWorker]) => ReadonlyArray<number>) =>
      this.#all.map((pair) => of(pair).join()).join(";")
    return [
      [
        desk.take().join(", "),
        [arrived, claimed, moved, withdrawn, refusals, held, offered].join(),
        [admission.sessions, admission.nextDeadline()].join(),
        admission.seats.all.map(({ member, number }) => member === undefined ? `(${number})` : number).join(),
        workers((
          [{ lag, offers: { claimed, moved, offered, pending, revoked, withdrawn }, sessions, sojourn }]
        ) => [offered, claimed, moved, revoked, withdrawn, pending, lag.offers, sessions, Number(sojourn.congested)])
      ].join("\n"),
      [
        model.take().join(", "),
        [
          model.counts.arrived,
          model.counts.claimed,
          model.counts.moved,
          model.counts.withdrawn,
          model.counts.refused,
          model.waiting.length,
          model.offers.length
        ].join(),
        [model.sessions, model.deadline()].join(),
        [...model.seats].sort(([a], [b]) => a - b).map(([number, worker]) =>
          worker === undefined ? `(${number})` : number
        )
          .join(),
        workers((
          [, { counts: { claimed, moved, offered, pending, revoked, withdrawn }, delayed, late, sessions }]
        ) => [offered, claimed, moved, revoked, withdrawn, pending, late, sessions, Number(delayed)])
      ].join("\n")
    ]
  }

  get imbalances(): ReadonlyArray<string> {
    return Ledger.imbalances("the listener", { arrivals: this.desk.admission.arrivals })
  }
}

it("M6 M14 M15 W10 X1 X3 decides as a plain model does, at each of 100,000 random steps", () => {
  const random = Random.make(SEED)
  const kinds = new Map<string, number>()
  let steps = 0
  for (let number = 0; number < EPISODES; number++) {
    const episode = new Episode(random)
    const done: Array<string> = []
    for (let i = 0; i < STEPS; i++, steps++) {
      const kind = episode.step()
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
      done.push(kind)
      const [desk, model] = episode.seen()
      if (desk !== model) assert.strictEqual(desk, model, `episode ${number}, after ${done.slice(-12).join(", ")}`)
      if (episode.imbalances.length > 0) assert.fail(episode.imbalances.join())
    }
  }
  assert.strictEqual(steps, 100_000)
  // a walk that leaves something out shows nothing of it
  for (const [kind, count] of kinds) assert.isAbove(count, kind === "stop" ? 30 : 200, kind)
  assert.strictEqual(kinds.size, 28, [...kinds.keys()].join())
})
