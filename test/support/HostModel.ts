/**
 * A plain model of a host: which applications, workers and listeners there must be, and what becomes of connections.
 *
 * Whoever drives it tells it what was done to the host. What the two ends of a connection have done and heard it takes
 * from them: from the {@link Far} end, and from the words of the {@link Puppet}s. Which worker gets a connection is the
 * host's to choose: the model looks at what it chose and says whether it may. All the rest it says beforehand.
 *
 * A session that its worker has parked moves on when something has waited for it long enough, or its worker goes (X1, X3):
 * its connection is then an {@link Arrival} once more, with the bytes that were not read, and what was given along. The
 * host chooses to whom it goes; that it may, and when it must, the model says.
 *
 * {@link Model.differences} compares the model with what the host tells of itself where things have settled, and
 * {@link Model.commit} takes the choices over.
 */
import { RINGS_BYTES } from "../../src/domain/memory/SessionBlock.ts"
import type * as Report from "../../src/domain/report/Report.ts"
import * as Handle from "../../src/domain/state/Handle.ts"
import type * as Ledger from "../../src/domain/state/Ledger.ts"
import { type Command, type Given, SENTENCE, type Word } from "./Puppet.ts"

/** What is attached: the options that the model knows of. Times are milliseconds. */
export interface AppSpec {
  readonly name: string
  readonly namespace: string
  readonly scope: { readonly global: boolean; readonly local: boolean }
  readonly workers: number
  /** Where each worker listens from its start on, and where it may listen when it is told to. */
  readonly listen: ReadonlyArray<string>
  readonly extra: ReadonlyArray<string>
  readonly policy: "hold" | "refuse"
  readonly holdMax: number
  readonly holdTime: number
  readonly revokeAfter: number
  readonly maxSessionsPerWorker: number
  readonly maxSessionsPerListener: number
  readonly maxSessions: number
  readonly maxHalfOpen: number
  readonly connectTimeout: number
  readonly backoff: number
  readonly drainTimeout: number
  readonly slots: number
  readonly postponedMessages: number
}

/** The other end of a connection of the host. */
export interface Far {
  readonly local: string
  readonly remote: string
  /** Bytes that were sent, that have not left here, and that have come. */
  readonly sent: number
  readonly unsent: number
  readonly received: number
  readonly sentEnd: boolean
  readonly sentReset: boolean
  readonly closed: boolean
  /** Whether the bytes that have come are the pattern's. */
  readonly isRight: (base: number) => boolean
  readonly send: (bytes: number, base: number) => void
  readonly end: () => void
  readonly reset: () => void
  /** Takes nothing until it is told to read. */
  readonly stop: () => void
  readonly read: () => void
}

/** A start of a worker, as the test has it. */
export interface Life {
  readonly id: number
  readonly app: string
  readonly appIndex: number
  readonly worker: number
  readonly restarts: number
  readonly tell: (command: Command) => void
}

export interface Observed {
  readonly report: Report.HostReport
  readonly sessions: ReadonlyArray<Report.SessionReport>
  readonly connects: ReadonlyArray<Report.ConnectReport>
  readonly locals: Report.LocalsReport
  readonly segments: ReadonlyArray<Report.SegmentManagerReport>
}

export class App {
  readonly spec: AppSpec
  readonly handle: Handle.AppHandle
  readonly index: number
  readonly workers = new Map<number, Worker>()
  detaching = false

  constructor(spec: AppSpec, handle: Handle.AppHandle) {
    this.spec = spec
    this.handle = handle
    this.index = Handle.index(handle)
  }
}

/** What a worker that drains is for. */
export type Purpose = "delete" | "detach" | "restart"

export class Worker {
  readonly app: App
  readonly number: number
  handle: string | undefined
  life: Life | undefined
  /** A start of which it is not known yet that it was due. */
  nextLife: Life | undefined
  state: "RUNNING" | "BACKOFF" | "DRAINING" = "RUNNING"
  /** When a backoff, a drain, or the patience with one that does not stop is over. */
  until = Infinity
  purpose: Purpose | undefined
  /** It drains, and other workers go on with what it parks (X1). */
  handsOver = false
  /** Settling before which it was told to finish, or to stop. */
  toldAt = -1
  /** It was told to stop, and does not hear. */
  stopping = false
  /** Its next start fails, and it has not said yet that it has begun. */
  failing = false
  stillborn = false
  blocked = false
  /** Settling before which it was released: it looks at its queue in any case. */
  releasedAt = -1
  restarts = 0
  /** Offers and parked sessions that were taken back and that it has not come past: all of them, the late ones. */
  stale = { tcp: 0, cut: 0 }
  late = 0
  /** As the host said it last. */
  congested = false
  wasCongested = false
  load = 0
  pending = 0

  constructor(app: App, number: number) {
    this.app = app
    this.number = number
  }

  get name(): string {
    return `${this.app.spec.name}/${this.number}`
  }

  /** How it is called in the addresses of cut-through sessions. */
  get address(): string {
    return `local://app${this.app.index}.worker${this.number}`
  }

  get live(): boolean {
    return this.state !== "BACKOFF"
  }

  /** Whether it has all the sessions it may have, with those that the model has not counted yet. */
  isFull(more = 0): boolean {
    return this.load + this.stale.tcp + this.stale.cut + more >= this.app.spec.maxSessionsPerWorker
  }

  /** Whether the host may offer it a session. */
  get takesOffers(): boolean {
    return this.state === "RUNNING" && this.late === 0 && !this.congested && !this.isFull()
  }

  forget(): void {
    this.stale = { tcp: 0, cut: 0 }
    this.late = 0
  }
}

export class Listener {
  readonly app: App
  readonly requested: string
  endpoint: string
  handle: string | undefined
  /** Its workers' seats, and whether the worker's present start has taken it. */
  readonly members = new Map<number, boolean>()
  open = true
  arrived = 0
  claimed = 0
  redirected = 0
  /** Connections that it holds and that are gone. */
  dead = 0

  constructor(app: App, requested: string, endpoint: string) {
    this.app = app
    this.requested = requested
    this.endpoint = endpoint
  }
}

export class Arrival {
  readonly listener: Listener
  readonly remote: string
  readonly local: string
  readonly far: Far | undefined
  readonly connect: Connect | undefined
  /** `dead`: it broke before a worker had it, and the host may not know. */
  status: "new" | "offered" | "held" | "dead" | "claimed" | "refused" | "gone" = "new"
  worker: Worker | undefined
  until = Infinity
  /** When it has waited as long as it may, counted from when it first did. */
  heldUntil = Infinity
  /** The start of a worker whose application has refused it. */
  refuser: Life | undefined
  /** The connection whose session a worker had parked, and which goes on (X1). */
  readonly onward: Conn | undefined

  constructor(listener: Listener, from: Far | Connect, onward?: Conn) {
    this.listener = listener
    this.onward = onward
    this.far = from instanceof Connect ? undefined : from
    this.connect = from instanceof Connect ? from : undefined
    this.remote = from instanceof Connect ? from.worker.address : from.local
    this.local = from instanceof Connect ? from.endpoint : from.remote
  }

  get pending(): boolean {
    return this.status !== "claimed" && this.status !== "refused" && this.status !== "gone"
  }
}

export class Connect {
  readonly id: number
  readonly worker: Worker
  readonly life: Life
  readonly endpoint: string
  readonly until: number
  arrival: Arrival | undefined
  conn: Conn | undefined
  cancelled = false
  /** The worker has heard what became of it. */
  outcome: string | undefined
  /** It is half-open at the host, as far as the host has said. */
  half = true

  constructor(id: number, worker: Worker, life: Life, endpoint: string, until: number) {
    this.id = id
    this.worker = worker
    this.life = life
    this.endpoint = endpoint
    this.until = until
  }
}

/** A worker's side of a connection. */
export class Side {
  readonly worker: Worker
  readonly life: Life
  readonly conn: Conn
  handle: string | undefined
  /** Bytes in total, and those of them that the workers before have written and read. */
  written = 0
  read = 0
  readonly before: { readonly written: number; readonly read: number }
  /** It may be taken away (X1); nothing has been done with it so far. */
  parked = false
  fresh = false
  /** A write was cut short. */
  cutShort = false
  /** Its application was told of bytes, and will be found to have left them: it is in hand then. */
  kept = false
  /** The settling in which it was parked. */
  parkedAt = -1
  /**
   * When it is to go on with another worker, if something waits for it then that has not been read; how much had been
   * read when that time began; and whether it must, or the host alone knows whether its time has begun.
   */
  waitsUntil = Infinity
  turnRead = 0
  must = false
  /** It has gone on with another worker. */
  moved = false
  ended = false
  /** Given up by its application, or by the host on somebody's word. */
  given = false
  hostGiven = false
  /** Bytes that had come when the host gave it up: no more do. */
  arrived: number | undefined
  aborted = false
  /** Its worker has gone. */
  dropped = false
  /** The host has told it of the other side's end. */
  told = false
  /** Settling in which it was given up. */
  givenAt = -1
  closed: { readonly reset: string | undefined } | undefined
  /** Its worker knows that it is over. */
  heard = false
  /** Its application has not heard of it, or does not want to. */
  mute = false
  /** The host has it no more. */
  gone = false

  constructor(worker: Worker, life: Life, conn: Conn, handle: string | undefined, before?: Side) {
    this.worker = worker
    this.life = life
    this.conn = conn
    this.handle = handle
    this.before = { written: before?.written ?? 0, read: before?.read ?? 0 }
    this.written = this.before.written
    this.read = this.before.read
  }

  get isGiven(): boolean {
    return this.given || this.hostGiven
  }
}

/** A connection that a worker has: to a far end, or to another worker. */
export class Conn {
  readonly tag: number
  readonly kind: "accepted" | "connected" | "cut"
  readonly local: string
  readonly remote: string
  readonly listener: Listener | undefined
  readonly far: Far | undefined
  readonly connect: Connect | undefined
  /** The server's side of a cut-through connection, or the only one. */
  near!: Side
  client: Side | undefined
  over = false
  /** The far end has been told that all has come. */
  txEnded = false
  /** The client could not have it, or had given up: the server was told. */
  turnedDown = false
  /** How often it has gone on with another worker; what it takes along; crashes since something was done with it. */
  moves = 0
  state = ""
  crashes = 0
  /** It is between two workers. */
  onward: Arrival | undefined

