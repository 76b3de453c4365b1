#!/usr/bin/env node
/**
 * The `sluice` command: `package.json` names it as the program of this package.
 *
 * The rest of the package can't even be loaded by an old Node, so this module imports nothing but a version before it
 * has looked, and has no syntax that an old Node does not know.
 */
import { oldestNode } from "./domain/report/Version.ts"

/** The exit code of a command that was called wrongly. */
const USAGE = 2

/** The signals that end a process, by their numbers. */
const ENDING = { SIGINT: 2, SIGTERM: 15 } as const

// Process 1, as in a container, is not ended by a signal that nobody handles. A command that handles them adds itself.
if (process.pid === 1) {
  for (const [signal, number] of Object.entries(ENDING)) {
    process.on(signal, () => {
      if (process.listenerCount(signal) === 1) process.exit(128 + number)
    })
  }
}

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
const [oldestMajor, oldestMinor] = oldestNode

if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) {
  await import("./command.ts")
} else {
  process.stderr.write(
    `sluice: this is Node ${process.versions.node}; sluice needs Node ${oldestMajor}.${oldestMinor} or a later one\n`
  )
  process.exitCode = USAGE
}
