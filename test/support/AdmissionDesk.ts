/**
 * The owner of an admission, in plain code: it does what the tickets say, at times that a test gives, with workers that
 * have what a test says. What becomes of connections it writes down.
 */
import { Admission, type ListenerAdmission } from "../../src/domain/admission/Admission.ts"
import { Lag } from "../../src/domain/admission/Lag.ts"
import type { Member } from "../../src/domain/admission/Seats.ts"
import { Sojourn, type SojournOptions } from "../../src/domain/admission/Sojourn.ts"
import type { Ticket } from "../../src/domain/admission/Ticket.ts"
import * as Options from "../../src/domain/options/Options.ts"
import * as Ledger from "../../src/domain/state/Ledger.ts"
import { WorkerTimes } from "../../src/domain/state/Times.ts"

/** A worker: plain data that a test changes. */
export class DeskWorker implements Member {
  readonly number: number
  running = true
  open = 0
  congested = false
  sessions = 0
  spare = Infinity
  /** What comes of a request for memory: some, none, or none until it has grown. */
  memory: "some" | "none" | "growing" = "some"
  readonly lag = new Lag()
  readonly sojourn: Sojourn
  readonly offers: Ledger.OfferLedger
  readonly times = new WorkerTimes()

  constructor(
    number: number,
    offers = new Ledger.OfferLedger(),
    options: SojournOptions = Options.defaults.admission
  ) {
    this.number = number
    this.sojourn = new Sojourn(options)
    this.offers = offers
  }

  get growing(): boolean {
    return this.memory === "growing"
  }
}

/** A session that was made for an offer. */
export interface DeskSession {
  readonly connection: Connection
  readonly worker: DeskWorker
  readonly ticket: DeskTicket
  /** The worker has claimed it, of which its word has not been read. */
  taken: boolean
}

export interface Connection {
  readonly name: string
  readonly key?: string | undefined
  /** Its class; `NORMAL` unless given. */
  readonly rank?: number
}

type DeskTicket = Ticket<Connection, DeskWorker, DeskSession>

export class Desk {
  readonly admission: Admission<Connection, DeskWorker, DeskSession>
  readonly app = { sessions: 0 }
  readonly #hasKeys: boolean
  now = 0
  /** What has been done since {@link take} was called last: `a>0`, `a held`, `a refused congested`. */
  #log: Array<string> = []
  /** Connections that are held, and sessions on offer, claimed, or taken back and not passed yet. */
  readonly held = new Map<string, DeskTicket>()
  readonly offered = new Map<string, DeskSession>()
  readonly claimed = new Map<string, DeskSession>()
  readonly stale: Array<DeskSession> = []
  /** Sessions that have moved on, and that the worker they were taken away from has not come past yet. */
  readonly moved: Array<{ readonly name: string; readonly worker: DeskWorker; readonly late: boolean }> = []
  /** Keys that were asked for. */
  readonly asked: Array<string> = []

  constructor(options: Partial<ListenerAdmission> = {}, hasKeys = false) {
    const all = { ...Options.defaults.admission, held: Options.defaults.listener.held, ...options }
    this.admission = new Admission(all, this.app, hasKeys)
    this.#hasKeys = hasKeys
  }

  take(): ReadonlyArray<string> {
    const log = this.#log
    this.#log = []
    return log
  }

