/**
 * Admission once more, as plainly as can be: arrays, and everything is looked up anew at each step. It knows of no
 * tickets and no links, and it is slow.
 */
import type { ListenerAdmission } from "../../src/domain/admission/Admission.ts"
import * as Affinity from "../../src/domain/admission/Affinity.ts"
import { HIGH } from "../../src/domain/options/Priority.ts"

export class ModelWorker {
  readonly number: number
  running = true
  congested = false
  memory: "some" | "none" | "growing" = "some"
  /** How many more requests it may have in hand. */
  spare = Infinity
  sessions = 0
  /** Offers that ran out and that it has not come past. */
  late = 0
  /** Since when it has come to nothing, at least, while offers are pending. */
  idleSince = Infinity
  /** When it was offered something for the first time. */
  begun: number | undefined
  /** What has waited too long, with nothing in between that has not: from when, and until when. */
  tooLong: Array<{ readonly from: number; readonly until: number }> = []
  delayed = false
  readonly counts: {
    offered: number
    claimed: number
    revoked: number
    withdrawn: number
    pending: number
    moved: number
  }

  constructor(number: number, counts = { offered: 0, claimed: 0, revoked: 0, withdrawn: 0, pending: 0, moved: 0 }) {
    this.number = number
    this.counts = counts
  }
}

interface Caller {
  readonly name: string
  /** A worker had parked its session, and it has moved on. */
  readonly moved?: boolean | undefined
  readonly key: string | undefined
}

interface Waiting extends Caller {
  readonly until: number
  /** Its time is short, since a queue stood when it came. */
  readonly isBrief: boolean
  /** It was on offer before, or its session has moved: it goes before the others. */
  readonly comesBack: boolean
  readonly cameLate: boolean
  /** Which came first, of two that wait until the same time. */
  readonly turn: number
}

interface Offer extends Caller {
  readonly worker: ModelWorker
  /** `undefined` when its time was over, but the worker had claimed it. */
  until: number | undefined
  readonly since: number
  readonly turn: number
  taken: boolean
}

export class AdmissionModel {
  readonly #options: ListenerAdmission
  readonly #hasKeys: boolean
  now = 0
  appSessions = 0
  sessions = 0
  stopped: string | undefined
  #last = -1
  #turns = 0
  /** By number; a seat whose worker is to start again is `undefined`. */
  readonly seats = new Map<number, ModelWorker | undefined>()
  /** Those that come back first, then the others, in their order. */
  waiting: Array<Waiting> = []
  /** Until when those that have ever waited may: their time runs from the first moment on. */
  readonly #heldUntil = new Map<string, Pick<Waiting, "isBrief" | "until">>()
  /** When workers have claimed; and since when the line is not empty. */
  #claims: Array<number> = []
  #lineSince = 0
  #isSinceNext = true
  /** The classes of connections. */
  readonly #ranks = new Map<string, number>()
  readonly #cameAt = new Map<string, number>()
  offers: Array<Offer> = []
  stale: Array<
    { readonly name: string; readonly worker: ModelWorker; readonly late: boolean; readonly since: number }
  > = []
  claimed: Array<{ readonly name: string; readonly key: string | undefined; readonly worker: ModelWorker }> = []
  /** Sessions that have moved on, and that the worker they were taken away from has not come past yet. */
  moved: Array<{ readonly name: string; readonly worker: ModelWorker; readonly late: boolean }> = []
  readonly counts = { arrived: 0, claimed: 0, withdrawn: 0, refused: 0, moved: 0 }
  #log: Array<string> = []

  constructor(options: ListenerAdmission, hasKeys: boolean) {
    this.#options = options
    this.#hasKeys = hasKeys
  }

  take(): ReadonlyArray<string> {
    const log = this.#log
    this.#log = []
    return log
  }

  // ---- who takes what

