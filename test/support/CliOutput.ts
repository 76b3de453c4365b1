/** What a running command has printed so far, for a test that waits for it. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Path from "node:path"
import * as Url from "node:url"
import * as TempDirectory from "./TempDirectory.ts"

export type Stream = "stdout" | "stderr"

export interface Printed {
  readonly stdout: string
  readonly stderr: string
}

/** What a command prints, until it has ended with a result. */
export class CliOutput<Result> {
  readonly ended: Deferred.Deferred<Result> = Deferred.makeUnsafe<Result>()
  readonly text = { stdout: "", stderr: "" }
  readonly #watchers = new Set<() => void>()

  print(stream: Stream, text: string): void {
    this.text[stream] += text
    this.#notify()
  }

  end(result: Result): void {
    Deferred.doneUnsafe(this.ended, Effect.succeed(result))
    this.#notify()
  }

  /** Completes with a stream's text once it has matched; dies when the command ends first. */
  printed(stream: Stream, pattern: RegExp): Effect.Effect<RegExpExecArray> {
    return Effect.callback<RegExpExecArray>((resume) => {
      const look = () => {
        const match = pattern.exec(this.text[stream])
        if (match !== null) resume(Effect.succeed(match))
        else if (Deferred.isDoneUnsafe(this.ended)) {
          resume(Effect.die(new Error(`ended before it printed ${pattern}: ${JSON.stringify(this.text)}`)))
        }
      }
      this.#watchers.add(look)
      look()
      return Effect.sync(() => this.#watchers.delete(look))
    })
  }

  #notify(): void {
    for (const watcher of this.#watchers) watcher()
  }
}

export interface Running<Result> {
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Completes when the command has ended. */
  readonly result: Effect.Effect<Result>
  readonly printed: CliOutput<Result>["printed"]
}

export type Serving<Result> = Running<Result> & {
  readonly port: number
  readonly control: string
  /** The line that says so. */
  readonly line: string
}

/** A way to serve with such a command: on a free port of 127.0.0.1, until it listens. */
export const servingWith = <Started extends Running<unknown>, Options, R>(
  start: (args: ReadonlyArray<string>, options?: Options) => Effect.Effect<Started, never, R>
) =>
  Effect.fnUntraced(function*(args: ReadonlyArray<string> = [], options?: Options) {
    const control = Path.join(yield* TempDirectory.make, "control.sock")
    const running = yield* start(["serve", ...args, "--listen", "tcp://127.0.0.1:0", "--control", control], options)
    const [line, port] = yield* running.printed("stdout", /^sluice: .* listening on tcp:\/\/127\.0\.0\.1:(\d+) .*$/m)
    return { ...running, port: Number(port), control, line }
  })

/** The path of an application of the fixtures. */
export const fixture = (name: string): string => Url.fileURLToPath(new URL(`../fixtures/${name}.ts`, import.meta.url))

/** Variables that keep the machine's own hosts out of a test. */
export const environment = (directory: string): Record<string, string> => ({
  XDG_RUNTIME_DIR: directory,
  NO_COLOR: "1"
})
