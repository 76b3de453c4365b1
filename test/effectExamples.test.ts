/** The examples of Effect's servers on sessions run as they stand, on two workers. */
import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import * as Net from "node:net"
import { promisify } from "node:util"
import { WebSocket } from "ws"
import { control, root, serving } from "./support/serving.ts"

const folder = "examples/effect"
const WORKERS = 2

const serve = (
  example: string,
  test: (port: number) => Promise<void>,
  ...args: ReadonlyArray<string>
): Promise<number | null> =>
  serving([
    "dist/main.js",
    "serve",
    `${folder}/${example}.ts`,
    "--listen",
    "tcp://127.0.0.1:0",
    "--workers",
    String(WORKERS),
    // in turn, however long a thread that has just begun takes to claim a connection
    "--revoke-after",
    "10s",
    "--control",
    control(),
    ...args
  ], test)

const run = async (example: string, ...args: ReadonlyArray<string>): Promise<string> => {
  const { stdout } = await promisify(execFile)(process.execPath, [`${folder}/${example}.ts`, ...args], { cwd: root })
  return stdout.trim()
}

/** Asks that many times, each time on a connection of its own, and gives what was said, once each, in order. */
const each = async (times: number, ask: () => Promise<string>): Promise<ReadonlyArray<string>> => {
  const said = new Set<string>()
  for (let i = 0; i < times; i++) said.add(await ask())
  return [...said].toSorted()
}

/** A JSON-RPC call, as anybody makes it who has a socket. */
const call = (port: number, method: string, params: unknown): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const socket = Net.connect({ port, host: "127.0.0.1" }, () => {
      socket.write(`${JSON.stringify({ jsonrpc: "2.0", id: 7, method, params })}\n`)
    })
    let answer = ""
    socket.on("data", (chunk) => {
      answer += chunk.toString()
      if (!answer.includes("\n")) return
      socket.destroy()
      resolve(JSON.parse(answer))
    })
    socket.on("error", reject)
    socket.on("close", () => reject(new Error(`closed after "${answer}"`)))
  })

class Member {
  readonly socket: WebSocket
  readonly said: Array<string> = []
  #onSaid: (() => void) | undefined

  constructor(port: number) {
    this.socket = new WebSocket(`ws://127.0.0.1:${port}/chat`)
    this.socket.on("message", (data: Buffer) => {
      this.said.push(data.toString())
      this.#onSaid?.()
    })
  }

  async heard(count: number): Promise<ReadonlyArray<string>> {
    while (this.said.length < count) {
      await new Promise<void>((resolve, reject) => {
        this.#onSaid = resolve
        this.socket.once("error", reject)
        this.socket.once("close", (code) => reject(new Error(`closed with ${code} after ${this.said.join()}`)))
      })
    }
    return this.said
  }

  leave(): Promise<number> {
    return new Promise((resolve) => {
      this.socket.once("close", resolve)
      this.socket.close(1000)
    })
  }
}

const numbers = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, n) => n)

describe("examples of Effect's servers", () => {
  it("rpc.ts answers JSON-RPC, and its client", () =>
    serve("rpc", async (port) => {
      assert.deepStrictEqual(await call(port, "upper", { text: "hello" }), { jsonrpc: "2.0", id: 7, result: "HELLO" })
      assert.match(await run("rpc-client", String(port), "hello"), /^HELLO from worker \d$/)
      const answers = await each(6, async () => JSON.stringify(await call(port, "worker", null)))
      assert.deepStrictEqual(
        answers,
        numbers(WORKERS).map((worker) => JSON.stringify({ jsonrpc: "2.0", id: 7, result: worker }))
      )
    }))

  it("api.ts answers requests, and its client", () =>
    serve("api", async (port) => {
      assert.match(await run("api-client", String(port), "Ada"), /^hello, Ada \(from worker \d\)$/)
      const answers = await each(6, async () => {
        const response = await fetch(`http://127.0.0.1:${port}/greet/Ada`, { headers: { connection: "close" } })
        return response.text()
      })
      assert.deepStrictEqual(
        answers,
        numbers(WORKERS).map((worker) => JSON.stringify({ text: "hello, Ada", worker }))
      )
    }))

  it("chat.ts: what a member says comes to all of them, whichever worker they are on", () =>
    serve(
      "chat",
      async (port) => {
        const members = numbers(6).map(() => new Member(port))
        const welcomes = new Set<string>()
        for (const member of members) welcomes.add((await member.heard(1))[0]!)
        assert.deepStrictEqual(
          [...welcomes].toSorted(),
          numbers(WORKERS).map((worker) => `welcome to worker ${worker}`)
        )
        for (const [n, { socket }] of members.entries()) socket.send(`I am ${n}`)
        for (const member of members) {
          const said = (await member.heard(7)).slice(1).map((text) => text.replace(/^worker \d> /, ""))
          assert.deepStrictEqual(said.toSorted(), numbers(6).map((n) => `I am ${n}`))
        }
        assert.deepStrictEqual(await Promise.all(members.map((member) => member.leave())), numbers(6).map(() => 1000))
      },
      "--scope-local",
      "--scope-global"
    ))
})
