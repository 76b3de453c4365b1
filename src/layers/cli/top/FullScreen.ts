/**
 * A terminal taken over as a whole: its other screen, its keys one by one, its size. Whatever ends the process or the
 * scope, the terminal is as it was before: by the scope's end, at the process' exit, before an uncaught error is printed,
 * and while the process is suspended.
 */
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import type * as Cause from "effect/Cause"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { PlatformError } from "effect/PlatformError"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type * as Terminal from "effect/Terminal"
import * as Fs from "node:fs"
import type { ScreenSize } from "./TopDrawing.ts"

/** The other screen, without a cursor, whose lines don't wrap. */
const ENTER = "\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[2J"
const LEAVE = "\u001b[?7h\u001b[?25h\u001b[?1049l"

export interface OpenScreen {
  /** Begins with the present size. */
  readonly sizes: Queue.Dequeue<ScreenSize, Cause.Done>
  /** Ends when nobody can press a key any more. */
  readonly keys: Queue.Dequeue<Terminal.UserInput, Cause.Done>
  /** Fails when the terminal is gone. */
  readonly write: (text: string) => Effect.Effect<void, PlatformError>
  /** Stops the process, as Ctrl-Z does; what is on the screen is lost then. */
  readonly suspend: Effect.Effect<void>
  /** Succeeds when the screen is empty, since the process has been suspended; for whoever draws. */
  readonly emptied: Effect.Effect<void>
}

export interface ScreenSource {
  /** Whether there is a terminal at both ends that can move its cursor; and whether it shows colours. */
  readonly capabilities: Effect.Effect<{ readonly isScreen: boolean; readonly colours: boolean }>
  /** Takes the terminal until the scope closes. */
  readonly open: Effect.Effect<OpenScreen, never, Scope.Scope>
}

/** At a time when nothing can be waited for. */
const writeNow = (text: string): void => {
  try {
    Fs.writeSync(process.stdout.fd, text)
  } catch {
    // there is no terminal any more that could be left as it was
  }
}

const setRawMode = (raw: boolean): void => {
  try {
    if (process.stdin.isTTY) process.stdin.setRawMode(raw)
  } catch {
    // as above
  }
}

/** The terminal of the process, while it is taken. */
class TakenTerminal {
  readonly #emptied: Queue.Enqueue<void>
  #isTaken = false

  constructor(emptied: Queue.Enqueue<void>) {
    this.#emptied = emptied
  }

  take(): void {
    process.on("exit", this.#leave)
    process.on("uncaughtExceptionMonitor", this.#leave)
    process.on("SIGTSTP", this.#stopAlone)
    process.on("SIGCONT", this.#goOn)
    this.#enter()
  }

  giveBack(): void {
    process.off("exit", this.#leave)
    process.off("uncaughtExceptionMonitor", this.#leave)
    process.off("SIGTSTP", this.#stopAlone)
    process.off("SIGCONT", this.#goOn)
    this.#leave()
  }

  /** Stops the processes with these numbers, 0 being all that the terminal would stop. */
  stop(pid: number): void {
    this.#leave()
    // without a listener the signal does what it does by default: nothing, where nobody could make the process go on
    process.off("SIGTSTP", this.#stopAlone)
    process.kill(pid, "SIGTSTP")
    setImmediate(this.#goOn)
  }

  readonly #stopAlone = (): void => this.stop(process.pid)

  readonly #goOn = (): void => {
    process.off("SIGTSTP", this.#stopAlone)
    process.on("SIGTSTP", this.#stopAlone)
    // the shell has set the terminal's modes meanwhile, which Node does not know of
    if (this.#isTaken) setRawMode(false)
    this.#enter()
    Queue.offerUnsafe(this.#emptied, undefined)
  }

  #enter(): void {
    this.#isTaken = true
    setRawMode(true)
    writeNow(ENTER)
  }

  readonly #leave = (): void => {
    if (!this.#isTaken) return
    this.#isTaken = false
    setRawMode(false)
    writeNow(LEAVE)
  }
}

const ofProcess: ScreenSource = {
  capabilities: Effect.map(
    TerminalCapabilities.TerminalCapabilities,
    ({ canColor, canPrompt }) => ({ isScreen: canPrompt, colours: canColor })
  ),
  open: Effect.gen(function*() {
    const terminal = yield* NodeTerminal.make(() => false)
    const sizes = yield* terminal.size
    const emptied = yield* Queue.sliding<void>(1)
    const keys = yield* terminal.readInput
    const taken = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const taken = new TakenTerminal(emptied)
        taken.take()
        return taken
      }),
      (taken) => Effect.sync(() => taken.giveBack())
    )
    return {
      sizes,
      keys,
      write: terminal.display,
      suspend: Effect.sync(() => taken.stop(0)),
      emptied: Queue.take(emptied)
    }
  })
}

/** The terminal of the process, unless something else is provided. */
export const FullScreen = Context.Reference<ScreenSource>("sluice/cli/FullScreen", { defaultValue: () => ofProcess })
