/** Programs of this package, run as a user runs them. */
import { assert } from "@effect/vitest"
import { type ChildProcess, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"

export const root = Path.join(import.meta.dirname, "../..")

// in /tmp itself: the path of a socket has to be short
const directory = Fs.mkdtempSync("/tmp/sluice-example-")
process.once("exit", () => Fs.rmSync(directory, { recursive: true, force: true }))
let controls = 0

/** A control socket of its own. */
export const control = (): string => Path.join(directory, `${controls++}.sock`)

/** Runs a command until it has said `listening`, gives the port to the test, and ends it. */
export const serving = async (
  args: ReadonlyArray<string>,
  test: (port: number) => Promise<void>
): Promise<number | null> => {
  const child: ChildProcess = spawn(process.execPath, [...args], { cwd: root, stdio: ["ignore", "pipe", "pipe"] })
  let said = ""
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve))
  child.stdout!.on("data", (chunk: Buffer) => said += chunk.toString())
  child.stderr!.on("data", (chunk: Buffer) => said += chunk.toString())
  try {
    for (let tries = 0; !/listening on \S+:\d+/.test(said); tries++) {
      assert.isBelow(tries, 1200, said)
      assert.isNull(child.exitCode, said)
      await sleep(20)
    }
    await test(Number(/listening on \S+:(\d+)/.exec(said)![1]))
  } finally {
    child.kill("SIGTERM")
    await ended
  }
  return ended
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = Net.createServer()
    server.once("error", () => resolve(false))
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)))
  })

/** A free port of four digits: a table that shows it is as wide as with 8080. */
export const findPort = async (): Promise<number> => {
  const port = 2000 + Math.floor(8000 * Math.random())
  return await isFree(port) ? port : findPort()
}
