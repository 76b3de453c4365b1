/**
 * `top` on a screen: looks at the host again and again, takes keys, draws what has changed.
 *
 * What is known stands in one place and changes in plain steps; each step opens a latch, and one fiber draws. So a host
 * that does not answer keeps nobody from pressing keys, and a slow terminal keeps nobody from looking.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type * as Terminal from "effect/Terminal"
import * as History from "../../../domain/overview/History.ts"
import type * as Overview from "../../../domain/overview/Overview.ts"
import type * as Report from "../../../domain/report/Report.ts"
import type * as Handle from "../../../domain/state/Handle.ts"
import * as HandleText from "../../../domain/state/HandleText.ts"
import * as MonotonicTime from "../../../services/MonotonicTime.ts"
import * as ControlClient from "../../control/ControlClient.ts"
import * as EventsCommand from "../EventsCommand.ts"
import * as Signals from "../Signals.ts"
import { FullScreen, type OpenScreen } from "./FullScreen.ts"
import { paint } from "./ScreenText.ts"
import * as TopActions from "./TopActions.ts"
import { initial, type Said } from "./TopChoice.ts"
import { draw, type Frame, type ScreenSize, scrolling } from "./TopDrawing.ts"
import { sessionQuery } from "./TopRows.ts"
import * as TopView from "./TopView.ts"

export interface TopOptions {
  /** The path of the control socket; and as it was given, if it was. */
  readonly path: string
  readonly control: string | undefined
  /** The only application to show, where it is not all. */
  readonly app: string | undefined
  /** Milliseconds between two looks. */
  readonly interval: number
  /** Asks for an overview. */
  readonly look: Effect.Effect<Overview.Overview, { readonly message: string }>
}

/** Milliseconds that an answer may be late before what is shown is called stale. */
const LATE = 1000

const keyOf = ({ input, key }: Terminal.UserInput): TopView.Key => ({
  name: key.name,
  text: key.ctrl || key.meta ? "" : Option.getOrElse(input, () => ""),
  ctrl: key.ctrl
})

/** A row of the screen. It is cleared first: from behind a full row, the last column would be. */
const row = (line: string, at: number): string => `\u001b[${at + 1};1H\u001b[K${line}`

class TopScreen {
  readonly #options: TopOptions
  readonly #screen: OpenScreen
  readonly #colours: boolean
  readonly #now: () => number
  readonly #scope: Scope.Scope
  /** Opened when there is something to draw, and when somebody wants a look at the host at once. */
  readonly #changed = Latch.makeUnsafe(true)
  readonly #wanted = Latch.makeUnsafe(false)
  readonly #quit = Deferred.makeUnsafe<void>()
  #history: History.History
  #view = initial
  #sessions: Report.SessionsReport | undefined
  #size: ScreenSize = { columns: 0, rows: 0 }
  /** When the host has last answered, and what has been wrong since. */
  #answeredAt: number
  #why: string | undefined
  /** What is on the screen, row by row. */
  #drawn: ReadonlyArray<string> = []

  constructor(options: TopOptions, first: Overview.Overview, parts: {
    readonly screen: OpenScreen
    readonly colours: boolean
    readonly now: () => number
    readonly scope: Scope.Scope
  }) {
    this.#options = options
    this.#screen = parts.screen
    this.#colours = parts.colours
    this.#now = parts.now
    this.#scope = parts.scope
    this.#history = History.add(undefined, first)
    this.#answeredAt = parts.now()
  }