  #isHigh({ name }: { readonly name: string }): boolean {
    return this.#ranks.get(name) === HIGH
  }

  /** A limit, for that connection. */
  #most(limit: number, caller: { readonly name: string }): number {
    return this.#isHigh(caller) ? limit + this.#options.reserve : limit
  }

  #limit(caller: Caller): string | undefined {
    if (this.appSessions >= this.#most(this.#options.maxSessions, caller)) return "host-limit"
    return this.sessions >= this.#most(this.#options.maxSessionsPerListener, caller) ? "listener-limit" : undefined
  }

  #isFull(worker: ModelWorker, caller: Caller): boolean {
    return worker.sessions >= this.#most(this.#options.maxSessionsPerWorker, caller)
  }

  #isBusy(worker: ModelWorker, caller: Caller): boolean {
    return this.#most(worker.spare, caller) <= 0
  }

  #present(): ReadonlyArray<ModelWorker> {
    return [...this.seats.values()].filter((worker) => worker !== undefined)
  }

  #takers(caller: Caller): ReadonlyArray<ModelWorker> {
    return this.#present().filter((worker) =>
      worker.running && !this.#isCongested(worker, caller) && !this.#isFull(worker, caller)
      && !this.#isBusy(worker, caller)
    )
  }

  #isCongested(worker: ModelWorker, caller: Caller): boolean {
    return worker.congested || worker.late > 0 || (!this.#isHigh(caller) && this.#isDelayed(worker))
  }

  // ---- how long offers wait

  /** Those that have waited too long and go on to what has waited from `since` on. */
  #before(worker: ModelWorker, since: number): ModelWorker["tooLong"] {
    const last = worker.tooLong.at(-1)
    return last !== undefined && since - last.until <= this.#options.sojournInterval ? worker.tooLong : []
  }

  #isDelayed(worker: ModelWorker): boolean {
    const { sojournInterval, sojournTarget } = this.#options
    if (worker.delayed) return true
    const pending = this.offers.some((offer) => offer.worker === worker)
    if (sojournTarget === 0 || !pending || this.now - worker.idleSince <= sojournTarget) return false
    const from = this.#before(worker, worker.idleSince)[0]?.from ?? worker.idleSince + sojournTarget
    return this.now - from >= sojournInterval
  }

  /** The worker has come to what it was sent at `since`. */
  #comesTo(worker: ModelWorker, since: number, from = this.now): void {
    const { sojournInterval, sojournTarget } = this.#options
    if (sojournTarget === 0) return
    if (this.now - since <= sojournTarget) {
      worker.tooLong = []
      worker.delayed = false
      return
    }
    worker.tooLong = [...this.#before(worker, since), { from: Math.min(from, this.now), until: this.now }]
    if (this.now - worker.tooLong[0]!.from >= sojournInterval) worker.delayed = true
  }

  answer(worker: ModelWorker, millis: number): void {
    this.#comesTo(worker, this.now - millis)
    this.admit()
  }

  /** The takers, the one first that is to be tried first. */
  #ranked(caller: Caller): ReadonlyArray<ModelWorker> {
    const { key } = caller
    const takers = this.#takers(caller).toSorted((a, b) => a.number - b.number)
    if (this.#hasKeys && key !== undefined) {
      const hash = Affinity.hash(key)
      return takers.toSorted((a, b) => Affinity.weight(hash, b.number) - Affinity.weight(hash, a.number))
    }
    const higher = takers.filter(({ number }) => number > this.#last)
    const ranked = [...higher, ...takers.filter((taker) => !higher.includes(taker))]
    const fed = ranked.filter((worker) => this.#isFed(worker))
    return [...ranked.filter((worker) => !fed.includes(worker)), ...fed]
  }

  /** Whether the worker has as many open offers as it may have in this eighth of its slow start. */
  #isFed(worker: ModelWorker): boolean {
    const { slowStart } = this.#options
    const age = this.now - (worker.begun ?? this.now)
    const most = [1, 2, 4, 8, 16, 32, 64, 128].find((_, step) => 8 * age < (step + 1) * slowStart) ?? Infinity
    return this.offers.filter((offer) => offer.worker === worker).length >= most
  }

  /** Whether a queue stands, since then: the line was never empty in the interval, nor was there one without a claim. */
  #stands(since = this.now): boolean {
    const { held, sojournInterval } = this.#options
    if (held === "oldest" || this.waiting.length === 0) return false
    const calm = Math.max(
      this.#lineSince,
      ...this.#claims.filter((at, i) => !(at - this.#claims[i - 1]! <= sojournInterval))
    )
    const last = this.#claims.at(-1) ?? -Infinity
    return last > calm && this.now - last <= sojournInterval && since - calm >= sojournInterval
  }

  #rank({ name }: Caller): number {
    return this.#ranks.get(name)!
  }

  #first(): Waiting | undefined {
    const highest = Math.max(...this.waiting.map((one) => this.#rank(one)))
    const line = this.waiting.filter((one) => this.#rank(one) === highest)
    if (line[0]?.comesBack === true || !this.#stands()) return line[0]
    const before = line.find(({ cameLate }) => !cameLate)
    const since = line.findLast(({ cameLate }) => cameLate)
    return (this.#isSinceNext ? since ?? before : before ?? since)
  }

  /** While connections wait, a worker has one offer at a time, but for those that have a key. */
  #isOffered(worker: ModelWorker, { key }: Caller): boolean {
    return !(this.#hasKeys && key !== undefined) && this.offers.some((offer) => offer.worker === worker)
  }

  /** Offers the connection to a worker; `false` when none takes it. */
  #place(caller: Caller, waits = false): boolean {
    const takers = this.#ranked(caller).filter((worker) => !waits || !this.#isOffered(worker, caller))
    return this.#limit(caller) === undefined && this.#offer(caller, takers)
  }

  #offer(caller: Caller, takers: ReadonlyArray<ModelWorker>): boolean {
    const worker = takers.find(({ memory }) => memory === "some")
    if (worker === undefined) return false
    if (!this.#hasKeys || caller.key === undefined) this.#last = worker.number
    const { key, moved, name } = caller
    if (!this.offers.some((offer) => offer.worker === worker)) worker.idleSince = this.now
    worker.begun ??= this.now
    this.offers.push({
      since: this.now,
      name,
      moved,
      key,
      worker,
      until: this.now + this.#options.revokeAfter,
      turn: this.#turns++,
      taken: false
    })
    worker.sessions++
    worker.counts.offered++
    worker.counts.pending++
    this.appSessions++
    this.sessions++
    this.#log.push(`${name}>${worker.number}`)
    return true
  }

  #refuse({ name }: Caller, reason: string): void {
    this.counts.refused++
    this.#log.push(`${name} refused ${reason}`)
  }

  #whyNobody(caller: Caller): string {
    const limit = this.#limit(caller)
    if (limit !== undefined) return limit
    const running = this.#present().filter((worker) => worker.running)
    if (running.length === 0) return "no-worker"
    if (running.every((worker) => this.#isFull(worker, caller))) return "worker-limit"
    if (running.some((worker) => this.#isCongested(worker, caller))) return "congested"
    return running.some((worker) => this.#isBusy(worker, caller)) ? "concurrency-limit" : "no-memory"
  }

  #hold(caller: Caller, where: "front" | "back"): void {
    const grows = this.#limit(caller) === undefined && this.#takers(caller).some(({ memory }) => memory === "growing")
    const { key, moved, name } = caller
    if (this.#options.policy === "refuse" && !grows && moved !== true && !this.#isHigh(caller)) {
      return this.#refuse(caller, this.#whyNobody(caller))
    }
    const { holdTime, sojournInterval } = this.#options
    const cameLate = moved !== true && this.#stands(this.#cameAt.get(name))
    const brief = cameLate && sojournInterval < holdTime
    const time = this.#heldUntil.get(name)
      ?? { isBrief: brief, until: this.now + (brief ? sojournInterval : holdTime) }
    if (time.until <= this.now) return this.#refuse(caller, "hold-time")
    const held = this.waiting.filter((other) => other.moved !== true).length
    if (moved !== true && held >= this.#most(this.#options.holdMax, caller)) return this.#refuse(caller, "hold-full")
    this.#heldUntil.set(name, time)
    if (this.waiting.length === 0) {
      this.#lineSince = this.now
      this.#claims = this.#claims.slice(-1)
    }
    const comesBack = where === "front" || moved === true
    const entry = { name, moved, key, ...time, cameLate, comesBack, turn: this.#turns++ }
    const back = this.waiting.filter((other) => other.comesBack)
    const others = this.waiting.filter((other) => !other.comesBack)
    if (where === "front") this.waiting = [entry, ...this.waiting]
    else this.waiting = comesBack ? [...back, entry, ...others] : [...this.waiting, entry]
    this.#log.push(`${name} held`)
  }

  /** Takes an offer back and, unless the peer has given up, finds the connection another place. */
  #takeBack(offer: Offer, why: "revoked" | "withdrawn" | "given up"): void {
    const { worker } = offer
    this.offers = this.offers.filter((other) => other !== offer)
    this.stale.push({ name: offer.name, worker, late: why === "revoked", since: offer.since })
    worker.counts.pending--
    worker.counts[why === "revoked" ? "revoked" : "withdrawn"]++
    this.appSessions--
    this.sessions--
    if (why === "revoked") {
      worker.late++
      this.#log.push(`${offer.name} revoked`)
    }
    if (why === "given up") this.counts.withdrawn++
    else if (this.stopped !== undefined) this.#refuse(offer, this.stopped)
    else if (!this.#place(offer)) this.#hold(offer, "front")
  }

  // ---- what happens

  arrive(caller: Caller, rank: number): void {
    this.counts.arrived++
    this.#ranks.set(caller.name, rank)
    this.#cameAt.set(caller.name, this.now)
    const reason = this.stopped ?? this.#limit(caller)
    if (reason !== undefined) this.#refuse(caller, reason)
    else if (this.waiting.some((other) => this.#rank(other) >= rank) || !this.#place(caller)) this.#hold(caller, "back")
  }

  admit(): void {
    while (this.waiting.length > 0) {
      const first = this.#first()!
      if (this.stopped !== undefined) this.#refuse(first, this.stopped)
      else if (!this.#place(first, true)) return
      else if (!first.comesBack) this.#isSinceNext = !first.cameLate
      this.waiting = this.waiting.filter((other) => other !== first)
    }
  }

  claim(name: string): void {
    const offer = this.offers.find((offer) => offer.name === name)!
    this.offers = this.offers.filter((other) => other !== offer)
    this.claimed.push({ name, key: offer.key, worker: offer.worker })
    this.#comesTo(offer.worker, offer.since, offer.worker.idleSince + this.#options.sojournTarget)
    offer.worker.idleSince = this.now
    this.#claims.push(this.now)
    offer.worker.counts.pending--
    offer.worker.counts.claimed++
    this.counts.claimed++
    this.#log.push(`${name} claimed`)
    this.admit()
  }

  deadline(): number {
    const times = [...this.waiting, ...this.offers].flatMap(({ until }) => until ?? [])
    return Math.min(Infinity, ...times)
  }

  pass(millis: number): void {
    const end = this.now + millis
    while (this.deadline() <= end) {
      this.now = this.deadline()
      const first = <A extends { readonly until: number | undefined; readonly turn: number }>(all: ReadonlyArray<A>) =>
        all.filter(({ until }) => until === this.now).toSorted((a, b) => a.turn - b.turn)[0]
      // at the same time, those that wait long
      const waiting = first(this.waiting.filter(({ isBrief }) => !isBrief))
        ?? first(this.waiting.filter(({ isBrief }) => isBrief))
      if (waiting !== undefined) {
        this.waiting = this.waiting.filter((other) => other !== waiting)
        this.#refuse(waiting, "hold-time")
        continue
      }
      const offer = first(this.offers)!
      if (offer.taken) offer.until = undefined
      else this.#takeBack(offer, "revoked")
    }
    this.now = end
  }

  join(worker: ModelWorker): void {
    this.seats.set(worker.number, worker)
    this.admit()
  }

  leave(worker: ModelWorker, keep: boolean): void {
    if (keep) this.seats.set(worker.number, undefined)
    else this.seats.delete(worker.number)
    for (const offer of this.offers) {
      if (offer.worker !== worker) continue
      if (offer.taken) this.claim(offer.name)
      else this.#takeBack(offer, "withdrawn")
    }
  }

  comePast(at: number): void {
    const [session] = this.stale.splice(at, 1)
    session!.worker.sessions--
    if (session!.late) session!.worker.late--
    this.#comesTo(session!.worker, session!.since)
    this.admit()
  }

  #takeAway(name: string): { readonly caller: Caller; readonly worker: ModelWorker } {
    const session = this.claimed.find((session) => session.name === name)!
    const { key, worker } = session
    this.claimed = this.claimed.filter((other) => other !== session)
    this.appSessions--
    this.sessions--
    this.counts.claimed--
    this.counts.moved++
    worker.counts.moved++
    // its time to wait begins anew
    this.#heldUntil.delete(name)
    return { caller: { name, key, moved: true }, worker }
  }

  moveOn(name: string, late: boolean): boolean {
    const session = this.claimed.find((session) => session.name === name)!
    const { worker: from } = session
    const passes = this.waiting.length > 0
    // while connections wait, moving helps only where the worker does not keep up, or is not known to
    const isTried = this.#present().includes(from) && this.offers.some(({ worker }) => worker === from)
    if (passes && isTried && from.running && !this.#isCongested(from, session)) return false
    const others = () =>
      this.#ranked(session).filter((taker) => taker !== from && !(passes && this.#isOffered(taker, session)))
    if (this.stopped !== undefined || others().length === 0) return false
    const takers = others()
    const { caller, worker } = this.#takeAway(name)
    this.moved.push({ name, worker, late })
    if (late) worker.late++
    this.#log.push(`${name} moves`)
    if (!this.#offer(caller, takers)) this.#hold(caller, "back")
    return true
  }

  letGo(name: string): void {
    const at = this.moved.findIndex((session) => session.name === name)
    const [session] = this.moved.splice(at, 1)
    session!.worker.sessions--
    if (session!.late) session!.worker.late--
    this.admit()
  }

  carryOn(name: string): void {
    const { caller, worker } = this.#takeAway(name)
    worker.sessions--
    this.#log.push(`${name} goes on`)
    if (this.stopped !== undefined) this.#refuse(caller, this.stopped)
    else if (!this.#place(caller)) this.#hold(caller, "back")
  }

  free(name: string): void {
    const session = this.claimed.find((session) => session.name === name)!
    this.claimed = this.claimed.filter((other) => other !== session)
    session.worker.sessions--
    this.appSessions--
    this.sessions--
    this.admit()
  }

  go(name: string): void {
    this.waiting = this.waiting.filter((waiting) => waiting.name !== name)
    this.counts.withdrawn++
  }

  giveUp(name: string): void {
    const offer = this.offers.find((offer) => offer.name === name)!
    if (offer.taken) return
    this.#takeBack(offer, "given up")
    this.admit()
  }

  stop(reason: string): void {
    this.stopped ??= reason
    this.admit()
  }
}
