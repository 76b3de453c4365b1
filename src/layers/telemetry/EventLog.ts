/**
 * The events of a host (X5): told in plain calls by whatever counts them, kept in rings, read as streams.
 *
 * ```
 * record ──┬── store ◄── cursor of each reader
 *          └── the log, for what has a line there
 * often ───── series ──┬── record, while it is rare
 *                      └── a count, recorded once a second
 * ```
 *
 * Telling waits for nobody. A reader is a serial number and, while there is nothing new, a wait: however slow it is, it
 * costs the host no memory, and is told what it has missed.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as EventFilter from "../../domain/events/EventFilter.ts"
import * as EventNotice from "../../domain/events/EventNotice.ts"
import { EventSeries } from "../../domain/events/EventSeries.ts"
import { EventStore } from "../../domain/events/EventStore.ts"
import type { EventFacts, EventOf, HostEvent, ToldEvent } from "../../domain/events/HostEvent.ts"
import type { SessionHandle } from "../../domain/state/Handle.ts"
import * as MonotonicTime from "../../services/MonotonicTime.ts"
import type { EventsWanted } from "../../services/SessionLayer.ts"
import type { NoticeLog } from "../log/NoticeLog.ts"

/** The most events that a reader gets at once, and the most that are looked at for it. */
const BATCH = 100
const LOOKS = 1000

/** What an event of a series says of how often, and to whom, it has happened. */
export type OftenFacts = Pick<EventOf<"session-held">, "count" | "withinMillis" | "session" | "connection" | "peer">

/** Something that peers can bring about: as it is told once, or as a count. `millis`: how long it took, in total. */
type SeriesFacts = (often: OftenFacts, millis: number) => EventFacts

/** A series, and what is told of it. */
class ToldSeries extends EventSeries {
  readonly facts: SeriesFacts

  constructor(now: number, facts: SeriesFacts) {
    super(now)
    this.facts = facts
  }
}

/** What has a peer. */
interface Connected {
  readonly remote: string
}

/** So many events are not kept, up to this one: with those that are missing right before, they are one gap. */
const tellMissed = (told: Array<ToldEvent>, serial: number, missed: number): void => {
  if (missed <= 0) return
  const last = told.at(-1)
  const isMore = last?.kind === "gap"
  if (isMore) told.pop()
  told.push({ kind: "gap", serial, missed: isMore ? (last.missed ?? 0) + missed : missed })
}

export class EventLog {
  readonly #store = new EventStore()
  readonly #clock: Clock.Clock
  readonly #now: () => number
  readonly #tell: NoticeLog["tell"]
  readonly #series = new Map<string, ToldSeries>()
  readonly #connections = new WeakMap<object, number>()
  #numbered = 0
  readonly #more = Latch.makeUnsafe(false)
  #waiting = 0

  private constructor(clock: Clock.Clock, tell: NoticeLog["tell"]) {
    this.#clock = clock
    this.#now = MonotonicTime.of(clock)
    this.#tell = tell
  }

