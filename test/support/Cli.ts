/** Runs the `sluice` command as a process of its own, and ends no other process than that. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import * as Path from "node:path"
import * as Url from "node:url"
import * as TempDirectory from "./TempDirectory.ts"

const main = Url.fileURLToPath(new URL("../../src/main.ts", import.meta.url))

export const fixture = (name: string): string => Url.fileURLToPath(new URL(`../fixtures/${name}.ts`, import.meta.url))

export interface Options {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

export interface Result {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Completes when the process is gone. */
  readonly result: Effect.Effect<Result>
  /** Completes with the standard output, or the standard error, once it has matched; dies when the process ends first. */
  readonly printed: (stream: "stdout" | "stderr", pattern: RegExp) => Effect.Effect<RegExpExecArray>
}

/** Nothing of the machine's own settings and hosts gets into a test. */
const environment = (directory: string, options: Options): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(SLUICE|VITEST|NODE_OPTIONS)/.test(name))),
  XDG_RUNTIME_DIR: directory,
  NO_COLOR: "1",
  ...options.env
})

/** Starts the command; it is killed when the scope closes. */
export const start = Effect.fnUntraced(function*(
  args: ReadonlyArray<string>,
  options: Options = {}
): Effect.fn.Return<Running, never, Scope.Scope> {
  const directory = yield* TempDirectory.make
  const done = Deferred.makeUnsafe<Result>()
  const output = { stdout: "", stderr: "" }
  const watchers = new Set<() => void>()
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      ChildProcess.spawn(process.execPath, [main, ...args], {
        cwd: options.cwd ?? directory,
        env: environment(directory, options),
        stdio: ["ignore", "pipe", "pipe"]
      })
    ),
    (child) =>
      Effect.suspend(() => {
        if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL")
        return Deferred.await(done)
      })
  )
  const notify = () => watchers.forEach((watcher) => watcher())
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (text: string) => {
      output[stream] += text
      notify()
    })
  }
  child.once("close", (code, signal) => {
    Deferred.doneUnsafe(done, Effect.succeed({ code, signal, ...output }))
    notify()
  })
  return {
    kill: (signal) => Effect.sync(() => child.kill(signal)),
    result: Deferred.await(done),
    printed: (stream, pattern) =>
      Effect.callback<RegExpExecArray>((resume) => {
        const look = () => {
          const match = pattern.exec(output[stream])
          if (match !== null) resume(Effect.succeed(match))
          else if (Deferred.isDoneUnsafe(done)) {
            resume(Effect.die(new Error(`ended before it printed ${pattern}: ${JSON.stringify(output)}`)))
          }
        }
        watchers.add(look)
        look()
        return Effect.sync(() => watchers.delete(look))
      })
  }
})

/** Runs the command to its end. */
export const run = (args: ReadonlyArray<string>, options?: Options): Effect.Effect<Result> =>
  Effect.scoped(Effect.flatMap(start(args, options), ({ result }) => result))

export interface Serving extends Running {
  readonly port: number
  readonly control: string
  /** The line that says so. */
  readonly line: string
}

/** Runs `sluice serve` on a free port of 127.0.0.1 until it listens. */
export const serve = Effect.fnUntraced(function*(
  args: ReadonlyArray<string> = [],
  options: Options = {}
): Effect.fn.Return<Serving, never, Scope.Scope> {
  const control = Path.join(yield* TempDirectory.make, "control.sock")
  const running = yield* start(
    ["serve", ...args, "--listen", "tcp://127.0.0.1:0", "--control", control],
    options
  )
  const [line, port] = yield* running.printed("stdout", /^sluice: .* listening on tcp:\/\/127\.0\.0\.1:(\d+) .*$/m)
  return { ...running, port: Number(port), control, line }
})
