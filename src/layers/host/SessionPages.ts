/**
 * Reads the sessions of a host page by page (W21): those that a filter lets pass, by their slots or in another order.
 *
 * Many sessions are looked at in pieces, the first at once and each further one in a turn of the loop. A page in the order
 * of slots ends where it is full; in any other order, all sessions are looked at for each page, and the first of those
 * behind the page before are kept.
 */
import * as Effect from "effect/Effect"
import type * as Report from "../../domain/report/Report.ts"
import * as SessionFilter from "../../domain/report/SessionFilter.ts"
import * as SessionOrder from "../../domain/report/SessionOrder.ts"
import * as Handle from "../../domain/state/Handle.ts"
import * as SessionState from "../../domain/state/SessionState.ts"
import { turns } from "../system/Turns.ts"
import type { HostSession } from "./HostSession.ts"
import type { Tables } from "./Tables.ts"
import { ofWorker } from "./WorkerReports.ts"

/**
 * How much is done in one turn of the loop, about a millisecond, in looks at a session; and how many looks a session is
 * worth that a filter or an order reads the addresses or the numbers of, and one that is reported.
 */
const WORK = 20_000
const ADDRESS_WORK = 30
const REPORT_WORK = 150

/** What filters and orders look at, read when they do: most of it costs more than the look. */
class SessionFacts implements SessionFilter.Facts, SessionOrder.Sorted {
  readonly #session: HostSession
  readonly state: SessionState.ShownState
  #numbers: ReturnType<HostSession["report"]> | undefined

  constructor(session: HostSession, state: SessionState.ShownState) {
    this.#session = session
    this.state = state
  }

  get handle(): string {
    return Handle.format(this.#session.handle)
  }

  get app(): string {
    return this.#session.worker.slot.app.name
  }

  get appIndex(): number {
    return this.#session.worker.slot.app.index
  }

  get worker(): number {
    return this.#session.worker.slot.mapIndex
  }

  get workerHandle(): string {
    return Handle.format(this.#session.worker.slot.handle)
  }

  get listener(): string | null {
    const { listener } = this.#session.origin
    return listener === undefined ? null : Handle.format(listener)
  }

  get transport(): Report.SessionReport["transport"] {
    return this.#session.transport
  }

  get local(): string {
    return this.#session.connection.local
  }

  get remote(): string {
    return this.#session.connection.remote
  }

  get since(): number {
    return this.#session.since
  }

  get moves(): number {
    return movesOf(this.#session)?.moves ?? 0
  }

  get #report(): ReturnType<HostSession["report"]> {
    return this.#numbers ??= this.#session.report()
  }

  get bytesIn(): number | null {
    return this.#report.bytesIn
  }

  get bytesOut(): number | null {
    return this.#report.bytesOut
  }

  get rx(): Report.SessionReport["rx"] {
    return this.#report.rx
  }

  get tx(): Report.SessionReport["tx"] {
    return this.#report.tx
  }
}

const movesOf = ({ connection, origin }: HostSession) => origin.moves?.journeys.of(connection)

interface Entry extends SessionOrder.Place {
  readonly session: HostSession
}

type Wanted = Report.SessionPage & { readonly limit: number }

export class SessionPages {
  readonly #tables: Tables

  constructor(tables: Tables) {
    this.#tables = tables
  }

  page(filter: Report.SessionFilter, wanted: Wanted): Effect.Effect<Report.SessionsReport> {
    const { after, sort } = wanted
    if (after !== undefined && !SessionOrder.isNext(sort, after)) {
      return Effect.die(new Error(`"${after}" is not the next of a page in this order`))
    }
    return sort === undefined ? this.#inSlots(filter, wanted) : this.#inOrder(filter, sort, wanted)
  }

  /**
   * Hands over those in the slots from `from` on that a filter lets pass, until it is told that it is enough. `found`
   * returns how many looks it was worth, or `Infinity` for the last one.
   */
  readonly #each = Effect.fnUntraced({ self: this }, function*(
    filter: Report.SessionFilter,
    from: number,
    found: (session: HostSession, facts: SessionFacts) => number
  ) {
    const passes = SessionFilter.compile(filter)
    const readsText = filter.local !== undefined || filter.remote !== undefined || filter.search !== undefined
    const look = readsText ? ADDRESS_WORK : 1
    let work = 0
    for (const session of this.#tables.sessions.from(from)) {
      if (work >= WORK) {
        work = 0
        yield* turns.next
      }
      work += look
      const { state } = session
      if (!SessionState.isShown(state)) continue
      const facts = new SessionFacts(session, state)
      if (!passes(facts)) continue
      work += found(session, facts)
      if (work === Infinity) return
    }
  })

  /** As many as wanted. Only without `after` the rest is looked at, too, and counted. */
  readonly #inSlots = Effect.fnUntraced({ self: this }, function*(
    filter: Report.SessionFilter,
    { after, limit }: Wanted
  ) {
    const sessions: Array<Report.SessionReport> = []
    let next: number | undefined
    let total = 0
    yield* this.#each(filter, Number(after ?? 0), (session, { state }) => {
      total++
      if (sessions.length < limit) {
        sessions.push(this.#report(session, state))
        return REPORT_WORK
      }
      next ??= Handle.index(session.handle)
      return after === undefined ? 0 : Infinity
    })
    const page: Report.SessionsReport = {
      ...(after === undefined ? { total } : {}),
      sessions,
      ...(next === undefined ? {} : { next: String(next) })
    }
    return page
  })

  /** The first of those that stand behind `after`. */
  readonly #inOrder = Effect.fnUntraced({ self: this }, function*(
    filter: Report.SessionFilter,
    sort: SessionOrder.SessionSorting,
    { after, limit, reversed = false }: Wanted
  ) {
    const begin = after === undefined ? undefined : SessionOrder.read(sort, after)
    const order = reversed
      ? (a: SessionOrder.Place, b: SessionOrder.Place) => SessionOrder.compare(b, a)
      : SessionOrder.compare
    const keyOf = SessionOrder.keyOf(sort)
    // one more than wanted says whether there is a next page
    const firsts = new SessionOrder.Firsts<Entry>(limit + 1, order)
    let total = 0
    yield* this.#each(filter, 0, (session, facts) => {
      total++
      const entry: Entry = { key: keyOf(facts), slot: Handle.index(session.handle), session }
      if (begin === undefined || order(entry, begin) > 0) firsts.add(entry)
      return ADDRESS_WORK
    })
    yield* turns.next
    const { entries } = firsts
    const shown = entries.slice(0, limit)
    const last = shown.at(-1)
    const page: Report.SessionsReport = {
      total,
      // some may have ended meanwhile
      sessions: shown.flatMap(({ session }) => {
        const { state } = session
        return SessionState.isShown(state) ? [this.#report(session, state)] : []
      }),
      ...(last !== undefined && entries.length > limit ? { next: SessionOrder.write(sort, last) } : {})
    }
    return page
  })

  #report(session: HostSession, state: SessionState.ShownState): Report.SessionReport {
    const { connection: { local, remote }, handle, origin: { listener }, since, worker } = session
    const journey = movesOf(session)
    return {
      handle: Handle.format(handle),
      ...ofWorker(worker.slot),
      listener: listener === undefined ? null : Handle.format(listener),
      state,
      transport: session.transport,
      ...session.report(),
      local,
      remote,
      ageMillis: Math.round(this.#tables.now() - since),
      moves: journey?.moves ?? 0,
      moved: journey?.why ?? null
    }
  }
}
