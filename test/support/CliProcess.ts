/** The `sluice` command as a process of its own, where the process is what is tested; it ends no other process than that. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import * as Url from "node:url"
import * as ControlClient from "../../src/layers/control/ControlClient.ts"
import * as CliOutput from "./CliOutput.ts"
import * as TempDirectory from "./TempDirectory.ts"

const main = Url.fileURLToPath(new URL("../../src/main.ts", import.meta.url))

export interface Options {
  readonly env?: Readonly<Record<string, string>>
  /** Flags of the process itself. */
  readonly flags?: ReadonlyArray<string>
}

export interface Result extends CliOutput.Printed {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Running extends CliOutput.Running<Result> {
  /** From now on nobody reads what it prints. */
  readonly unread: Effect.Effect<void>
}
export { fixture } from "./CliOutput.ts"

/** Nothing of the machine's own settings and hosts gets into a test. */
export const environment = (directory: string, options: Options = {}): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(SLUICE|VITEST|NODE_OPTIONS)/.test(name))),
  ...CliOutput.environment(directory),
  ...options.env
})

/** Whether there is a process of this number. */
export const isThere = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** The process that is the host there now, which the scope's end kills if it still is: nobody here has started it. */
export const hostOf = (control: string) =>
  Effect.acquireRelease(
    Effect.map(ControlClient.report(control), ({ pid }) => pid),
    (pid) =>
      Effect.sync(() => {
        if (isThere(pid)) process.kill(pid, "SIGKILL")
      })
  )

/** Starts the command; it is killed when the scope closes. */
export const start = Effect.fnUntraced(function*(
  args: ReadonlyArray<string>,
  options: Options = {}
): Effect.fn.Return<Running, never, Scope.Scope> {
  const directory = yield* TempDirectory.make
  const output = new CliOutput.CliOutput<Result>()
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      ChildProcess.spawn(process.execPath, [...options.flags ?? [], main, ...args], {
        cwd: directory,
        env: environment(directory, options),
        stdio: ["ignore", "pipe", "pipe"]
      })
    ),
    (child) =>
      Effect.suspend(() => {
        if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL")
        return Deferred.await(output.ended)
      })
  )
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (text: string) => output.print(stream, text))
  }
  child.once("close", (code, signal) => output.end({ code, signal, ...output.text }))
  return {
    kill: (signal) => Effect.sync(() => child.kill(signal)),
    result: Deferred.await(output.ended),
    printed: (stream, pattern) => output.printed(stream, pattern),
    unread: Effect.sync(() => {
      child.stdout.destroy()
      child.stderr.destroy()
    })
  }
})

/** Runs the command to its end. */
export const run = (args: ReadonlyArray<string>, options?: Options): Effect.Effect<Result> =>
  Effect.scoped(Effect.flatMap(start(args, options), ({ result }) => result))

/** Runs `sluice serve` on a free port of 127.0.0.1 until it listens. */
export const serve = CliOutput.servingWith(start)
