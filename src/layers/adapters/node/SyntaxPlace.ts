/**
 * Where an ECMAScript module has its error of syntax. Node prints the place when it ends because of such an error, but
 * leaves it out of the error that a program catches: so another Node is asked, when the program has failed already.
 */
import { execFile } from "node:child_process"

/** Milliseconds for the other Node to load the module and what it imports. */
const TIMEOUT = 10_000

/** Flags for programs that are watched, debugged or measured: their ports and files are taken by this process. */
const isForOne = (flag: string): boolean => /^--(?:inspect|watch|test|cpu-prof|heap-prof|prof)/.test(flag)

/** The file, the line, the code and the mark under it: at the end of a file there is neither. */
const CODE_FRAME = /^((?:file:\/\/)?\/[^\n]*:\d+\n[^\n]*\n *\^* *\n)/m

/** What another Node prints of the module: all that it imports is compiled before the first of it runs, which ends it. */
const printed = (url: string): Promise<string> =>
  new Promise((resolve) => {
    const ends = "data:text/javascript,process.exit()"
    const program = [ends, url].map((module) => `import ${JSON.stringify(module)}`).join("\n")
    const flags = process.execArgv.filter((flag) => !isForOne(flag))
    const options = { timeout: TIMEOUT, killSignal: "SIGKILL" } as const
    execFile(
      process.execPath,
      [...flags, "--input-type=module", "--eval", program],
      options,
      (_, __, stderr) => resolve(stderr)
    )
  })

const isPlaceless = (error: unknown): error is SyntaxError & { stack: string } =>
  error instanceof SyntaxError && error.stack?.startsWith("SyntaxError: ") === true
  && !/^ +at (?!node:|.*\(node:)/m.test(error.stack)

/** The code frame is put before the stack of an error of syntax that has none, as Node does where it knows the place. */
export const find = async (error: unknown, url: string): Promise<void> => {
  if (!isPlaceless(error)) return
  try {
    const text = await printed(url)
    const frame = text.includes(error.message) ? CODE_FRAME.exec(text)?.[1] : undefined
    if (frame !== undefined) error.stack = `${frame}\n${error.stack}`
  } catch {
    // this process may not be allowed to start another one
  }
}