  #follow(ticket: DeskTicket): void {
    const { connection } = ticket
    const { name } = connection
    for (;;) {
      switch (ticket.state) {
        case "asking":
          this.asked.push(name)
          this.admission.keyed(ticket, connection.key, this.now)
          break
        case "offering": {
          const worker = ticket.member!
          if (worker.memory !== "some") {
            this.admission.noMemory(ticket, this.now)
            break
          }
          const session = { connection, worker, ticket, taken: false }
          this.held.delete(name)
          this.offered.set(name, session)
          worker.sessions++
          this.app.sessions++
          this.admission.offered(ticket, session, this.now)
          this.#log.push(`${name}>${worker.number}`)
          return
        }
        case "held":
          if (!this.held.has(name)) this.#log.push(`${name} held`)
          this.held.set(name, ticket)
          return
        case "refused":
          this.held.delete(name)
          this.#log.push(`${name} refused ${ticket.reason}`)
          return
        default:
          return
      }
    }
  }

  arrive(connection: Connection): void {
    this.#follow(this.admission.arrive(connection, this.now, connection.rank))
  }

  /** The host has read the worker's word of its claim. */
  claim(name: string): void {
    const session = this.offered.get(name)!
    this.offered.delete(name)
    this.claimed.set(name, session)
    this.admission.claimed(session.ticket, this.now)
    this.#log.push(`${name} claimed`)
    this.admit()
  }

  /** The compare-and-swap that takes an offer back; `false` when the worker was first. */
  #end(session: DeskSession): boolean {
    if (session.taken) return false
    this.offered.delete(session.connection.name)
    this.stale.push(session)
    this.app.sessions--
    return true
  }

  /** Time passes, and what is due is done at its time. */
  pass(millis: number): void {
    const end = this.now + millis
    for (let next; (next = this.admission.nextDeadline()) <= end;) {
      this.now = Math.max(this.now, next)
      this.ring()
    }
    this.now = end
  }

  /** What is due by now is done. */
  ring(): void {
    for (let ticket; (ticket = this.admission.handle(this.now)) !== undefined;) {
      if (ticket.state !== "offered") this.#follow(ticket)
      else if (this.#end(ticket.session!)) {
        this.#log.push(`${ticket.connection.name} revoked`)
        this.#follow(this.admission.revoked(ticket, this.now))
      }
    }
  }

  /** The worker leaves; what is on offer to it is taken back. */
  leave(worker: DeskWorker, keep = false): void {
    this.admission.seats.leave(worker.number, keep)
    for (const session of Array.from(this.offered.values())) {
      if (session.worker !== worker) continue
      if (!this.#end(session)) this.claim(session.connection.name)
      else this.#follow(this.admission.withdrawn(session.ticket, this.now))
    }
  }

  /** The worker comes past an offer that was taken back. */
  comePast(session: DeskSession): void {
    this.stale.splice(this.stale.indexOf(session), 1)
    this.admission.passed(session.ticket, this.now)
    session.worker.sessions--
    this.admit()
  }

  #keyOf({ key }: Connection): string | undefined {
    return this.#hasKeys ? key : undefined
  }

  /** A session that its worker has parked goes on to another one that takes it now, if there is one (X1). */
  moveOn(name: string, late: boolean): boolean {
    const { connection, worker } = this.claimed.get(name)!
    const { admission } = this
    const key = this.#keyOf(connection)
    const from = admission.seats.member(worker.number)
    if (from === worker && admission.isBestAt(worker, this.now, connection.rank)) return false
    const ticket = admission.onward(connection, key, from === worker ? worker : undefined, this.now, connection.rank)
    if (ticket === undefined) return false
    this.claimed.delete(name)
    this.app.sessions--
    this.moved.push({ name, worker, late })
    if (late) worker.lag.fellBehind(this.now)
    this.#log.push(`${name} moves`)
    this.#follow(admission.movedOn(ticket, worker.offers, this.now))
    return true
  }

  /** The worker comes past a session that has moved on. */
  letGo(name: string): void {
    const at = this.moved.findIndex((session) => session.name === name)
    const [{ late, worker }] = this.moved.splice(at, 1) as [(typeof this.moved)[number]]
    worker.sessions--
    if (late) worker.lag.caughtUp(this.now)
    this.admit()
  }

  /** The worker of a session, which it had parked, is gone (X3). */
  carryOn(name: string): void {
    const { connection, worker } = this.claimed.get(name)!
    this.claimed.delete(name)
    worker.sessions--
    this.app.sessions--
    this.#log.push(`${name} goes on`)
    const ticket = this.admission.turn(connection, this.#keyOf(connection), connection.rank)
    this.#follow(this.admission.movedOn(ticket, worker.offers, this.now))
  }

  /** A session that was claimed is over. */
  free(name: string): void {
    const { worker } = this.claimed.get(name)!
    this.claimed.delete(name)
    worker.sessions--
    this.app.sessions--
    this.admission.freed()
    this.admit()
  }

  /** The peer goes away while it is held. */
  go(name: string): void {
    const ticket = this.held.get(name)!
    this.held.delete(name)
    this.admission.gone(ticket, this.now)
  }

  /** The peer gives up while it is on offer. */
  giveUp(name: string): void {
    const session = this.offered.get(name)!
    if (!this.#end(session)) return
    this.admission.gaveUp(session.ticket)
    this.admit()
  }

  /** The worker answers a question that it was asked some time ago (X7). */
  answer(worker: DeskWorker, millis: number): void {
    worker.sojourn.answered(this.now - millis, this.now)
    this.admit()
  }

  admit(): void {
    for (let ticket; (ticket = this.admission.admit(this.now)) !== undefined;) {
      this.#follow(ticket)
      if (ticket.state === "held") return
    }
  }

  stop(reason: Ledger.RefuseReason): void {
    this.admission.stop(reason)
    this.admit()
  }
}
