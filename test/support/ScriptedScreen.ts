/** A terminal that is taken over as a whole, whose keys are pressed by a test, and that shows what was written. */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as PlatformError from "effect/PlatformError"
import * as Queue from "effect/Queue"
import type * as Terminal from "effect/Terminal"
import type { ScreenSource } from "../../src/layers/cli/top/FullScreen.ts"
import type { ScreenSize } from "../../src/layers/cli/top/TopDrawing.ts"

/** What `top` writes: everything is blank; or a row begins anew. */
const ESCAPE = "\u001b"
const WRITTEN = new RegExp(String.raw`${ESCAPE}\[2J|${ESCAPE}\[(\d+);1H${ESCAPE}\[K([^${ESCAPE}]*)`, "gu")

export class ScriptedScreen {
  readonly #keys: Queue.Queue<Terminal.UserInput, Cause.Done>
  readonly #sizes: Queue.Queue<ScreenSize, Cause.Done>
  readonly #emptied: Queue.Queue<void>
  /** What stands on the screen. */
  rows: Array<string> = []
  writes = 0
  suspended = 0
  /** Whether the terminal is gone. */
  gone = false
  taken = false

  private constructor(
    keys: Queue.Queue<Terminal.UserInput, Cause.Done>,
    sizes: Queue.Queue<ScreenSize, Cause.Done>,
    emptied: Queue.Queue<void>
  ) {
    this.#keys = keys
    this.#sizes = sizes
    this.#emptied = emptied
  }

  static readonly make = Effect.gen(function*() {
    const screen = new ScriptedScreen(
      yield* Queue.unbounded<Terminal.UserInput, Cause.Done>(),
      yield* Queue.sliding<ScreenSize, Cause.Done>(1),
      yield* Queue.sliding<void>(1)
    )
    screen.resize(80, 24)
    return screen
  })

  /** Characters, or names of keys. */
  press(...keys: ReadonlyArray<string>): void {
    for (const key of keys) {
      Queue.offerUnsafe(this.#keys, {
        input: key.length === 1 ? Option.some(key) : Option.none(),
        key: { name: key, ctrl: false, meta: false, shift: false }
      })
    }
  }

  /** Nobody can press a key any more. */
  closeKeys(): void {
    Queue.endUnsafe(this.#keys)
  }

  resize(columns: number, rows: number): void {
    Queue.offerUnsafe(this.#sizes, { columns, rows })
  }

  /** The process was suspended, and goes on. */
  empty(): void {
    this.rows = []
    Queue.offerUnsafe(this.#emptied, undefined)
  }

  #show(text: string): void {
    this.writes++
    for (const [, row, line = ""] of text.matchAll(WRITTEN)) {
      if (row === undefined) this.rows = []
      else this.rows[Number(row) - 1] = line
    }
  }

  readonly source: ScreenSource = {
    capabilities: Effect.succeed({ isScreen: true, colours: false }),
    open: Effect.acquireRelease(
      Effect.sync(() => {
        this.taken = true
        return {
          keys: this.#keys,
          sizes: this.#sizes,
          emptied: Queue.take(this.#emptied),
          suspend: Effect.sync(() => void this.suspended++),
          write: (text) =>
            Effect.suspend(() => {
              if (this.gone) {
                return Effect.fail(
                  PlatformError.badArgument({ module: "Terminal", method: "display", description: "gone" })
                )
              }
              this.#show(text)
              return Effect.void
            })
        }
      }),
      () => Effect.sync(() => void (this.taken = false))
    )
  }
}