  /** The events of a host, whose log this is. At the scope's end, the counts that are left are told. */
  static make({ tell }: NoticeLog): Effect.Effect<EventLog, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.map(Clock.Clock, (clock) => new EventLog(clock, tell)),
      (log) => Effect.sync(() => log.tellCounts())
    )
  }

  // ---- telling

  /** It has happened. */
  readonly record = (facts: EventFacts): void => {
    const event = this.#store.add((serial): HostEvent => ({
      serial,
      time: this.#clock.currentTimeMillisUnsafe(),
      at: this.#now(),
      ...facts
    }))
    const notice = EventNotice.of(event)
    if (notice !== undefined) this.#tell(notice, "count" in event ? event.count : 1)
    if (this.#waiting === 0) return
    this.#more.openUnsafe()
    this.#more.closeUnsafe()
  }

  /** A series that is known. */
  series(key: string): ToldSeries | undefined {
    return this.#series.get(key)
  }

  /** Begins a series. It is known as long as it goes on, and for the time in which it would be counted. */
  begin(key: string, facts: SeriesFacts): ToldSeries {
    const series = new ToldSeries(this.#now(), facts)
    this.#series.set(key, series)
    return series
  }

  /** Something of a series has happened, to this connection; it is recorded now, or in a count within a second. */
  often(series: ToldSeries, connection?: Connected, session?: SessionHandle, millis = 0): void {
    if (!series.admit(this.#now(), millis)) return
    const peer = connection?.remote ?? ""
    this.record(series.facts({
      count: 1,
      withinMillis: 0,
      ...(session === undefined ? {} : { session }),
      ...(connection === undefined ? {} : { connection: this.#numberOf(connection) }),
      ...(peer === "" ? {} : { peer })
    }, millis))
  }

  #numberOf(connection: object): number {
    let number = this.#connections.get(connection)
    if (number === undefined) this.#connections.set(connection, number = ++this.#numbered)
    return number
  }

  /** Records what was counted; to be called once a second. Series that are over are forgotten. */
  tellCounts(): void {
    const now = this.#now()
    for (const [key, series] of this.#series) {
      if (series.count > 0) {
        const { count, millis } = series
        const withinMillis = series.within(now)
        series.take()
        this.record(series.facts({ count, withinMillis }, millis))
      } else if (series.isNew(now)) this.#series.delete(key)
    }
  }

  // ---- reading

  /** The latest events, the newest first; up to `count`. */
  latest(count: number): ReadonlyArray<HostEvent> {
    const latest: Array<HostEvent> = []
    for (let serial = Infinity; latest.length < count;) {
      const event = this.#store.before(serial)
      if (event === undefined) break
      latest.push(event)
      serial = event.serial
    }
    return latest
  }

  /**
   * The events from the one after `after` on, or from the oldest that is kept, and then those that come, unless only what
   * is there is wanted. What the reader has missed since `after`, or since it began, is told by a `gap`.
   */
  read({ after, filter = {}, follow = true }: EventsWanted = {}): Stream.Stream<ToldEvent> {
    const isWanted = EventFilter.compile(filter)
    return Stream.suspend(() => {
      const { newest } = this.#store
      const end = follow ? Infinity : newest
      // no host but another one has an event above the newest
      const isForeign = after !== undefined && after > newest
      // whoever begins misses nothing of what was there before
      const [from, missing] = after === undefined || isForeign ? [0, newest] : [after, after]
      const begin = Stream.paginate(from, (cursor) => Effect.suspend(() => this.#next(cursor, missing, end, isWanted)))
      if (!isForeign) return begin
      const serial = (this.#store.after(0)?.serial ?? 1) - 1
      return Stream.concat(Stream.succeed<ToldEvent>({ kind: "gap", serial, missed: null }), begin)
    })
  }

  /** The next events, up to `end`, for a reader that has had those up to `cursor`, and misses those above `missing`. */
  #next(
    cursor: number,
    missing: number,
    end: number,
    isWanted: (event: HostEvent) => boolean
  ): Effect.Effect<readonly [ReadonlyArray<ToldEvent>, Option.Option<number>]> {
    const told: Array<ToldEvent> = []
    let at = cursor
    for (let looked = 0; looked < LOOKS && told.length < BATCH && at < end; looked++) {
      const event = this.#store.after(at)
      if (event === undefined) break
      const before = Math.min(event.serial - 1, end)
      tellMissed(told, before, before - Math.max(at, missing))
      at = Math.min(event.serial, end)
      if (event.serial <= end && isWanted(event)) told.push(event)
    }
    if (at >= end) return Effect.succeed([told, Option.none()])
    const page = [told, Option.some(at)] as const
    return told.length > 0 || at < this.#store.newest ? Effect.succeed(page) : Effect.as(this.#moreThan(at), page)
  }

  /** Succeeds when there are events after this one. */
  #moreThan(at: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#store.newest > at) return Effect.void
      this.#waiting++
      return Effect.ensuring(this.#more.await, Effect.sync(() => void this.#waiting--))
    })
  }
}