  constructor(tag: number, kind: Conn["kind"], about: {
    readonly local: string
    readonly remote: string
    readonly listener?: Listener | undefined
    readonly far?: Far | undefined
    readonly connect?: Connect | undefined
  }) {
    this.tag = tag
    this.kind = kind
    this.local = about.local
    this.remote = about.remote
    this.listener = about.listener
    this.far = about.far
    this.connect = about.connect
  }

  get sides(): ReadonlyArray<Side> {
    return this.client === undefined ? [this.near] : [this.near, this.client]
  }

  other(side: Side): Side | undefined {
    return side === this.near ? this.client : this.near
  }

  /** Where in the pattern the bytes begin that go to `near`, and those that come from there. */
  get toNear(): number {
    return this.tag * 40_009
  }
  get fromNear(): number {
    return this.tag * 40_009 + 20_011
  }

  get done(): boolean {
    // one that was on its way to another worker, and has found none
    if (this.onward !== undefined) return !this.onward.pending
    return this.over && this.sides.every(({ gone }) => gone) && (this.far === undefined || this.far.closed)
  }
}

/** A rule, as far as the test makes any: what happens on one port. */
export interface Rule {
  readonly on: "accept" | "connect"
  readonly port: number
  readonly action: "deny" | `app:${string}`
}

/** What a start of a worker has said of where it listens: that it does, or why not. */
interface StartListens {
  readonly life: Life
  readonly endpoint: string
  readonly bound: { readonly local: string; readonly handle: string } | undefined
  readonly reason: string | undefined
}

/** As many workers may go away, one after the other, with a session that none of them has done anything with. */
const CRASHES = 3

/** Milliseconds that the host waits for a worker which was told to stop. */
const STOP_TIMEOUT = 2000

const ANY = "tcp://0.0.0.0:"

export const portOf = (endpoint: string): number => Number(endpoint.slice(endpoint.lastIndexOf(":") + 1))

/** Whether the system chooses the port. */
const isEphemeral = (endpoint: string): boolean => endpoint.endsWith(":0")

export const isLocal = (endpoint: string): boolean => endpoint.startsWith("local:")

const count = <A>(items: Iterable<A>, holds: (item: A) => boolean): number => {
  let n = 0
  for (const item of items) if (holds(item)) n++
  return n
}

/** What was taken back from a worker, and what of it was late. */
interface Left {
  tcp: number
  cut: number
  late: number
}

/** The most bytes that may be given along with a parked session. */
const MOST_STATE = 4096

/** What the model has of a connection that comes in: which listener takes it, or why none does. */
export type Judged = Listener | Ledger.RefuseReason

export class Model {
  readonly apps = new Map<string, App>()
  readonly listeners = new Set<Listener>()
  readonly arrivals = new Set<Arrival>()
  readonly connects = new Map<number, Connect>()
  readonly conns = new Set<Conn>()
  readonly rules = new Map<string, Rule>()
  deniedSource = false
  /** Far ends of the host's connects that no connection is known of. */
  readonly strays = new Set<Far>()
  /** Connections that have arrived at listeners, those that workers have claimed or refused, and moves, in total. */
  readonly total = { arrived: 0, claimed: 0, refused: 0, moved: 0 }
  /** Sides of connections that have gone on, whose workers have not heard of that. */
  readonly ghosts = new Set<Side>()
  /** What can't be, whatever the host says. */
  readonly violations: Array<string> = []
  now = 0
  /** Counts settlings. */
  epoch = 0
  #tags = 0
  readonly #byHandle = new Map<string, Side>()
  /** Whose a start of a worker is, and in which settling it ended. */
  readonly #owners = new Map<number, { readonly worker: Worker; endedAt: number | undefined; crashed?: boolean }>()
  /** Parked sessions that were taken away from workers in this settling. */
  #taken: Array<{ readonly worker: Worker; readonly late: boolean }> = []
  /** Moves of which the host may have kept no count: their listeners have closed. */
  #uncounted = 0
  readonly #handles = new Set<string>()
  readonly #commits: Array<() => void> = []
  /** What starts of workers have said of where they listen: there, or why not. */
  readonly #starts: Array<StartListens> = []
  #highest = { sessions: 0, cut: new Map<number, number>() }

  // ---- what there is

  side(handle: string): Side | undefined {
    return this.#byHandle.get(handle)
  }

  *workers(): IterableIterator<Worker> {
    for (const app of this.apps.values()) yield* app.workers.values()
  }

  *sides(): IterableIterator<Side> {
    for (const conn of this.conns) yield* conn.sides
  }

