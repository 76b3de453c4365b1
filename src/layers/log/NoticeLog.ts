/**
 * Writes notices into the log of Effect, at a bounded rate.
 *
 * `tell` is plain code, to be called from wherever something happens. What comes often costs a look-up in a map and an
 * addition; a line is made for the first of a kind, and one fiber tells the counts while there are any.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import * as Notice from "../../domain/report/Notice.ts"
import { Repeats } from "../../domain/report/Repeats.ts"
import * as Visible from "../../domain/report/Visible.ts"
import * as MonotonicTime from "../../services/MonotonicTime.ts"

/** A kind of notice that has come, and the latest of it. */
interface Kind {
  readonly repeats: Repeats
  latest: Notice.Notice
  /** When it was last told. */
  since: number
}

/** The line of a notice, whatever its kind: for those that nobody but the user of the host brings about. */
export const write = ({ app, level, stack, text, worker }: Notice.Notice): Effect.Effect<void> =>
  Effect.logWithLevel(level)(Visible.line(text)).pipe(
    Effect.annotateLogs({
      ...(app === undefined ? {} : { app: Visible.line(app) }),
      ...(worker === undefined ? {} : { worker }),
      ...(stack === undefined ? {} : { stack: Visible.lines(stack).join("\n") })
    })
  )

export class NoticeLog {
  readonly #now: () => number
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly #kinds = new Map<string, Kind>()
  #counting = false

  private constructor(now: () => number, fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>) {
    this.#now = now
    this.#fork = fork
  }

  /** The log of a host, or of a worker. At the scope's end the counts that are left are told. */
  static readonly make: Effect.Effect<NoticeLog, never, Scope.Scope> = Effect.gen(function*() {
    const fork = yield* FiberSet.makeRuntime<never, void, never>()
    const log = new NoticeLog(yield* MonotonicTime.reader, fork)
    yield* Effect.addFinalizer(() => Effect.suspend(() => log.#tellCounts(Infinity)))
    return log
  })

  /** Tells a notice, or that it has come `count` times. */
  readonly tell = (notice: Notice.Notice, count = 1): void => {
    if (notice.kind === undefined) return void this.#fork(write(notice))
    const now = this.#now()
    let kind = this.#kinds.get(notice.kind)
    if (kind === undefined) {
      kind = { repeats: new Repeats(Notice.INTERVAL), latest: notice, since: now }
      this.#kinds.set(notice.kind, kind)
    }
    kind.latest = notice
    if (kind.repeats.add(now)) {
      kind.since = now
      this.#fork(write(notice))
    }
    if (count > 1) kind.repeats.add(now, count - 1)
    if (this.#counting) return
    this.#counting = true
    this.#fork(this.#countDown())
  }

  /** Tells counts when they are due, and forgets kinds that no longer come, until there is none. */
  #countDown(): Effect.Effect<void> {
    return Effect.suspend(() => {
      let due = Infinity
      for (const { repeats } of this.#kinds.values()) due = Math.min(due, repeats.due)
      if (due === Infinity) {
        this.#counting = false
        return Effect.void
      }
      return Effect.sleep(Math.max(0, due - this.#now())).pipe(
        Effect.andThen(Effect.suspend(() => this.#tellCounts(this.#now()))),
        Effect.andThen(Effect.suspend(() => this.#countDown()))
      )
    })
  }

  /** Tells the counts that are due by `until`. */
  #tellCounts(until: number): Effect.Effect<void> {
    const now = this.#now()
    const lines: Array<Effect.Effect<void>> = []
    for (const [name, kind] of this.#kinds) {
      if (kind.repeats.due > until) continue
      const count = kind.repeats.take(now)
      if (count === 0) {
        this.#kinds.delete(name)
        continue
      }
      lines.push(write(Notice.again(kind.latest, count, now - kind.since)))
      kind.since = now
    }
    return Effect.all(lines, { discard: true })
  }
}
