/** The examples of the README and of the pages are files that run: as they stand there, and on the package as it is published. */
import { assert, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { control, root, serving } from "./support/serving.ts"

const read = (path: string): string => Fs.readFileSync(Path.join(root, path), "utf8")
const readme = read("README.md")
/** Pages of documentation, by the folder of their examples. */
const pages: Readonly<Record<string, string>> = { effect: "docs/EFFECT.md", testing: "docs/TESTING.md" }
const filesIn = (folder: string): ReadonlyArray<string> =>
  Fs.readdirSync(Path.join(root, folder), { withFileTypes: true }).filter((entry) => entry.isFile()).map(({ name }) =>
    name
  )

describe("examples", () => {
  for (const name of filesIn("examples")) {
    it(`${name} stands in the README as it is`, () => {
      assert.include(readme, `\`\`\`ts\n${read(`examples/${name}`).trimEnd()}\n\`\`\``)
    })
  }
  for (const [folder, page] of Object.entries(pages)) {
    for (const name of filesIn(`examples/${folder}`)) {
      it(`${folder}/${name} stands in ${page} as it is`, () => {
        assert.include(read(page), `\`\`\`ts\n${read(`examples/${folder}/${name}`).trimEnd()}\n\`\`\``)
      })
    }
  }

  it("composed.ts serves hello.ts with two workers", () =>
    serving(["examples/composed.ts", "tcp://127.0.0.1:0"], async (port) => {
      const said = new Set<string>()
      for (let i = 0; i < 4; i++) {
        const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } })
        said.add(await response.text())
      }
      assert.deepStrictEqual([...said].toSorted(), ["hello from thread 1\n", "hello from thread 2\n"])
    }))

  it("W16 local.ts: one application asks another by name", async () => {
    const child = spawn(process.execPath, ["examples/local.ts"], { cwd: root, stdio: ["ignore", "pipe", "pipe"] })
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve))
    let said = ""
    child.stdout.on("data", (chunk: Buffer) => said += chunk.toString())
    child.stderr.on("data", (chunk: Buffer) => said += chunk.toString())
    try {
      for (let tries = 0; !said.includes("HELLO"); tries++) {
        assert.isBelow(tries, 600, said)
        await sleep(50)
      }
      assert.strictEqual(said, "from local://upper: HELLO\n\n")
    } finally {
      child.kill("SIGTERM")
      // what the runtime says of a program that was told to end
      assert.strictEqual(await ended, 130)
    }
  })

  it("upper.ts answers in upper case, whatever the size, and ends with its peer", () =>
    serving(
      ["dist/main.js", "serve", "examples/upper.ts", "--listen", "tcp://127.0.0.1:0", "--control", control()],
      async (port) => {
        const text = "all of it ".repeat(100_000)
        const answer = await new Promise<string>((resolve, reject) => {
          const socket = Net.connect({ port, host: "127.0.0.1", allowHalfOpen: true }, () => socket.end(text))
          let answer = ""
          socket.on("data", (chunk) => answer += chunk.toString())
          socket.on("end", () => resolve(answer))
          socket.on("error", reject)
        })
        assert.strictEqual(answer.length, text.length)
        assert.strictEqual(answer, text.toUpperCase())
      }
    ))
})
