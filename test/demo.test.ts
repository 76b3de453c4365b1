/**
 * The README's demo of a blocked worker, typed as it stands there: what comes out is what is printed, but for the times, the
 * port and the path of the control socket.
 */
import { assert, describe, it } from "@effect/vitest"
import { type ChildProcess, execFile, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { promisify } from "node:util"
import { findPort, root } from "./support/serving.ts"

interface Step {
  readonly command: string
  readonly output: string
}

/** Commands and what they print, from the page's first block of them. */
const readSteps = (page: string): ReadonlyArray<Step> => {
  const block = /```console\n(.*?)\n```/s.exec(page)![1]!
  return block.split(/^\$ /m).slice(1).map((step) => {
    const [command = "", ...output] = step.trimEnd().split("\n")
    return { command, output: output.join("\n") }
  })
}

/** A shell in the checkout where `npx sluice` is the command that was built, and the host that it has started. */
class Shell {
  readonly #directory = Fs.mkdtempSync(Path.join(Os.tmpdir(), "sluice-demo-"))
  readonly #env: NodeJS.ProcessEnv
  readonly #port: number
  #host: ChildProcess | undefined

  constructor(port: number) {
    this.#port = port
    this.#env = {
      PATH: `${this.#directory}:${process.env.PATH}`,
      HOME: this.#directory,
      XDG_RUNTIME_DIR: this.#directory,
      PORT: String(port),
      NO_COLOR: "1"
    }
    const npx = `#!/bin/sh\nshift\nexec "${process.execPath}" "${Path.join(root, "dist/main.js")}" "$@"\n`
    Fs.writeFileSync(Path.join(this.#directory, "npx"), npx, { mode: 0o755 })
  }

  #said(output: string): string {
    return output.trimEnd()
      .replaceAll(String(this.#port), "8080")
      .replaceAll(this.#directory, "/run/user/1000")
      .replaceAll(/ in \d+\.\d+ s$/gm, " in 0.000 s")
  }

  async run(command: string): Promise<string> {
    const { stdout } = await promisify(execFile)("bash", ["-c", command.replaceAll("8080", String(this.#port))], {
      cwd: root,
      env: this.#env
    })
    return this.#said(stdout)
  }

  /** Runs a command that goes on, and gives its first line; its log is told when it fails. */
  start(command: string): Promise<string> {
    const host = this.#host = spawn("bash", ["-c", `exec ${command}`], { cwd: root, env: this.#env })
    return new Promise((resolve, reject) => {
      let said = ""
      let log = ""
      host.stdout.on("data", (chunk: Buffer) => {
        said += chunk.toString()
        if (said.includes("\n")) resolve(this.#said(said))
      })
      host.stderr.on("data", (chunk: Buffer) => log += chunk.toString())
      host.once("exit", () => reject(new Error(said + log)))
    })
  }

  /** Doesn't wait for the blocked worker. */
  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.#host?.once("exit", resolve))
    if (this.#host?.kill("SIGKILL") === true) await ended
    Fs.rmSync(this.#directory, { recursive: true, force: true })
  }
}

const [serve, ...steps] = readSteps(Fs.readFileSync(Path.join(root, "README.md"), "utf8"))

const demo = async (test: (shell: Shell) => Promise<void>): Promise<void> => {
  const shell = new Shell(await findPort())
  try {
    assert.strictEqual(await shell.start(serve!.command), serve!.output)
    await test(shell)
  } finally {
    await shell.end()
  }
}

const withoutTimes = (text: string): string => text.replaceAll(/ in \d+\.\d+ s$/gm, " in 0.000 s")

describe("the README's demo", () => {
  it("comes out as it is printed", () =>
    demo(async (shell) => {
      assert.strictEqual(steps.length, 2)
      for (const { command, output } of steps) assert.strictEqual(await shell.run(command), withoutTimes(output))
    }))

  it("ends as it is said: the worker takes part again, and nothing was lost or refused", () =>
    demo(async (shell) => {
      for (const { command } of steps) await shell.run(command.replace("/block/20", "/block/1"))
      const show = (): Promise<string> => shell.run("npx sluice show app")
      const caughtUp = /thread +RUNNING +sessions +0\n.*thread +RUNNING +sessions +0\n(.*\n)+.* 0-1 +0 +0 +0$/
      for (let tries = 0; !caughtUp.test(await show()); tries++) {
        assert.isBelow(tries, 20, await show())
        await sleep(200)
      }
      const asked = steps.find(({ command }) => command.startsWith("for"))!.command
      for (let tries = 0; !(await shell.run(asked)).includes("hello from thread 1"); tries++) assert.isBelow(tries, 20)
    }), 60_000)
})
