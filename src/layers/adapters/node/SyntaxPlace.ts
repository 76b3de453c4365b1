/**
 * Where an ECMAScript module has its error of syntax. Node prints the place when it ends because of such an error, but
 * leaves it out of the error that a program catches: so another Node is asked, when the program has failed already.
 */
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"

/** Milliseconds for the other Node to load the module and what it imports. */
const TIMEOUT = 10_000

/** Flags for programs that are watched, debugged or measured: their ports and files are taken by this process. */
const isForOne = (flag: string): boolean => /^--(?:inspect|watch|test|cpu-prof|heap-prof|prof)/.test(flag)

/** The file, the line, the code and the mark under it. */
const CODE_FRAME = /^((?:file:\/\/)?\/[^\n]*:\d+\n[^\n]*\n *\^+ *\n)/m

/** What another Node prints of the module: all that it imports is compiled before the first of it runs, which ends it. */
const printed = (url: string): Effect.Effect<string> =>
  Effect.callback<string>((resume) => {
    const ends = "data:text/javascript,process.exit()"
    const program = [ends, url].map((module) => `import ${JSON.stringify(module)}`).join("\n")
    const args = [...process.execArgv.filter((flag) => !isForOne(flag)), "--input-type=module", "--eval", program]
    const child = execFile(
      process.execPath,
      args,
      { timeout: TIMEOUT, killSignal: "SIGKILL" },
      (_, __, stderr) => resume(Effect.succeed(stderr))
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const isPlaceless = (error: unknown): error is SyntaxError & { stack: string } =>
  error instanceof SyntaxError && error.stack?.startsWith("SyntaxError: ") === true
  && !/^ +at (?!node:|.*\(node:)/m.test(error.stack)

/** The code frame is put before the stack of an error of syntax that has none, as Node does where it knows the place. */
export const find = (error: unknown, url: string): Effect.Effect<void> => {
  if (!isPlaceless(error)) return Effect.void
  return Effect.map(printed(url), (text) => {
    const frame = text.includes(error.message) ? CODE_FRAME.exec(text)?.[1] : undefined
    if (frame !== undefined) error.stack = `${frame}\n${error.stack}`
  }).pipe(
    // a process may be what this one is not allowed to start
    Effect.catchDefect(() => Effect.void)
  )
}