  /**
   * The listener that a worker which asks for the endpoint shares, or has already. With port 0 each time is another
   * one: the workers share the first ones, the second ones, and so on.
   */
  listenerOf({ app, number }: Worker, requested: string): Listener | undefined {
    return this.#bySlot().find((listener) =>
      listener.open && listener.app === app && listener.requested === requested
      && !(isEphemeral(requested) && listener.members.get(number) === true)
    )
  }

  /** Connections of an application, offered or claimed, as its limit counts them. */
  loadOf(app: App): number {
    let load = 0
    for (const worker of app.workers.values()) load += worker.load
    return load
  }

  // ---- applications and their workers

  attach(spec: AppSpec, handle: Handle.AppHandle): App {
    const app = new App(spec, handle)
    this.apps.set(spec.name, app)
    for (let number = 0; number < spec.workers; number++) this.addWorker(app)
    for (const worker of app.workers.values()) this.listenAll(worker)
    return app
  }

  addWorker(app: App): Worker {
    let number = 0
    while (app.workers.has(number)) number++
    const worker = new Worker(app, number)
    app.workers.set(number, worker)
    return worker
  }

  /** All that belonged to a start of a worker is gone, but for what it had parked. */
  endLife(worker: Worker, crashed = false): void {
    for (const side of this.sides()) if (side.worker === worker && side.life === worker.life) side.dropped = true
    for (const connect of this.connects.values()) {
      if (connect.worker === worker && connect.life === worker.life) connect.cancelled = true
    }
    for (const { app, members } of this.listeners) {
      if (app === worker.app && members.has(worker.number)) members.set(worker.number, false)
    }
    const owner = worker.life && this.#owners.get(worker.life.id)
    if (owner !== undefined) Object.assign(owner, { endedAt: this.epoch, crashed })
    worker.blocked = false
    worker.handsOver = false
    worker.forget()
  }

  crash(worker: Worker): void {
    this.endLife(worker, true)
    const waits = this.#waitsForOthers(worker)
    if (worker.state === "DRAINING" && !waits) return this.stop(worker)
    worker.state = "BACKOFF"
    worker.until = waits ? Infinity : this.now + worker.app.spec.backoff
  }

  /** The last worker of all goes when the others have finished: if it has gone by itself, it is not started again. */
  #waitsForOthers({ app, purpose }: Worker): boolean {
    return purpose === "detach" && app.workers.size > 1
  }

  /** The worker is to finish what it has, and is stopped then. */
  drain(worker: Worker, purpose: Purpose): void {
    worker.purpose = purpose
    if (worker.state === "BACKOFF") {
      if (!this.#waitsForOthers(worker)) return this.stop(worker)
      worker.until = Infinity
      return
    }
    worker.state = "DRAINING"
    worker.toldAt = this.epoch
    worker.until = this.now + worker.app.spec.drainTimeout
    worker.handsOver = [...worker.app.workers.values()].some((other) => other !== worker && other.state === "RUNNING")
  }

  /**
   * Whether a worker that drains has finished; an application goes when all its workers have. What was offered to it
   * since the last settling only the host knows.
   */
  isFinished(worker: Worker, observed: Observed): boolean {
    if (worker.purpose !== "detach") return this.#hasFinished(worker, observed)
    return [...worker.app.workers.values()].every((one) =>
      (one !== worker && one.stopping) || this.#hasFinished(one, observed)
    )
  }

  #hasFinished(worker: Worker, observed: Observed): boolean {
    if (worker.state === "BACKOFF") return worker.purpose === "detach"
    if (worker.state !== "DRAINING" || worker.stopping || worker.stale.tcp + worker.stale.cut > 0) return false
    const { sessions } = observed
    if (sessions.some(({ state, workerHandle }) => state === "ACCEPTING" && workerHandle === worker.handle)) {
      return false
    }
    if (worker.blocked) {
      const { cut, tcp } = this.#needs(worker, observed)
      const there = this.#memoryOf(worker, observed)
      // offers that were taken back, and that it has not come past
      if (there.tcp > tcp || there.cut > cut) return false
    }
    for (const arrival of this.arrivals) if (arrival.status === "offered" && arrival.worker === worker) return false
    for (const connect of this.connects.values()) {
      if (connect.worker === worker && connect.life === worker.life && this.#isUnderWay(connect, observed)) return false
    }
    for (const side of this.sides()) {
      if (side.worker !== worker || side.life !== worker.life || side.gone) continue
      if (!this.isOver(side.conn) || !this.#isReleased(side)) return false
    }
    return true
  }

  /** The worker is told to stop: it does so at once, or is waited for. */
  stop(worker: Worker, purpose = worker.purpose): void {
    if (purpose === "detach") return this.detach(worker.app)
    worker.purpose = purpose
    if (worker.blocked && worker.live && !worker.stopping) {
      worker.state = "DRAINING"
      worker.toldAt = this.epoch
      worker.stopping = true
      worker.until = this.now + STOP_TIMEOUT
      return
    }
    if (purpose === "restart") this.started(worker)
    else this.remove(worker)
  }

  /** What was due by now happens. */
  passTime(): void {
    for (const worker of Array.from(this.workers())) {
      if (worker.until > this.now) continue
      if (worker.state === "BACKOFF") this.started(worker)
      else this.stop(worker)
    }
  }

  /** The worker runs again, in a new start. */
  started(worker: Worker): void {
    this.endLife(worker)
    worker.restarts++
    worker.state = "RUNNING"
    worker.until = Infinity
    worker.purpose = undefined
    worker.stopping = false
    worker.life = worker.nextLife
    worker.nextLife = undefined
    if (worker.failing) return this.#failStart(worker)
    this.listenAll(worker)
    // what the start before listened on and this one does not
    for (const listener of this.listeners) {
      if (listener.app === worker.app && listener.members.get(worker.number) === false) {
        this.leave(listener, worker.number)
      }
    }
  }

  /** A start listens, and fails: it is tried again, and has its seats until then. */
  #failStart(worker: Worker): void {
    worker.failing = false
    worker.stillborn = worker.life === undefined
    this.listenAll(worker)
    this.crash(worker)
  }

  /** A worker has begun. */
  born(life: Life): void {
    const worker = this.apps.get(life.app)?.workers.get(life.worker)
    if (worker === undefined) return
    this.#owners.set(life.id, { worker, endedAt: worker.stillborn ? this.epoch : undefined })
    if (worker.stillborn) {
      worker.stillborn = false
      return
    }
    if (worker.life === undefined && worker.live) worker.life = life
    else worker.nextLife = life
  }

  listenAll(worker: Worker): void {
    for (const endpoint of worker.app.spec.listen) {
      if (this.whyNoListen(worker, endpoint) === undefined) this.listen(worker, endpoint)
    }
  }

  remove(worker: Worker): void {
    const { app } = worker
    this.endLife(worker)
    app.workers.delete(worker.number)
    for (const listener of this.listeners) if (listener.app === app) this.leave(listener, worker.number)
    if (app.detaching && app.workers.size === 0) this.apps.delete(app.spec.name)
  }

  detach(app: App): void {
    app.detaching = true
    for (const worker of Array.from(app.workers.values())) {
      if (!worker.stopping || worker.until <= this.now) this.stop(worker, "delete")
    }
    for (const worker of app.workers.values()) worker.purpose = "delete"
  }

  // ---- listeners

  close(listener: Listener): void {
    listener.open = false
    listener.members.clear()
  }

  /** The worker stops listening there; if it is to start again, its seat is kept for that. */
  unlisten(listener: Listener, { number, purpose }: Worker): void {
    if (purpose === "restart") listener.members.set(number, false)
    else this.leave(listener, number)
  }

  leave(listener: Listener, number: number): void {
    if (!listener.members.delete(number)) return
    if (listener.members.size === 0) this.close(listener)
  }

  /** Why the worker may not listen there; `undefined` when it may. `isThere`: the listeners that can be in its way. */
  whyNoListen(worker: Worker, endpoint: string, isThere = ({ open }: Listener): boolean => open): string | undefined {
    const { app } = worker
    const { namespace, scope } = app.spec
    if (isLocal(endpoint) && !scope.local) return "OutOfScope"
    const own = this.listenerOf(worker, endpoint)
    if (own !== undefined) return own.members.get(worker.number) === true ? "AlreadyListening" : undefined
    const port = isLocal(endpoint) ? -1 : portOf(endpoint)
    const there = this.#bySlot().filter(isThere)
    for (const { app: { spec }, requested } of there) {
      if (requested !== endpoint || port === 0) continue
      if (port > 0 && spec.scope.global && scope.global) return "AlreadyListening"
      if (spec.scope.local && scope.local && spec.namespace === namespace) return "AddressInUse"
    }
    const global = scope.global && !isLocal(endpoint)
    if (port === 0) return global ? undefined : "AddressNotAvailable"
    for (const { app: { spec }, endpoint: theirs, requested } of there) {
      const table = scope.local && spec.scope.local && spec.namespace === namespace
      if (table && (theirs === endpoint || requested === endpoint)) return "AddressInUse"
      if (!global || !spec.scope.global || isLocal(theirs) || portOf(theirs) !== port) continue
      if (theirs.startsWith(ANY) || endpoint.startsWith(ANY) || theirs === endpoint) return "AddressInUse"
    }
    return undefined
  }

  listen(worker: Worker, requested: string, endpoint = requested): Listener {
    let listener = this.listenerOf(worker, requested)
    if (listener === undefined) this.listeners.add(listener = new Listener(worker.app, requested, endpoint))
    listener.members.set(worker.number, true)
    return listener
  }

  /**
   * Takes over where the starts of workers that there have been could listen. When several workers start at one moment,
   * one of them may come before or after another one has left what its last start had listened on.
   */
  settleStarts(): void {
    for (const start of this.#starts.splice(0)) {
      const { bound, endpoint, life, reason } = start
      const worker = this.#owners.get(life.id)?.worker
      if (worker?.nextLife === life) this.#starts.push(start)
      if (worker?.life !== life || worker.state === "BACKOFF") continue
      const listener = [...this.listeners].find(({ app, members, open, requested }) =>
        open && app === worker.app && requested === endpoint && members.get(worker.number) === true
      )
      if (listener !== undefined && bound !== undefined) {
        // the others had left before it came: the listener had closed, and this is a new one
        if (listener.members.size > 1 || (listener.handle ?? bound.handle) === bound.handle) continue
        this.leave(listener, worker.number)
        this.listen(worker, endpoint, bound.local)
        continue
      }
      if (listener === undefined && bound === undefined) continue
      if (listener !== undefined) this.leave(listener, worker.number)
      const why = this.whyNoListen(worker, endpoint, listener === undefined ? undefined : () => true)
      if (why !== reason) {
        this.violations.push(
          `${worker.name} starts to listen on ${endpoint}: ${reason ?? "yes"}, and it must be: ${why ?? "yes"}`
        )
      } else if (bound !== undefined) this.listen(worker, endpoint, bound.local)
    }
  }

  // ---- routes

  rule(on: Rule["on"], endpoint: string): Rule["action"] | undefined {
    return isLocal(endpoint) ? undefined : this.rules.get(`${on} ${portOf(endpoint)}`)?.action
  }

  /** The first listener of an application: the one in the lowest slot. */
  firstOf(name: string): Listener | undefined {
    return this.#bySlot().find(({ app, open }) => open && app.spec.name === name)
  }

  /** Listeners in the order of the host's table. */
  #bySlot(): ReadonlyArray<Listener> {
    const slot = ({ handle }: Listener): number => Number(handle?.split(".")[0] ?? Infinity)
    return [...this.listeners].sort((a, b) => slot(a) - slot(b))
  }

  /** The listener that a connection from outside arrives at. */
  dialled(endpoint: string): Listener | undefined {
    for (const listener of this.listeners) {
      const { app, endpoint: bound, open } = listener
      if (!open || !app.spec.scope.global || isLocal(bound) || portOf(bound) !== portOf(endpoint)) continue
      if (bound === endpoint || bound.startsWith(ANY)) return listener
    }
    return undefined
  }

  /** What the rules make of a connection that arrives at a listener. */
  judge(listener: Listener): Judged {
    if (this.deniedSource) return "source-denied"
    const action = this.rule("accept", listener.endpoint)
    if (action === undefined) return listener
    if (action === "deny") return "rule-denied"
    const target = this.firstOf(action.slice(4))
    return target === undefined ? "no-listener" : target.app === listener.app ? listener : target
  }

  /** Takes note of a connection from outside; the host has seen it. */
  arrive(listener: Listener, from: Far | Connect, judged: Judged): Arrival | undefined {
    listener.arrived++
    this.total.arrived++
    if (typeof judged === "string") return undefined
    if (judged !== listener) {
      listener.redirected++
      judged.arrived++
      this.total.arrived++
    }
    const arrival = new Arrival(judged, from)
    this.arrivals.add(arrival)
    return arrival
  }

  /** Where a connect goes: to a listener of this host, to the transport, or nowhere, for a reason. */
  route(worker: Worker, endpoint: string): Listener | "transport" | { readonly refused: string } {
    const { spec } = worker.app
    const action = this.rule("connect", endpoint)
    if (action === "deny") return { refused: "Refused rule-denied" }
    // who is sent to itself goes where it wanted to
    if (action !== undefined && action !== `app:${spec.name}`) {
      return this.firstOf(action.slice(4)) ?? { refused: "Refused no-listener" }
    }
    if (spec.scope.local) {
      const inTable = (at: (listener: Listener) => boolean): Listener | undefined =>
        [...this.listeners].find((listener) =>
          listener.open && listener.app.spec.scope.local && listener.app.spec.namespace === spec.namespace &&
          at(listener)
        )
      const found = inTable((listener) => listener.endpoint === endpoint)
        ?? (isLocal(endpoint) ? undefined : inTable((listener) => listener.endpoint === `${ANY}${portOf(endpoint)}`))
      if (found !== undefined) return found
    } else if (isLocal(endpoint)) return { refused: "OutOfScope" }
    return !isLocal(endpoint) && spec.scope.global ? "transport" : { refused: "ConnectionRefused" }
  }

  /** Why a worker may open no session now. */
  whyNoConnect(worker: Worker): string | undefined {
    if (worker.late > 0 || worker.congested) return "congested"
    if (this.loadOf(worker.app) >= worker.app.spec.maxSessions) return "host-limit"
    return worker.isFull() ? "worker-limit" : undefined
  }

  halfOpenOf(worker: Worker): number {
    return count(
      this.connects.values(),
      (connect) => connect.worker === worker && connect.life === worker.life && connect.half
    )
  }

  /** What becomes of a connection that arrives now, with nothing else under way. */
  fate(listener: Listener, cutThrough: boolean): "placed" | "held" | Ledger.RefuseReason {
    const { spec } = listener.app
    const limit = this.#limit(listener)
    if (limit !== undefined) return limit
    const held = [...this.arrivals].filter((arrival) => arrival.listener === listener && arrival.status === "held")
    // those that have moved had their place
    const waiting = listener.dead + count(held, ({ onward }) => onward === undefined)
    if (listener.dead + held.length === 0 && this.#takers(listener, cutThrough).length > 0) return "placed"
    if (spec.policy === "refuse" && !this.#waitsForMemory(listener)) return this.#whyNobody(listener)
    return waiting >= spec.holdMax ? "hold-full" : "held"
  }

  #limit(listener: Listener): Ledger.RefuseReason | undefined {
    const { spec } = listener.app
    if (this.loadOf(listener.app) >= spec.maxSessions) return "host-limit"
    return this.loadAt(listener) >= spec.maxSessionsPerListener ? "listener-limit" : undefined
  }

  #takers(listener: Listener, cutThrough = false): ReadonlyArray<Worker> {
    return this.#members(listener).filter((worker) => {
      const { cut, late, tcp } = this.#left.get(worker) ?? { cut: 0, late: 0, tcp: 0 }
      return worker.takesOffers && late === 0 && !worker.isFull(tcp + cut)
        && (cutThrough || !this.#lacks(worker, listener))
    })
  }

  /** Whether memory for the listener's sessions is on its way to the worker, who does not look. */
  #lacks(worker: Worker, listener: Listener): boolean {
    return worker.blocked && this.#lacking.has(`${worker.handle} ${listener.handle}`)
  }

  #waitsForMemory(listener: Listener): boolean {
    return this.#members(listener).some((worker) => worker.takesOffers && this.#lacks(worker, listener))
  }

  #members(listener: Listener): ReadonlyArray<Worker> {
    return [...listener.members].flatMap(([number, live]) => {
      const worker = listener.app.workers.get(number)
      return live && worker !== undefined ? [worker] : []
    })
  }

  #whyNobody(listener: Listener): Ledger.RefuseReason {
    const running = this.#members(listener).filter(({ state }) => state === "RUNNING")
    if (running.length === 0) return "no-worker"
    if (running.every((worker) => worker.isFull())) return "worker-limit"
    return running.some(({ congested, late }) => congested || late > 0) ? "congested" : "no-memory"
  }

  /** Sessions of a listener, offered or claimed. */
  loadAt(listener: Listener): number {
    return count(this.arrivals, (arrival) => arrival.listener === listener && arrival.status === "offered")
      + count(this.conns, ({ listener: from, near }) => from === listener && !near.gone)
  }

  /** The next time at which something must happen. */
  nextDeadline(): number {
    let next = Infinity
    const sooner = (time: number): void => {
      if (time > this.now) next = Math.min(next, time)
    }
    for (const worker of this.workers()) sooner(worker.until)
    for (const arrival of this.arrivals) if (arrival.pending) sooner(arrival.until)
    for (const connect of this.connects.values()) if (connect.half) sooner(connect.until)
    for (const { near } of this.conns) if (!near.gone) sooner(near.waitsUntil)
    return next
  }

  // ---- what the ends say

  hear(life: Life, word: Word): void {
    switch (word.say) {
      case "accepted":
        return this.#accepted(life, word)
      case "refused":
        return this.#refused(life, word)
      case "connected":
        return this.#connected(life, word)
      case "bound":
        return this.#started(life, word.id, { local: word.local, handle: Handle.format(word.listener) }, undefined)
      case "failed": {
        if (word.id < 0) return this.#started(life, word.id, undefined, word.reason)
        const connect = this.connects.get(word.id)
        if (connect !== undefined) connect.outcome = `${word.reason} ${word.detail}`
        return
      }
      case "wrote":
        return this.#with(life, word.session, (side) => {
          if (word.taken < 0) return
          this.#inHand(side)
          side.written = side.before.written + word.bytes
          side.cutShort ||= word.short
        })
      case "read":
        return this.#with(life, word.session, (side) => {
          const read = side.before.read + word.bytes
          if (read > side.read) this.#inHand(side)
          side.read = read
          if (!word.right) this.violations.push(`session ${word.session} has read what was not sent to it`)
        })
      case "gaveUp":
        return this.#with(life, word.session, (side) => {
          this.#inHand(side)
          if (side.given) return
          side.given = true
          side.givenAt = this.epoch
          // a peer in the same memory never learns what was not read: it is told of a reset
          if (word.how === "abort" || (side.conn.kind === "cut" && word.unread > 0)) side.aborted = true
        })
      case "end":
        return this.#with(life, word.session, (side) => {
          this.#inHand(side)
          side.ended = true
        })
      case "readable":
        return this.#with(life, word.session, (side) => void (side.kept = side.parked && word.unread > 0))
      case "parked":
        return this.#with(life, word.session, (side) => this.#parked(side, word))
      case "moved":
      case "away":
        return this.#with(life, word.session, (side) => {
          if (!side.moved) this.#moveOn(side)
          if (word.say === "moved") this.#forget(side)
        })
      case "ended":
        return this.#with(life, word.session, (side) => this.#inHand(side))
      case "closed":
        return this.#with(life, word.session, (side) => {
          if (side.closed !== undefined) this.violations.push(`session ${word.session} was closed twice`)
          side.closed = { reset: word.reset }
        })
    }
  }

  /** Something is done with it: it stays with its worker. */
  #inHand(side: Side): void {
    if (side.moved) this.violations.push(`session ${side.handle} has moved on, and ${side.worker.name} goes on with it`)
    side.parked = side.fresh = side.kept = false
  }

  #parked(side: Side, { refusal, session, state }: Extract<Word, { readonly say: "parked" }>): void {
    const { conn } = side
    const may = ((): boolean => {
      switch (refusal) {
        case undefined:
          return conn.kind === "accepted" && !side.ended && !side.given && state.length <= MOST_STATE
        case "unread":
          return conn.far === undefined || conn.far.sent > side.read
        case "state-too-large":
          return state.length > MOST_STATE
        case "not-accepted":
          return conn.kind !== "accepted"
        case "unsent":
          return side.cutShort
        default:
          return true
      }
    })()
    if (!may) this.violations.push(`session ${session} is parked: ${refusal ?? "yes"}`)
    if (refusal !== undefined) return
    this.#inHand(side)
    side.parked = true
    side.parkedAt = this.epoch
    conn.state = state
    conn.crashes = 0
  }

  /**
   * A session that its worker had parked is not there any more, and its connection goes on as one that arrives: because
   * something has waited for its time, or its worker is going, or is gone.
   */
  #moveOn(side: Side): Arrival | undefined {
    const { conn, handle, life, worker } = side
    const owner = this.#owners.get(life.id)
    const gone = owner?.endedAt !== undefined
    const late = !gone && worker.state === "RUNNING"
    if (!side.parked || conn.listener === undefined) {
      this.violations.push(`session ${handle} of ${worker.name} has moved on, and was in hand`)
      return undefined
    }
    if (late && side.waitsUntil > this.now && !side.told) {
      this.violations.push(`session ${handle} of ${worker.name} has moved on at ${this.now}: ${side.waitsUntil}`)
    }
    side.moved = side.gone = true
    if (!gone) {
      this.ghosts.add(side)
      this.#taken.push({ worker, late })
    }
    conn.moves++
    if (owner?.crashed === true) conn.crashes++
    if (conn.listener.open) this.total.moved++
    else this.#uncounted++
    const arrival = new Arrival(conn.listener, conn.far!, conn)
    conn.onward = arrival
    this.arrivals.add(arrival)
    return arrival
  }

  /** Nothing is said of it any more. */
  #forget(side: Side): void {
    this.ghosts.delete(side)
    if (side.handle !== undefined) this.#byHandle.delete(side.handle)
  }

  /** Whether its connection goes on without it when its worker is gone, or when there is something for it. */
  #mayMove({ conn, fresh, hostGiven, given, life, moved, parked }: Side): boolean {
    if (!parked || moved || given || hostGiven || conn.over || conn.kind !== "accepted") return false
    const suspect = fresh && conn.crashes >= CRASHES - 1
    return !(suspect && this.#owners.get(life.id)?.crashed === true)
  }

  #started(life: Life, id: number, bound: StartListens["bound"], reason: string | undefined): void {
    const endpoint = this.apps.get(life.app)?.spec.listen[-1 - id]
    if (endpoint !== undefined) this.#starts.push({ life, endpoint, bound, reason })
  }

  #with(life: Life, handle: string, change: (side: Side) => void): void {
    const side = this.#byHandle.get(handle)
    if (side === undefined || side.life !== life) {
      this.violations.push(`a word about session ${handle}, which worker ${life.app}/${life.worker} does not have`)
    } else change(side)
  }

  #enter(side: Side, handle: string): void {
    const before = this.#byHandle.get(handle)
    if (before === side) return
    if (before !== undefined || this.#handles.has(`session ${handle}`)) {
      this.violations.push(`session ${handle} was there before`)
    }
    this.#handles.add(`session ${handle}`)
    this.#byHandle.set(handle, side)
    side.handle = handle
  }

  /** The side of a worker that has said something; what was on the way when it ended may still be heard. */
  #sideOf(life: Life, conn: Conn): Side | undefined {
    const owner = this.#owners.get(life.id)
    if (owner === undefined || (owner.endedAt ?? this.epoch) !== this.epoch) return undefined
    const side = new Side(owner.worker, life, conn, undefined, conn.onward && conn.near)
    side.dropped = owner.endedAt !== undefined
    return side
  }

  /** A worker has come to the offer of a connection. */
  #came(life: Life, { local, remote }: { readonly local: string; readonly remote: string }) {
    let arrival: Arrival | undefined
    for (const one of this.arrivals) {
      if ((one.pending || one.status === "gone") && one.remote === remote && one.local === local) arrival = one
    }
    const owner = this.#owners.get(life.id)
    if (arrival === undefined) {
      for (const conn of this.conns) {
        if (conn.remote === remote && conn.local === local && this.#mayMove(conn.near)) {
          arrival = this.#moveOn(conn.near)
        }
      }
    }
    if (arrival === undefined || owner === undefined) {
      this.violations.push(`${life.app}/${life.worker} was offered a session from ${remote}, which is not there`)
      return undefined
    }
    const { worker } = owner
    if (arrival.status === "gone") {
      this.violations.push(`the session from ${remote} was offered to ${worker.name} after it had gone`)
    }
    // it was on offer to another one, who has not come past that
    if (arrival.status === "offered" && arrival.worker !== worker && arrival.worker?.blocked === true) {
      arrival.worker.stale[arrival.connect === undefined ? "tcp" : "cut"]++
      if (arrival.until <= this.now) arrival.worker.late++
    }
    return { arrival, worker }
  }

  #refused(life: Life, offer: { readonly local: string; readonly remote: string }): void {
    const came = this.#came(life, offer)
    if (came === undefined) return
    came.arrival.status = "refused"
    came.arrival.refuser = life
    this.total.refused++
  }

  #accepted(life: Life, given: Given): void {
    const came = this.#came(life, given)
    if (came === undefined) return
    const { arrival, worker } = came
    const { connect, far, listener } = arrival
    arrival.status = "claimed"
    listener.claimed++
    this.total.claimed++
    const conn = arrival.onward ?? new Conn(++this.#tags, given.cutThrough ? "cut" : "accepted", {
      local: given.local,
      remote: given.remote,
      listener,
      far,
      connect
    })
    const near = this.#sideOf(life, conn)
    if (near === undefined) {
      this.violations.push(`${given.session} was given to a start of ${worker.name} that is over`)
      return
    }
    if (given.state !== conn.state) {
      this.violations.push(`${given.session} was given "${given.state}" along, and it must be "${conn.state}"`)
    }
    conn.near = near
    conn.onward = undefined
    near.parked = near.fresh = given.fresh
    near.parkedAt = this.epoch
    this.#enter(conn.near, given.session)
    this.conns.add(conn)
    if (connect !== undefined) connect.conn = conn
    this.#checkSlots(life, given)
  }

  #connected(life: Life, given: Given & { readonly id: number }): void {
    const connect = this.connects.get(given.id)
    if (connect === undefined) {
      this.violations.push(`connect ${given.id} was answered, which nobody waits for`)
      return
    }
    connect.outcome = "connected"
    this.#checkSlots(life, given)
    const known = this.#byHandle.get(given.session)
    if (known !== undefined && known.life === life && connect.conn === known.conn) {
      known.mute = false
      return
    }
    if (given.cutThrough) {
      const conn = connect.conn ?? this.#lost(connect)
      // the server comes first (W16)
      if (conn === undefined) return void this.violations.push(`connect ${given.id} succeeded before its server had it`)
      conn.client = this.#sideOf(life, conn)
      if (conn.client === undefined) {
        return void this.violations.push(`connect ${given.id} was answered to a worker that is gone`)
      }
      this.#enter(conn.client, given.session)
      return
    }
    for (const far of this.strays) {
      if (far.remote === given.local && far.local === given.remote) return this.#outgoing(connect, far, given.session)
    }
    this.violations.push(`connect ${given.id} succeeded and nobody was connected to`)
  }

  /**
   * The connection of a connect that was refused by a worker which is gone: the host has not read its last words, and
   * found that it had claimed the session.
   */
  #lost(connect: Connect): Conn | undefined {
    const { arrival } = connect
    const owner = arrival?.refuser && this.#owners.get(arrival.refuser.id)
    if (arrival?.status !== "refused" || owner?.endedAt !== this.epoch) return undefined
    const { listener, local, refuser, remote } = arrival
    const conn = new Conn(++this.#tags, "cut", { local, remote, listener, connect })
    conn.near = new Side(owner.worker, refuser!, conn, undefined)
    conn.near.dropped = true
    arrival.status = "claimed"
    listener.claimed++
    this.total.claimed++
    this.total.refused--
    this.conns.add(conn)
    return connect.conn = conn
  }

  #outgoing(connect: Connect, far: Far, handle: string): void {
    this.strays.delete(far)
    const conn = new Conn(++this.#tags, "connected", { local: far.remote, remote: far.local, far, connect })
    conn.near = new Side(connect.worker, connect.life, conn, undefined)
    conn.near.dropped = this.#owners.get(connect.life.id)?.endedAt !== undefined
    this.#enter(conn.near, handle)
    this.conns.add(conn)
    connect.conn = conn
  }

  /** Slots are reused, so none is far above those that were ever in use. */
  #checkSlots(life: Life, { session, slot }: Given): void {
    const index = Number(session.split(".")[0])
    if (index > this.#highest.sessions + 64) this.violations.push(`session ${session} is in a slot too far`)
    if (slot !== undefined && slot > (this.#highest.cut.get(life.id) ?? 0) + 24) {
      this.violations.push(`session ${session} has slot ${slot} of its worker's inbox, which is too far`)
    }
  }

  // ---- comparison

  /**
   * What differs between the model and the host, where things have settled. Nothing is taken over until
   * {@link commit}.
   */
  differences(observed: Observed): Array<string> {
    this.#commits.length = 0
    const out: Array<string> = [...this.violations]
    this.#adopt(observed, out)
    this.#compareConnections(observed, out)
    this.#compareApps(observed, out)
    this.#compareListeners(observed, out)
    this.#compareHalfOpen(observed, out)
    this.#compareLocals(observed, out)
    this.#compareSegments(observed, out)
    return out
  }

  commit(): void {
    for (const commit of this.#commits) commit()
    this.#commits.length = 0
    this.#left = new Map()
    this.#taken = []
    for (const side of this.ghosts) if (side.life !== side.worker.life) this.#forget(side)
    for (const worker of this.workers()) worker.wasCongested = worker.congested
    this.epoch++
    for (const arrival of this.arrivals) if (!arrival.pending) this.arrivals.delete(arrival)
    for (const [id, connect] of this.connects) {
      if (!connect.half && (connect.outcome !== undefined || connect.cancelled)) this.connects.delete(id)
    }
    for (const conn of this.conns) {
      if (!conn.done) continue
      this.conns.delete(conn)
      for (const side of conn.sides) if (!this.ghosts.has(side)) this.#forget(side)
    }
    for (const listener of this.listeners) if (!listener.open) this.listeners.delete(listener)
    for (const far of this.strays) if (far.closed) this.strays.delete(far)
  }

  #later(commit: () => void): void {
    this.#commits.push(commit)
  }

  /** Takes over what the host alone decides: handles, ports, and how many sessions a worker has. */
  #adopt({ report, segments }: Observed, out: Array<string>): void {
    this.#lacking = new Set(
      segments.filter(({ kind, segments }) => kind === "host" && segments.every(({ free }) => free === 0))
        .flatMap(({ users, workerHandle }) => users.map((user) => `${workerHandle} ${user.replace("listener ", "")}`))
    )
    const once = (kind: string, handle: string): string => {
      if (this.#handles.has(`${kind} ${handle}`)) out.push(`${kind} ${handle} was there before`)
      this.#handles.add(`${kind} ${handle}`)
      return handle
    }
    for (const row of report.apps) {
      const app = this.apps.get(row.name)
      for (const worker of app?.workers.values() ?? []) {
        const one = row.workers.find(({ mapIndex }) => mapIndex === worker.number)
        worker.load = one?.sessions ?? 0
        worker.pending = one?.offers.pending ?? 0
        worker.congested = one !== undefined && (one.postponed.now > 0 || (one.congested && one.behind.offers === 0))
        if (one !== undefined) worker.handle ??= once("worker", one.handle)
      }
      const known = new Set([...this.listeners].map(({ handle }) => handle))
      for (const listener of this.listeners) {
        if (!listener.open || listener.handle !== undefined || listener.app !== app) continue
        const one = row.listeners.find(({ handle, requested }) =>
          requested === listener.requested && !known.has(handle)
        )
        if (one === undefined) continue
        listener.handle = once("listener", one.handle)
        listener.endpoint = one.endpoint
      }
    }
  }

  // ---- connections and sessions

  #compareConnections({ connects, sessions }: Observed, out: Array<string>): void {
    const rows = new Set(sessions)
    const offers = sessions.filter(({ state }) => state === "ACCEPTING")
    const held = new Map<Listener, number>()
    const offered = new Map<Listener, number>()
    const dead = new Map<Listener, number>()
    const add = (to: Map<Listener, number>, listener: Listener): void =>
      void to.set(listener, (to.get(listener) ?? 0) + 1)
    const left = new Map<Worker, Left>()
    const waiting: Array<readonly [Arrival, string]> = []
    this.#adoptMoves(rows)
    for (const { late, worker } of this.#taken) this.#leaves(worker, "tcp", late, left)

    for (const arrival of this.arrivals) {
      if (arrival.status === "refused") this.#checkRefused(arrival, out)
      if (!arrival.pending) continue
      const { connect, far, listener, local, remote, status, worker: before } = arrival
      const what = `the connection from ${remote} to ${local}`
      const row = offers.find((row) => row.remote === remote && row.local === local && rows.has(row))
      if (row !== undefined) {
        rows.delete(row)
        add(offered, listener)
        const worker = this.apps.get(row.app)?.workers.get(row.worker)
        const kind = connect === undefined ? "accepted" : "cut-through server"
        if (row.kind !== kind || row.listener !== listener.handle || row.workerHandle !== worker?.handle) {
          out.push(`${what} is on offer as ${row.kind} of listener ${row.listener} to worker ${row.workerHandle}`)
          continue
        }
        const again = status === "offered" && before === worker
        // one that was told to finish may still take what it was offered before
        const serves = listener.open && listener.members.get(worker.number) === true
        if (!serves || (worker.state !== "RUNNING" && !again && worker.toldAt !== this.epoch)) {
          out.push(`${what} is on offer to ${worker.name}, which does not serve ${listener.requested}`)
        }
        if (!worker.blocked) out.push(`${what} is on offer to ${worker.name}, which looks at its queue`)
        if (again && arrival.until <= this.now) out.push(`${what} is on offer to ${worker.name} still`)
        if (connect !== undefined && (connect.cancelled || !connect.half)) {
          out.push(`${what} is on offer and not wanted`)
        }
        if (!again) {
          const until = this.now + listener.app.spec.revokeAfter
          if (status === "offered") this.#leavesOffer(arrival, left)
          this.#later(() => Object.assign(arrival, { status: "offered", worker, until }))
        }
        continue
      }
      if (status === "offered") this.#leavesOffer(arrival, left)
      const waits = connect === undefined
        ? !far!.closed
        : connects.some((row) => row.scope === "local" && this.#isRow(connect, row))
      if (waits && far?.sentReset !== true) {
        add(held, listener)
        waiting.push([arrival, what])
        if (status !== "held") {
          const { heldUntil } = arrival
          const until = heldUntil === Infinity ? this.now + listener.app.spec.holdTime : heldUntil
          this.#later(() => Object.assign(arrival, { status: "held", worker: undefined, until, heldUntil: until }))
        }
        continue
      }
      // whether the host knows that it is gone is between it and the transport
      if (far?.sentReset === true && status !== "held" && listener.open) {
        add(dead, listener)
        this.#later(() => Object.assign(arrival, { status: listener.dead > 0 ? "dead" : "gone", until: Infinity }))
        continue
      }
      this.#checkGone(arrival, what, out)
      this.#later(() => Object.assign(arrival, { status: "gone" }))
    }
    for (const [worker, { cut, late, tcp }] of left) {
      this.#later(() => {
        worker.stale.tcp += tcp
        worker.stale.cut += cut
        worker.late += late
      })
    }
    this.#left = left
    this.#counts = { held, offered, dead }
    for (const [arrival, what] of waiting) this.#checkHeld(arrival, what, out)

    for (const far of this.strays) this.#adoptStray(far, rows, connects, out)
    for (const conn of this.conns) this.#compareConn(conn, rows, out)
    for (const row of rows) {
      out.push(
        `the host has a session that there can't be: ${row.handle} ${row.kind} ${row.state} ${row.app}/${row.worker} ${row.local} ${row.remote}`
      )
    }
    this.#later(() => {
      this.#highest.sessions = Math.max(this.#highest.sessions, sessions.length)
    })
  }

  /** Workers and listeners between which there is no memory yet. */
  #lacking = new Set<string>()
  #left = new Map<Worker, Left>()
  #counts = {
    held: new Map<Listener, number>(),
    offered: new Map<Listener, number>(),
    dead: new Map<Listener, number>()
  }

  #isRow(connect: Connect, row: Report.ConnectReport): boolean {
    return row.workerHandle === connect.worker.handle && row.endpoint === connect.endpoint
  }

  /** An offer that its worker has not come past has left it. */
  #leavesOffer({ connect, until, worker }: Arrival, left: Map<Worker, Left>): void {
    if (worker !== undefined) this.#leaves(worker, connect === undefined ? "tcp" : "cut", until <= this.now, left)
  }

  #leaves(worker: Worker, kind: "tcp" | "cut", late: boolean, left: Map<Worker, Left>): void {
    if (!worker.blocked) return
    let counts = left.get(worker)
    if (counts === undefined) left.set(worker, counts = { tcp: 0, cut: 0, late: 0 })
    counts[kind]++
    if (late) counts.late++
  }

  /** Parked sessions that are not there any more have moved on. */
  #adoptMoves(rows: Set<Report.SessionReport>): void {
    const handles = new Set([...rows].map(({ handle }) => handle))
    for (const conn of this.conns) {
      const { dropped, handle, worker } = conn.near
      if (conn.onward !== undefined || handles.has(handle!) || !this.#mayMove(conn.near)) continue
      if (conn.near.kept && dropped && conn.far!.closed) {
        // it was in hand already, or has moved on to nobody
        this.#inHand(conn.near)
        this.#uncounted++
        continue
      }
      // whether one that was broken meanwhile had moved before, its worker knows
      if (conn.far!.sentReset && !dropped && !worker.blocked) continue
      this.#moveOn(conn.near)
    }
  }

  /** Whether a parked session waits longer than it may. */
  #checkParked({ far, listener, moves, near }: Conn, row: Report.SessionReport, out: Array<string>): void {
    const { worker } = near
    const what = `session ${near.handle} of ${worker.name}`
    if (near.kept && !row.parked) this.#inHand(near)
    if (row.parked !== near.parked || near.kept) out.push(`${what} is ${row.parked ? "" : "not "}parked`)
    if (row.moves !== moves) out.push(`${what} has moved ${row.moves} times, and must have ${moves} times`)
    const begin = (must: boolean): void => {
      const waitsUntil = this.now + listener!.app.spec.revokeAfter
      const { read: turnRead } = near
      this.#later(() => void Object.assign(near, { waitsUntil, turnRead, must }))
    }
    const unread = (row.rx?.used ?? 0) > 0
    const told = row.state === "TRANSPORT_CLOSING"
    const isWaiting = near.parked && !near.isGiven && (unread || told)
    const due = near.waitsUntil <= this.now
    // a worker that does not look at its queue has not heard that what it parks from now on is to go to others
    const asked = !worker.blocked || near.parkedAt < worker.toldAt
    const hands = near.parked && !near.isGiven && worker.state === "DRAINING" && worker.handsOver && asked
    if (!hands && (!isWaiting || !due)) {
      // something new, of which the worker has not taken anything
      const ends = told && !near.told && near.parkedAt < this.epoch
      const isNew = near.waitsUntil === Infinity || near.turnRead !== near.read
      if (isWaiting && isNew) begin(unread || ends)
      else if (due) this.#later(() => void (near.waitsUntil = Infinity))
      return
    }
    // what was written goes out first
    if (near.written > far!.received) {
      if (due || near.waitsUntil === Infinity) begin(near.must)
      return
    }
    // its bytes may have gone out only after it was parked: it is looked at again when its time is over
    if (hands && near.parkedAt === this.epoch && near.before.written < near.written) return begin(true)
    if (hands && !due && near.waitsUntil !== Infinity) return
    if (!listener!.open || !(hands || near.must)) return
    const free = this.#takers(listener!).filter((other) => other !== worker)
    // one for which there is nothing lets what is on offer go first
    if (!isWaiting && !near.fresh && free.some(({ pending }) => pending > 0)) return
    if (free.length > 0) out.push(`${what} waits, parked, while ${free.map(({ name }) => name).join()} may have it`)
  }

  #checkHeld({ connect, heldUntil, listener, onward, status }: Arrival, what: string, out: Array<string>): void {
    if (!listener.open) out.push(`${what} waits at a listener that is closed`)
    const lacking = this.#members(listener).some((worker) => this.#lacks(worker, listener))
    if (listener.app.spec.policy === "refuse" && status !== "held" && !lacking && onward === undefined) {
      out.push(`${what} waits, where nobody may`)
    }
    if (heldUntil <= this.now) out.push(`${what} waits longer than it may`)
    if (connect?.cancelled === true) out.push(`${what} waits and is not wanted`)
    if (this.#limit(listener) !== undefined) return
    const free = this.#takers(listener)
    if (free.length > 0) out.push(`${what} waits while ${free.map(({ name }) => name).join()} may have it`)
  }

  /** The application has refused it: the other side knows (W16). */
  #checkRefused({ connect, far, local, remote }: Arrival, out: Array<string>): void {
    if (far?.closed === false) out.push(`the connection from ${remote} to ${local} was refused, and is there still`)
    const outcome = connect?.outcome
    if (outcome === undefined || connect!.cancelled || connect!.until <= this.now) return
    if (outcome !== `Refused app-refused: ${SENTENCE}`) {
      out.push(`connect ${connect!.id} of ${connect!.worker.name} was refused, and is told: ${outcome}`)
    }
  }

  /** It is neither with a worker nor waiting: whether there was a reason. */
  #checkGone(arrival: Arrival, what: string, out: Array<string>): void {
    const { connect, far, heldUntil, listener, onward, status, until } = arrival
    if ((status === "new" && onward === undefined) || !listener.open) return
    if (far?.sentReset === true || connect?.cancelled === true || Math.min(until, heldUntil) <= this.now) return
    if (connect !== undefined && (connect.until <= this.now || connect.worker.blocked)) return
    // an offer that came back finds the queue full, or nobody who may wait
    if (status === "offered" && (this.#left.size > 0 || !listener.members.has(-1))) return
    out.push(`${what} is gone for no reason`)
  }

  #adoptStray(far: Far, rows: Set<Report.SessionReport>, connects: Observed["connects"], out: Array<string>): void {
    for (const row of rows) {
      if (row.kind !== "connected" || row.local !== far.remote || row.remote !== far.local) continue
      const worker = this.apps.get(row.app)?.workers.get(row.worker)
      const connect = [...this.connects.values()].find((connect) =>
        connect.worker === worker && connect.life === worker?.life && connect.endpoint === far.local
        && connect.conn === undefined && connect.arrival === undefined
      )
      if (connect === undefined) return
      // the worker is blocked: it will hear of it
      this.#outgoing(connect, far, row.handle)
      connect.conn!.near.mute = true
      return
    }
    // it waits for memory that is on its way to a worker who does not look
    const waits = connects.some(({ endpoint, scope, workerHandle }) =>
      scope === "global" && endpoint === far.local && this.#lacking.has(`${workerHandle} connects`)
    )
    if (!far.closed && !waits) out.push(`the far end ${far.remote} > ${far.local} is connected to nobody`)
  }

  /** Whether the connection is over, by what its ends have done. */
  isOver(conn: Conn): boolean {
    if (conn.over) return true
    const { client, far, near } = conn
    if (conn.sides.some(({ aborted, dropped }) => aborted || dropped)) return true
    if (conn.kind === "cut") {
      if (conn.turnedDown) return true
      return near.isGiven || client?.isGiven === true || (near.ended && client?.ended === true)
    }
    if (far!.sentReset) return true
    // one that was given up is over when all is sent, whatever the far end still has to say
    const rxEnded = near.isGiven || (far!.sentEnd && far!.unsent === 0)
    return rxEnded && (conn.txEnded || this.#isSent(conn))
  }

  /** Whether a session has ended its side and all that it wrote has come. */
  #isSent({ far, near }: Conn): boolean {
    return (near.ended || near.isGiven) && near.written === far!.received
  }

  #compareConn(conn: Conn, rows: Set<Report.SessionReport>, out: Array<string>): void {
    if (conn.onward !== undefined) return
    if (conn.kind === "cut" && conn.client === undefined) this.#findClient(conn, rows)
    for (const side of conn.sides) this.#unmute(side, out)
    const over = this.isOver(conn)
    const { far } = conn
    for (const side of conn.sides) this.#compareSide(conn, side, over, rows, out)
    if (far !== undefined) {
      const what = `the far end ${far.local} of session ${conn.near.handle}`
      if (far.closed !== over) out.push(`${what} is ${far.closed ? "closed and should not be" : "not closed"}`)
      if (!far.isRight(conn.fromNear)) out.push(`${what} has got what was not sent to it`)
      if (!over && far.received > conn.near.written) out.push(`${what} has more than was written`)
    }
    // what is written when the host has ended it goes nowhere
    if (far !== undefined && this.#isSent(conn)) this.#later(() => void (conn.txEnded = true))
    if (over) this.#later(() => void (conn.over = true))
  }

  /** A session whose worker has taken its request back, and looks at its queue, is broken unseen. */
  #unmute(side: Side, out: Array<string>): void {
    if (!side.mute || side.worker.blocked || side.dropped || side.gone) return
    const { connect } = side.conn
    if (connect!.outcome === undefined) return void out.push(`connect ${connect!.id} succeeded and nobody was told`)
    if (connect!.outcome === "connected") return
    side.given = true
    side.aborted = true
  }

  /** The client of a cut-through connection that has not heard of it, or never will. */
  #findClient(conn: Conn, rows: Set<Report.SessionReport>): void {
    const connect = conn.connect!
    for (const row of rows) {
      if (row.kind !== "cut-through client" || row.remote !== conn.local || row.local !== connect.worker.address) {
        continue
      }
      if (this.#byHandle.has(row.handle) || row.workerHandle !== connect.worker.handle) continue
      conn.client = new Side(connect.worker, connect.life, conn, undefined)
      this.#enter(conn.client, row.handle)
      conn.client.mute = true
      conn.turnedDown = false
      return
    }
    // it was told that it failed, it is gone, or it was over so soon that nothing is left of it
    conn.turnedDown = true
  }

  /** Whether the worker of a side that is over has let go of it. */
  #isReleased(side: Side): boolean {
    const { conn, worker } = side
    // one that has heard of the end does the rest without a look at its queue
    if (worker.blocked && !side.heard && side.closed === undefined) return false
    const sent = conn.kind === "cut" ? conn.other(side)?.written ?? 0 : side.arrived ?? conn.far!.sent
    return side.given || side.closed?.reset !== undefined || sent <= side.read
  }

  #compareSide(conn: Conn, side: Side, over: boolean, rows: Set<Report.SessionReport>, out: Array<string>): void {
    const { far } = conn
    const other = conn.other(side)
    const { worker } = side
    const what = `session ${side.handle} of ${worker.name}`
    let row: Report.SessionReport | undefined
    for (const one of rows) if (one.handle === side.handle) row = one
    if (row !== undefined) rows.delete(row)
    if (side.gone) {
      if (row !== undefined) out.push(`${what} is there again`)
      return
    }
    if (side.dropped) {
      if (row !== undefined) out.push(`${what} is there still, and its worker is gone`)
      this.#later(() => void (side.gone = true))
      return
    }

    // the other side's end, as the host has told it
    const tells = conn.kind === "cut" ? other?.ended === true : far!.sentEnd && far!.unsent === 0
    const mayBeTold = tells && !side.told && side.isGiven && side.givenAt === this.epoch
    const told = side.told || (tells && !side.isGiven)
    const open = (told: boolean): Report.SessionReport["state"] =>
      side.isGiven ? told ? "APP_CLOSED" : "CLOSING" : told ? "TRANSPORT_CLOSING" : "READY"
    const states: Array<Report.SessionReport["state"] | undefined> = []
    if (!over) states.push(...(mayBeTold ? [open(true), open(false)] : [open(told)]))
    else {
      const heard = !worker.blocked
      const waits = side.isGiven ? "CLOSED" as const : "TRANSPORT_CLOSED" as const
      states.push(this.#isReleased(side) ? undefined : waits)
      if (heard && side.closed === undefined && !side.mute) out.push(`${what} was never told that it is over`)
      this.#checkReset(conn, side, what, out)
    }
    if (!states.includes(row?.state)) {
      out.push(
        `${what} is ${row?.state ?? "not there"}, and must be ${states.map((state) => state ?? "gone").join(" or ")}`
      )
      return
    }
    if (!over && side.closed !== undefined) out.push(`${what} was told that it is over, and is not`)
    if (row === undefined) {
      this.#later(() => void (side.gone = true))
      return
    }
    const kind = conn.kind !== "cut" ? conn.kind : side === conn.near ? "cut-through server" : "cut-through client"
    if (conn.kind === "accepted" && !over) this.#checkParked(conn, row, out)
    const server = side === conn.near && conn.kind !== "connected"
    const [local, remote] = side === conn.near ? [conn.local, conn.remote] : [conn.remote, conn.local]
    const mine = `${kind} ${worker.app.spec.name} ${worker.handle} ${
      server ? conn.listener!.handle : null
    } ${local} ${remote}`
    const theirs = `${row.kind} ${row.app} ${row.workerHandle} ${row.listener} ${row.local} ${row.remote}`
    if (mine !== theirs) out.push(`${what} is ${theirs}, and must be ${mine}`)
    if (over && !worker.blocked) this.#later(() => void (side.heard = true))
    this.#later(() =>
      void (side.told = row.state === "TRANSPORT_CLOSING" || row.state === "APP_CLOSED" || (over && side.told))
    )
  }

  /** Whether an end that was told as a reset was one, and the other way round, where only one of the two can be. */
  #checkReset(conn: Conn, side: Side, what: string, out: Array<string>): void {
    if (side.closed === undefined || conn.over) return
    const breaks = conn.far?.sentReset === true || conn.turnedDown
      || conn.sides.some(({ aborted, dropped, hostGiven }) => aborted || dropped || hostGiven)
    if (side.closed.reset !== undefined && !breaks) out.push(`${what} was told of a reset, and there was none`)
  }

  // ---- applications and workers

  #compareApps({ report }: Observed, out: Array<string>): void {
    if (report.imbalances.length > 0) out.push(...report.imbalances)
    const names = report.apps.map(({ name }) => name).sort().join()
    const mine = [...this.apps.keys()].sort().join()
    if (names !== mine) out.push(`attached are ${names || "none"}, and must be ${mine || "none"}`)
    for (const row of report.apps) {
      const app = this.apps.get(row.name)
      if (app === undefined) continue
      const { spec } = app
      if (row.index !== app.index || row.namespace !== spec.namespace) {
        out.push(`application ${row.name} is another one`)
      }
      const numbers = (some: Iterable<number>): string => [...some].sort((a, b) => a - b).join()
      const theirs = numbers(row.workers.map(({ mapIndex }) => mapIndex))
      if (theirs !== numbers(app.workers.keys())) {
        out.push(`${row.name} has workers ${theirs}, and must have ${numbers(app.workers.keys())}`)
      }
      for (const one of row.workers) {
        const worker = app.workers.get(one.mapIndex)
        if (worker !== undefined) this.#compareWorker(worker, one, out)
      }
    }
    const total = report.apps.reduce(
      (sum, { workers }) => sum + workers.reduce((sum, { sessions }) => sum + sessions, 0),
      0
    )
    if (report.sessions !== total) out.push(`${report.sessions} sessions in total, and ${total} of workers`)
    this.#compareTotal(report, out)
  }

  /**
   * Of so many more claims than the model knows of, those that it knows as refusals: a worker that is gone, or has left
   * the listener, has claimed them, and the host has not read by then that its application refuses them.
   */
  #unread(more: number, at?: Listener): number {
    const hasLeft = ({ members }: Listener, life: Life): boolean =>
      members.get(life.worker) !== true || this.#owners.get(life.id)?.endedAt === this.epoch
    const some = count(
      this.arrivals,
      ({ listener, refuser, status }) =>
        status === "refused" && (at === undefined || listener === at) && hasLeft(listener, refuser!)
    )
    return Math.min(Math.max(0, more), some)
  }

  #compareTotal({ ledger }: Report.HostReport, out: Array<string>): void {
    const { arrived, moved, refused } = ledger.arrivals
    // a claim that was followed by a move is none any more
    const claimed = ledger.arrivals.claimed + moved
    if (moved > this.total.moved + this.#uncounted || moved < this.total.moved) {
      out.push(`${moved} sessions have moved on, and it must be ${this.total.moved}`)
    }
    const theirs = `${arrived} connections arrived, ${claimed} were claimed, and ${refused["app-refused"]} refused`
    const unread = this.#unread(claimed - this.total.claimed)
    const total = {
      ...this.total,
      claimed: this.total.claimed + unread,
      refused: this.total.refused - unread
    }
    this.#later(() => void Object.assign(this.total, total))
    const mine = `${total.arrived} connections arrived, ${total.claimed} were claimed, and ${total.refused} refused`
    if (theirs !== mine) out.push(`${theirs}, and it must be: ${mine}`)
  }

  #compareWorker(worker: Worker, row: Report.WorkerReport, out: Array<string>): void {
    const { name } = worker
    if (worker.handle !== row.handle) out.push(`worker ${name} is ${row.handle}, and was ${worker.handle}`)
    if (row.state !== worker.state) out.push(`worker ${name} is ${row.state}, and must be ${worker.state}`)
    if (row.restarts !== worker.restarts) {
      out.push(`worker ${name} was started again ${row.restarts} times, and must have been ${worker.restarts} times`)
    }
    if (row.offers.pending > 0 && !worker.blocked) out.push(`worker ${name} has an offer pending`)
    if (worker.blocked) {
      const late = worker.late + (this.#left.get(worker)?.late ?? 0)
      const wrong = this.#mayRelease(worker) ? row.behind.offers > late : row.behind.offers !== late
      if (wrong) out.push(`worker ${name} is behind by ${row.behind.offers}, and must be by ${late}`)
      this.#later(() => void (worker.late = row.behind.offers))
      return
    }
    if (row.behind.offers > 0 || row.postponed.now > 0 || row.congested) {
      out.push(
        `worker ${name} is behind by ${row.behind.offers} and ${row.postponed.now} messages, and looks at its queue`
      )
    }
  }

  /** Whether offers that were taken back may be released before they come to the worker: those that are postponed. */
  #mayRelease(worker: Worker): boolean {
    return worker.congested || worker.wasCongested
  }

  // ---- listeners

  #compareListeners({ report, sessions }: Observed, out: Array<string>): void {
    const rows = new Map(report.apps.flatMap(({ listeners }) => listeners).map((row) => [row.handle, row]))
    for (const listener of this.listeners) {
      if (!listener.open) continue
      const what = `listener ${listener.requested} of ${listener.app.spec.name}`
      const row = rows.get(listener.handle ?? "")
      if (row === undefined) {
        out.push(`${what} is not there`)
        continue
      }
      rows.delete(row.handle)
      const theirsAt = `${row.requested} of ${row.app} at ${row.endpoint}`
      if (theirsAt !== `${listener.requested} of ${listener.app.spec.name} at ${listener.endpoint}`) {
        out.push(`${what} at ${listener.endpoint} is ${theirsAt}`)
      }
      const seats = (some: Iterable<number>): string => [...some].sort((a, b) => a - b).join()
      if (seats(row.workers) !== seats(listener.members.keys())) {
        out.push(`${what} is served by ${seats(row.workers)}, and must be by ${seats(listener.members.keys())}`)
      }
      const at = (counts: Map<Listener, number>): number => counts.get(listener) ?? 0
      const { arrivals } = row
      const held = at(this.#counts.held)
      const dead = at(this.#counts.dead)
      const unknown = arrivals.held - held
      const claims = arrivals.claimed + arrivals.moved
      const theirs =
        `${arrivals.arrived} arrived, ${claims} claimed, ${arrivals.redirected} redirected, ${arrivals.offered} offered, ${row.sessions} sessions`
      const claimed = listener.claimed + this.#unread(claims - listener.claimed, listener)
      this.#later(() => void (listener.claimed = claimed))
      const mine = `${listener.arrived} arrived, ${claimed} claimed, ${listener.redirected} redirected, `
        + `${at(this.#counts.offered)} offered, ${count(sessions, ({ listener }) => listener === row.handle)} sessions`
      if (theirs !== mine || unknown < 0 || unknown > dead) {
        out.push(
          `${what}: ${theirs}, ${arrivals.held} held, and must be ${mine}, ${held} held and at most ${dead} that are gone`
        )
      }
      const moved = count(
        this.arrivals,
        (arrival) => arrival.listener === listener && arrival.onward !== undefined && arrival.pending
      )
      if (arrivals.held - moved > listener.app.spec.holdMax) {
        out.push(`${what}: ${arrivals.held} held, which is too many`)
      }
      listener.dead = unknown
    }
    for (const { app, requested } of rows.values()) {
      out.push(`listener ${requested} of ${app} is there, and must not be`)
    }
  }

  // ---- half-open connects

  /**
   * That its worker's end has cancelled it is no answer: the worker should have waited for one. A blocked worker does
   * not say that there was one: then the host is asked.
   */
  #isUnderWay(connect: Connect, { connects }: Observed): boolean {
    const { arrival, cancelled, conn, half, outcome, until, worker } = connect
    if (!half || cancelled || conn !== undefined) return false
    if (outcome !== undefined) {
      // with its worker's end, or with its time, which was the last that its worker waited for
      const isLate = Math.min(until, arrival?.heldUntil ?? Infinity) <= this.now
      if (isLate || !outcome.startsWith("Cancelled")) return false
    }
    return !worker.blocked || connects.some((row) => this.#isRow(connect, row))
  }

  #compareHalfOpen({ connects }: Observed, out: Array<string>): void {
    const rows = new Set(connects)
    for (const connect of this.connects.values()) {
      const what = `connect ${connect.id} of ${connect.worker.name} to ${connect.endpoint}`
      let row: Report.ConnectReport | undefined
      for (const one of rows) if (connect.half && this.#isRow(connect, one)) row = one
      if (row !== undefined) rows.delete(row)
      if (!connect.half) continue
      if (row === undefined) {
        const heard = connect.outcome !== undefined || connect.conn !== undefined
        if (!heard && !connect.cancelled && !connect.worker.blocked) {
          out.push(`${what} is neither half-open nor answered`)
        }
        this.#later(() => void (connect.half = false))
        continue
      }
      if (connect.cancelled || connect.conn !== undefined || connect.outcome !== undefined) {
        out.push(`${what} is half-open still`)
      }
      if (connect.until <= this.now) out.push(`${what} is half-open longer than it may be`)
      const scope = connect.arrival === undefined ? "global" : "local"
      if (row.scope !== scope) out.push(`${what} is ${row.scope}, and must be ${scope}`)
    }
    for (const { app, endpoint, worker } of rows) {
      out.push(`a connect of ${app}/${worker} to ${endpoint} is half-open that nobody knows`)
    }
  }

  // ---- local scope

  #compareLocals({ connects, locals, sessions }: Observed, out: Array<string>): void {
    const same = (what: string, theirs: Array<string>, mine: Array<string>): void => {
      const [a, b] = [theirs.sort().join("; "), mine.sort().join("; ")]
      if (a !== b) out.push(`${what}: ${a || "none"}, and must be: ${b || "none"}`)
    }
    const mine = [...this.listeners].filter(({ app, open }) => open && app.spec.scope.local)
    same(
      "local listeners",
      locals.listeners.map(({ app, endpoint, listener, namespace }) => `${namespace} ${endpoint} ${app} ${listener}`),
      mine.map(({ app: { spec }, endpoint, handle }) => `${spec.namespace} ${endpoint} ${spec.name} ${handle}`)
    )
    const state = (handle: string | undefined): string =>
      sessions.find((row) => row.handle === handle)?.state ?? "TRANSPORT_DELETED"
    same(
      "cut-through sessions",
      locals.sessions.map(({ client, endpoint, server }) =>
        `${endpoint} ${server.session} ${server.state} ${client.session} ${client.state}`
      ),
      [...this.conns].filter((conn) => conn.kind === "cut" && conn.client !== undefined).flatMap((conn) => {
        const { client, local, near } = conn
        const row = `${local} ${near.handle} ${state(near.handle)} ${client!.handle} ${state(client!.handle)}`
        return state(near.handle) === "TRANSPORT_DELETED" && state(client!.handle) === "TRANSPORT_DELETED" ? [] : [row]
      })
    )
    same(
      "local connects",
      locals.connects.map(({ app, endpoint, worker }) => `${app}/${worker} ${endpoint}`),
      connects.filter(({ scope }) => scope === "local").map(({ app, endpoint, worker }) =>
        `${app}/${worker} ${endpoint}`
      )
    )
  }

  // ---- memory

  /** Blocks and segments that the host keeps for a worker's sessions. */
  #memoryOf({ handle }: Worker, { segments }: Observed): { readonly tcp: number; readonly cut: number } {
    let tcp = 0
    let cut = 0
    for (const row of segments) {
      if (row.workerHandle !== handle) continue
      if (row.kind === "local") cut += row.count
      // each session has one such block, and nothing else has: not what is known of it, nor a fifo that has grown
      for (const block of row.blocks) if (block.size === RINGS_BYTES) tcp += block.count
    }
    return { tcp, cut }
  }

  /** Blocks and segments of a worker's sessions, and of offers that run. */
  #needs(worker: Worker, { sessions }: Observed): { readonly tcp: number; readonly cut: number } {
    const mine = sessions.filter(({ workerHandle }) => workerHandle === worker.handle)
    const tcp = count(mine, ({ transport }) => transport === "tcp")
    const there = new Set(sessions.map(({ handle }) => handle))
    // a segment goes when both its sessions have
    const held = count(this.conns, (conn) =>
      conn.kind === "cut" && conn.sides.some(({ handle }) => there.has(handle!))
      && conn.sides.some(({ life, worker: owner }) => owner === worker && life === worker.life))
    const self = count(
      this.conns,
      ({ client, kind, near }) =>
        kind === "cut" && client?.worker === worker && client.life === worker.life && near.worker === worker
        && near.life === worker.life && (there.has(client.handle!) || there.has(near.handle!))
    )
    const offered = count(mine, ({ state, transport }) => state === "ACCEPTING" && transport === "local")
    return { tcp, cut: held + self + offered }
  }

  /** Each session has its block, or its segment, and nothing else has. */
  #compareSegments(observed: Observed, out: Array<string>): void {
    for (const worker of this.workers()) {
      if (!worker.live || worker.handle === undefined) continue
      const left = this.#left.get(worker) ?? { tcp: 0, cut: 0 }
      const brief = [...this.arrivals].filter((arrival) => worker.blocked && this.#isBrief(arrival, worker))
      const ofTcp = count(brief, ({ connect }) => connect === undefined)
      const compare = (what: string, theirs: number, live: number, stale: number, unknown: number): void => {
        const fewer = this.#mayRelease(worker) ? live : live + stale
        if (theirs >= fewer && theirs <= live + stale + unknown) return
        out.push(
          `worker ${worker.name} has ${theirs} ${what}, and must have ${live} and ${stale} of offers that were taken back`
        )
      }
      const { cut, tcp } = this.#needs(worker, observed)
      const there = this.#memoryOf(worker, observed)
      compare("session blocks", there.tcp, tcp, worker.stale.tcp + left.tcp, ofTcp)
      compare("local segments", there.cut, cut, worker.stale.cut + left.cut, brief.length - ofTcp)
      if (worker.blocked) this.#later(() => void (worker.stale = { tcp: there.tcp - tcp, cut: there.cut - cut }))
      const { life } = worker
      if (life !== undefined) {
        const slots = there.cut + this.halfOpenOf(worker)
        this.#later(() => void this.#highest.cut.set(life.id, Math.max(this.#highest.cut.get(life.id) ?? 0, slots)))
      }
    }
  }

  /**
   * Whether a connection may have been on offer to a worker and was withdrawn before things settled: its listener
   * closed, or its client did not want it any more. To whom it was on offer is not known.
   */
  #isBrief({ connect, listener: { app, open }, status, worker: before }: Arrival, worker: Worker): boolean {
    const moves = status === "new" || status === "held" || (status === "offered" && before !== worker)
    if (app !== worker.app || !moves) return false
    return !open || (connect !== undefined && (connect.cancelled || connect.until <= this.now))
  }
}