  /** Goes on until somebody has seen enough, or nobody can press a key any more, or the terminal is gone. */
  get run(): Effect.Effect<void> {
    return Effect.raceAllFirst([
      Deferred.await(this.#quit),
      this.#takeKeys,
      // whoever read the screen is gone
      Effect.ignore(this.#drawing),
      Effect.forever(this.#look),
      Effect.forever(this.#resize),
      Effect.forever(Effect.andThen(this.#screen.emptied, Effect.sync(() => this.#clear()))),
      Effect.forever(Effect.andThen(Effect.sleep(LATE), Effect.sync(() => this.#changed.openUnsafe())))
    ])
  }

  // ---- the host

  readonly #look: Effect.Effect<void> = Effect.gen({ self: this }, function*() {
    const { interval, look } = this.#options
    yield* Effect.timeoutOption(this.#wanted.await, interval)
    this.#wanted.closeUnsafe()
    yield* Effect.match(look, {
      onSuccess: (overview) => {
        this.#history = History.add(this.#history, overview)
        this.#answeredAt = this.#now()
        this.#why = undefined
      },
      onFailure: ({ message }) => {
        this.#why = message
      }
    })
    if (this.#view.page === "sessions") yield* this.#lookAtSessions()
    this.#changed.openUnsafe()
  })

  #lookAtSessions(): Effect.Effect<void> {
    const { app, path } = this.#options
    const wanted = () => JSON.stringify(sessionQuery(this.#view))
    const asked = wanted()
    const query = { ...sessionQuery(this.#view), ...(app === undefined ? {} : { app }) }
    return Effect.match(ControlClient.ask(path, (client) => client.sessions.list({ query })), {
      onSuccess: (sessions) => {
        // somebody may have asked for others meanwhile
        if (wanted() === asked) this.#sessions = sessions
      },
      onFailure: ({ message }) => this.#say({ level: "bad", text: message })
    })
  }

  // ---- keys

  readonly #takeKeys: Effect.Effect<void> = Effect.suspend(() =>
    Queue.take(this.#screen.keys).pipe(
      Effect.tap((input) => Effect.suspend(() => this.#press(keyOf(input)))),
      Effect.forever,
      // no more keys will come
      Effect.ignore
    )
  )

  #press(key: TopView.Key): Effect.Effect<void> {
    const before = this.#view
    const known = { overview: this.#history.latest, sessions: this.#sessions, ...scrolling(this.#frame, this.#size) }
    const { intent, view } = TopView.press(before, key, known)
    if (view.of !== before.of) this.#sessions = undefined
    this.#view = view
    this.#changed.openUnsafe()
    return intent === undefined ? Effect.void : this.#do(intent)
  }

  #do(intent: TopView.Intent): Effect.Effect<void> {
    switch (intent._tag) {
      case "Quit":
        return Effect.asVoid(Deferred.succeed(this.#quit, undefined))
      case "Suspend":
        return this.#screen.suspend
      case "Refresh":
        return Effect.sync(() => void this.#wanted.openUnsafe())
      case "Act":
        return this.#act(intent.action)
      case "Tell":
        return this.#tell(intent)
    }
  }

  #say(said: Said): void {
    this.#view = { ...this.#view, said }
    this.#changed.openUnsafe()
  }

  /** Goes on beside all else; what came of it is said when it is known. */
  #act(action: TopActions.TopAction): Effect.Effect<void> {
    this.#say({ level: "ok", text: TopActions.confirmation(action).doing })
    return TopActions.run(this.#options.path, action).pipe(
      Effect.tap((said) =>
        Effect.sync(() => {
          this.#say(said)
          this.#wanted.openUnsafe()
        })
      ),
      Effect.forkIn(this.#scope),
      Effect.asVoid
    )
  }

  #tell({ handle, kind }: Extract<TopView.Intent, { readonly _tag: "Tell" }>): Effect.Effect<void> {
    const of = `${kind} ${handle}`
    const session = HandleText.parse<Handle.SessionHandle>(handle)
    const worker = HandleText.parse<Handle.WorkerHandle>(handle)
    if (session === undefined || worker === undefined) return Effect.void
    const subject = kind === "session" ? EventsCommand.aboutSession(session) : EventsCommand.aboutWorker(worker)
    return EventsCommand.story(this.#options.path, this.#size.columns, subject).pipe(
      Effect.match({
        onSuccess: (lines) => lines.flatMap((entry) => entry.split("\n")),
        onFailure: ({ message }): ReadonlyArray<string> => [message]
      }),
      Effect.tap((lines) =>
        Effect.sync(() => {
          if (this.#view.story?.of === of) this.#view = { ...this.#view, story: { of, lines } }
          this.#changed.openUnsafe()
        })
      ),
      Effect.forkIn(this.#scope),
      Effect.asVoid
    )
  }

  // ---- the screen

  readonly #resize = Effect.suspend(() => Effect.orElseSucceed(Queue.take(this.#screen.sizes), () => undefined)).pipe(
    Effect.flatMap((size) =>
      size === undefined ? Effect.never : Effect.sync(() => {
        this.#size = size
        this.#clear()
      })
    )
  )

  /** Nothing that was drawn is there any more. */
  #clear(): void {
    this.#drawn = []
    this.#changed.openUnsafe()
  }

  get #frame(): Frame {
    const { control, interval } = this.#options
    const millis = this.#now() - this.#answeredAt
    const isStale = this.#why !== undefined || millis > interval + LATE
    return {
      history: this.#history,
      view: this.#view,
      stale: isStale ? { millis, why: this.#why } : undefined,
      interval,
      sessions: this.#sessions,
      control
    }
  }

  /** The rows that are not as they are to be, and all of them on an empty screen. */
  #update(): string {
    const rows = draw(this.#frame, this.#size).map((line) => paint(line, this.#colours))
    const before = this.#drawn
    this.#drawn = rows
    const changed = rows.map((line, at) => line === before[at] ? "" : row(line, at)).join("")
    return before.length === 0 ? `\u001b[2J${changed}` : changed
  }

  readonly #drawing: Effect.Effect<never, PlatformError> = Effect.suspend(() =>
    Effect.forever(Effect.gen({ self: this }, function*() {
      yield* this.#changed.await
      this.#changed.closeUnsafe()
      const update = this.#update()
      if (update !== "") yield* this.#screen.write(update)
    }))
  )
}

/** Shows the host on the whole terminal until somebody has seen enough. */
export const show = Effect.fnUntraced(function*(options: TopOptions, first: Overview.Overview) {
  const source = yield* FullScreen
  const { colours } = yield* source.capabilities
  const signals = yield* Signals.Signals
  const ended = yield* signals.ending
  const hungUp = yield* signals.hangup
  const screen = yield* source.open
  const top = new TopScreen(options, first, {
    screen,
    colours,
    now: yield* MonotonicTime.reader,
    scope: yield* Effect.scope
  })
  yield* Effect.raceAllFirst([top.run, Effect.asVoid(ended), hungUp])
}, Effect.scoped)
