/**
 * Two hosts in a takeover (X4), as their two sides see it, with the channel, the processes and the connections between
 * them made up: a test decides what happens next.
 *
 * The sides are the real ones. What a real process would do by itself is a step here: a message arrives, the end of a
 * channel or of a process is noticed, workers come up, a client connects, time passes, a process dies.
 */
import { assert } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { EventEmitter } from "node:events"
import type * as Report from "../../src/domain/report/Report.ts"
import * as Ledger from "../../src/domain/state/Ledger.ts"
import * as TakeoverMessage from "../../src/domain/takeover/TakeoverMessage.ts"
import { InheritedSockets } from "../../src/layers/system/InheritedSockets.ts"
import { ListenGate } from "../../src/layers/system/ListenGate.ts"
import { PredecessorSide } from "../../src/layers/takeover/PredecessorSide.ts"
import { SuccessorSide } from "../../src/layers/takeover/SuccessorSide.ts"
import type { SessionRules } from "../../src/services/SessionRules.ts"
import type * as Succession from "../../src/services/Succession.ts"
import type { TransportError } from "../../src/services/Transport.ts"

type Message = readonly [message: unknown, socket: unknown]

/** One end of the channel, of a process that may die. */
class End extends EventEmitter {
  connected = true
  isAlive = true
  readonly pid = 7
  /** What the other end has said and this one has not read. */
  readonly unread: Array<Message> = []
  /** Called as another process kills this one. */
  onKill = (): void => {}
  other: End | undefined

  send(message: object, socket: unknown, _options: object, done: (error: Error | null) => void): boolean {
    const { other } = this
    // what has died does nothing, whatever its timers say
    if (!this.isAlive) return false
    if (other?.isAlive !== true || !other.connected) {
      done(new Error("EPIPE"))
      return false
    }
    other.unread.push([JSON.parse(JSON.stringify(message)), socket])
    done(null)
    return true
  }

  disconnect(): void {
    this.connected = false
  }

  kill(): void {
    if (this.isAlive) this.onKill()
  }

  unref(): void {}

  /** Whether the other end is closed and all that it has said was read. */
  get isOver(): boolean {
    return this.connected && this.unread.length === 0 && (!this.other!.isAlive || !this.other!.connected)
  }

  /** Reads one message, or the end; `false` when there is nothing to read. */
  read(): boolean {
    if (!this.isAlive || !this.connected) return false
    const message = this.unread.shift()
    if (message !== undefined) this.emit("message", ...message)
    else if (this.isOver) {
      this.connected = false
      this.emit("disconnect")
    } else return false
    return true
  }
}

/** Where a connection is: in one of the hosts, on its way to the new one and let go by the old one, or nowhere any more. */
export interface Visitor {
  at: "old" | "under way" | "new" | "ended"
  /** Whether it stands between two messages; else its request is in hand. */
  parked: boolean
  /** Whether the new host has it, or had it; and whether it has said that it does not want it. */
  adopted: boolean
  declined: boolean
}

const LISTENER = "0.0"

const run = (effect: Effect.Effect<void>): void => void Effect.runFork(effect)

const totals = (arrived: number): Ledger.LedgerTotals => {
  const all = Ledger.makeTotals()
  all.arrivals.arrived = arrived
  all.arrivals.claimed = arrived
  return all
}

export class TakeoverWorld {
  readonly visitors: Array<Visitor> = []
  readonly old: PredecessorSide
  readonly new: SuccessorSide
  /** Whether each of the hosts accepts connections. */
  oldAccepts = true
  newAccepts = false
  isUp = false
  /** Whether the new host takes what it is sent. */
  declines = false
  /** Whether the new host is the host, by what it says to its program. */
  isHost = false
  inherited = 0
  hosts: ReadonlyArray<Report.FormerHost> = []
  finished = false
  readonly #parent = new End()
  readonly #child = new End()
  readonly #gate = new ListenGate<TransportError>()
  readonly #rules: SessionRules["Service"]
  #exitTold = false
  readonly #departing = new Set<Visitor>()
  /** Those that the old host has sent and not heard of. */
  readonly #lent = new Set<Visitor>()
  #source: Succession.DepartureSource | undefined
  #going = false

