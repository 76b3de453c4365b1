/** Programs of the machine that tests run as clients. */
import * as ChildProcess from "node:child_process"

/** Whether a program is there: for tests of what few machines have. */
export const isInstalled = (program: string): boolean =>
  ChildProcess.spawnSync(program, ["--version"]).error === undefined

/** Whether a program is there. Where the checks run it must be, so a test that needs it fails there without it. */
export const has = (program: string): boolean => process.env.CI !== undefined || isInstalled(program)