  constructor(rules: SessionRules["Service"]) {
    this.#rules = rules
    this.#parent.other = this.#child
    this.#child.other = this.#parent
    this.#parent.onKill = () => this.killNew()
    this.#gate.wait(Effect.sync(() => void (this.newAccepts = true)))
    this.old = new PredecessorSide(this.#parent, {
      succession: this.#succession("old"),
      rules,
      control: undefined,
      startTime: 5000,
      settled: () => {},
      run
    })
    const birth = { protocol: TakeoverMessage.PROTOCOL, pid: 1, listeners: [] }
    this.new = new SuccessorSide(new InheritedSockets([]), {
      birth,
      port: this.#child,
      gate: this.#gate,
      reading: new ListenGate<never>()
    })
  }

  get oldLives(): boolean {
    return this.#parent.isAlive
  }

  get newLives(): boolean {
    return this.#child.isAlive
  }

  get oldHasSettled(): boolean {
    return this.#source !== undefined
  }

  #count(at: "old" | "new"): number {
    return this.visitors.filter((visitor) => visitor.at === at || (at === "old" && visitor.at === "ended")).length
  }

  #succession(host: "old" | "new"): Succession.Succession["Service"] {
    return {
      record: () => {},
      lineage: () => ({ generation: 1, upMillis: 0 }),
      workers: () => ({}),
      listeners: () => [],
      sessions: () => 0,
      ends: Effect.never,
      startTime: () => 0,
      totals: () => totals(this.#count(host)),
      hosts: () => [{ pid: 1, sessions: 0, endsWithinMillis: 0 }],
      predecessors: () => totals(this.inherited),
      inherit: ({ arrivals }, hosts) => {
        this.inherited = arrivals.arrived
        this.hosts = hosts
      },
      inherited: () => [LISTENER],
      datagrams: () => undefined,
      depart: (listeners) => this.#depart(listeners),
      adopt: (listener, socket) => this.#adopt(listener, socket)
    }
  }

  #depart(listeners: ReadonlySet<string>): Succession.DepartureSource {
    assert.isTrue(listeners.has(LISTENER))
    assert.isUndefined(this.#source, "it is followed once")
    this.oldAccepts = false
    this.#source = { onMore: undefined, datagrams: new Map(), next: () => this.#next(), end: () => this.#end() }
    for (const visitor of this.visitors) if (visitor.at === "old" && visitor.parked) this.#departing.add(visitor)
    return this.#source
  }

  #next(): Succession.Departure | undefined {
    for (const visitor of this.#departing) {
      this.#departing.delete(visitor)
      if (visitor.at !== "old" || !visitor.parked) continue
      this.#lent.add(visitor)
      return {
        listener: LISTENER,
        baggage: {
          remote: "",
          local: "",
          mapped: false,
          about: undefined,
          unread: undefined,
          state: undefined,
          moves: 0
        },
        socket: visitor,
        gone: () => this.#gone(visitor),
        stays: () => this.#stays(visitor),
        unanswered: () => this.#unanswered(visitor)
      }
    }
    return undefined
  }

  #gone(visitor: Visitor): void {
    if (!this.oldLives) return
    this.#lent.delete(visitor)
    assert.isTrue(visitor.adopted, "a connection is let go that nobody has")
  }

  #unanswered(visitor: Visitor): void {
    if (!this.oldLives) return
    const onItsWay = this.newLives && this.#isUnderWay(visitor)
    this.#lent.delete(visitor)
    // of a process whose end has not been noticed, nobody knows that it is gone
    const mayBe = onItsWay || !this.newLives && !this.#exitTold
    assert.isTrue(visitor.adopted || visitor.declined || mayBe, "a connection is let go that nobody has")
    if (!visitor.adopted) visitor.at = onItsWay ? "under way" : "ended"
  }

  #stays(visitor: Visitor): void {
    if (!this.oldLives) return
    this.#lent.delete(visitor)
    assert.isFalse(visitor.adopted, "a connection is in two hosts")
    visitor.at = "ended"
  }

  /** The old host's queue is over: what is parked ends. */
  #end(): void {
    if (!this.oldLives) return
    this.#departing.clear()
    for (const visitor of this.visitors) if (visitor.at === "old" && visitor.parked) visitor.at = "ended"
  }

  #adopt(listener: string, socket: unknown): boolean {
    assert.strictEqual(listener, LISTENER)
    const visitor = socket as Visitor
    assert.include(["old", "under way"], visitor.at, "a connection goes over that is not there any more")
    assert.isTrue(visitor.parked, "a connection goes over in the middle of a request")
    if (this.declines) {
      visitor.declined = true
      return false
    }
    visitor.at = "new"
    visitor.adopted = true
    return true
  }

  // ---- steps; each returns whether there was anything to do

  /** A client connects to whichever host accepts, which of them chance says. */
  arrive(chance: number): boolean {
    const at = [
      this.oldLives && this.oldAccepts ? "old" as const : [],
      this.newLives && this.newAccepts ? "new" as const : []
    ]
      .flat()
    const host = at[chance % Math.max(1, at.length)]
    if (host === undefined) return false
    this.visitors.push({ at: host, parked: true, adopted: host === "new", declined: false })
    return true
  }

  /** A parked session in the old host gets a request, or a request there is answered. */
  turn(chance: number): boolean {
    const there = this.visitors.filter(({ at }) => at === "old")
    const visitor = there[chance % Math.max(1, there.length)]
    if (visitor === undefined || !this.oldLives || this.#lent.has(visitor)) return false
    visitor.parked = !visitor.parked
    if (!visitor.parked || this.#source === undefined) return true
    // nobody goes on with it where the successor is gone
    if (this.old.state === "ALONE" || this.finished) visitor.at = "ended"
    else {
      this.#departing.add(visitor)
      this.#source.onMore?.()
    }
    return true
  }

  #isUnderWay(visitor: Visitor): boolean {
    return this.#child.unread.some(([, socket]) => socket === visitor)
  }

  up(): boolean {
    if (this.isUp || !this.newLives) return false
    this.isUp = true
    const host = { succession: this.#succession("new"), rules: this.#rules, run }
    run(Effect.match(this.new.up(host), {
      onSuccess: () => void (this.isHost = true),
      // its program ends when it does not come up
      onFailure: () => this.killNew()
    }))
    return true
  }

  readOld(): boolean {
    return this.#parent.read()
  }

  readNew(): boolean {
    return this.#child.read()
  }

  /** The old host notices that the new one's process has ended. */
  exitTold(): boolean {
    if (this.newLives || this.#exitTold || !this.oldLives) return false
    this.#exitTold = true
    this.#parent.emit("exit", null, "SIGKILL")
    return true
  }

  killNew(): boolean {
    if (!this.newLives) return false
    this.#child.isAlive = false
    this.newAccepts = false
    for (const visitor of this.visitors) {
      if (visitor.at === "new" || visitor.at === "under way") visitor.at = "ended"
    }
    return true
  }

  killOld(): boolean {
    if (!this.oldLives) return false
    this.#parent.isAlive = false
    this.oldAccepts = false
    for (const visitor of this.visitors) {
      if (visitor.at === "old") visitor.at = this.newLives && this.#isUnderWay(visitor) ? "under way" : "ended"
    }
    return true
  }

  /** The new host says what it must not say. */
  rave(): boolean {
    if (!this.newLives || !this.#child.connected) return false
    this.#child.send({ _tag: "Taken", id: 99 }, undefined, {}, () => {})
    return true
  }

  /** The old host, whose sessions have all ended, ends. */
  finish(): boolean {
    const left = this.visitors.some((visitor) => visitor.at === "old" && !visitor.parked)
    if (!this.oldLives || this.#source === undefined || this.#going || left) return false
    this.#going = true
    run(Effect.map(this.old.finish, () => {
      this.finished = true
      this.killOld()
    }))
    return true
  }

  /** How the takeover has ended for whoever asked for it: `undefined` while that is open. */
  get outcome(): boolean | undefined {
    if (!Deferred.isDoneUnsafe(this.old.result)) return undefined
    return Exit.isSuccess(Effect.runSyncExit(Deferred.await(this.old.result)))
  }
}
