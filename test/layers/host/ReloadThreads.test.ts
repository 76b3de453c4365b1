/** X2 with what it is made for: threads, a module whose files change, and kept-alive clients that never stop asking. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Http from "node:http"
import type * as Net from "node:net"
import * as Path from "node:path"
import { text } from "node:stream/consumers"
import { setTimeout as sleep } from "node:timers/promises"
import * as Url from "node:url"
import * as Host from "../../../src/layers/Host.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"
import { until } from "../../support/until.ts"

const PROGRAM = `
import * as http from "node:http"
import { version } from "./version.mjs"
http.createServer((request, response) => {
  let bytes = 0
  request.on("data", (chunk) => bytes += chunk.length).on("end", () => response.end(version + " " + bytes))
}).listen(0)
`

/** A client with one connection, on which it asks again and again; each second one posts a body in two parts. */
class Client {
  readonly #agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
  readonly #sockets = new Set<Net.Socket>()
  readonly #port: number
  readonly #body: Buffer | undefined
  readonly #loop: Promise<void>
  #ends = false
  answers = 0
  version = ""
  failed: string | undefined

  constructor(port: number, posts: boolean) {
    this.#port = port
    this.#body = posts ? Buffer.alloc(30_000, "x") : undefined
    this.#loop = this.#run()
  }

  /** How many connections it has needed. */
  get connections(): number {
    return this.#sockets.size
  }

  async #run(): Promise<void> {
    try {
      while (!this.#ends) {
        await this.#ask()
        // the new threads need the processor, too
        await sleep(2)
      }
    } catch (error) {
      this.failed = String(error)
    }
  }

  async #ask(): Promise<void> {
    const body = this.#body
    const asked = Http.request({
      agent: this.#agent,
      host: "127.0.0.1",
      port: this.#port,
      method: body === undefined ? "GET" : "POST"
    })
    asked.on("socket", (socket: Net.Socket) => this.#sockets.add(socket))
    if (body !== undefined) asked.write(body.subarray(0, 10_000))
    asked.end(body?.subarray(10_000))
    const [response] = await once(asked, "response") as [Http.IncomingMessage]
    const [version, bytes] = (await text(response)).split(" ")
    if (Number(bytes) !== (body?.length ?? 0)) throw new Error(`${bytes} bytes arrived`)
    this.version = version!
    this.answers++
  }

  async end(): Promise<void> {
    this.#ends = true
    await this.#loop
    this.#agent.destroy()
  }
}

describe("reload with threads", () => {
  it.live("X2 no request fails and no connection ends, whatever the new code is", () =>
    Effect.gen(function*() {
      const directory = yield* TempDirectory.make
      const write = (name: string, content: string) =>
        Effect.sync(() => Fs.writeFileSync(Path.join(directory, name), content))
      yield* write("app.mjs", PROGRAM)
      yield* write("version.mjs", "export const version = 1")
      const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
      const module = AppWorker.fromUrl(Url.pathToFileURL(Path.join(directory, "app.mjs")))
      const { handle } = yield* host.attach({ name: "app", listen: ["tcp://127.0.0.1:0"], workers: 1 }, module)
      const endpoint = (yield* host.report).apps[0]!.listeners[0]!.endpoint
      const clients = yield* Effect.acquireRelease(
        Effect.sync(() =>
          Array.from({ length: 6 }, (_, i) => new Client(Number(endpoint.split(":").at(-1)), i % 2 === 1))
        ),
        (clients) => Effect.promise(() => Promise.all(clients.map((client) => client.end())))
      )
      const failed = () => clients.map(({ failed }) => failed).filter((why) => why !== undefined)
      const answered = (version: string) =>
        until(
          `answers of ${version}`,
          () => failed().length > 0 || clients.every((client) => client.version === version)
        )
      yield* answered("1")

      yield* write("version.mjs", "export const version = 2")
      assert.strictEqual((yield* host.reload(handle)).workers, 1)
      yield* answered("2")
      assert.deepStrictEqual(failed(), [])
      yield* write("version.mjs", "export const version = 3;\nexport const = 5")
      const error = yield* Effect.flip(host.reload(handle, { atOnce: true }))
      assert.match(
        error.message,
        /app\.mjs failed to load: Unexpected token '='.*; the workers of app go on as they were$/
      )
      assert.match(
        error.reason._tag === "WorkerFailed" ? error.reason.trace ?? "" : "",
        /version\.mjs:2\nexport const = 5/
      )
      const before = clients.map(({ answers }) => answers)
      yield* until("more answers", () => failed().length > 0 || clients.every(({ answers }, i) => answers > before[i]!))
      assert.deepStrictEqual(failed(), [])
      assert.deepStrictEqual(clients.map(({ version }) => version), Array(6).fill("2"))
      assert.deepStrictEqual(clients.map(({ connections }) => connections), Array(6).fill(1))
      assert.deepStrictEqual((yield* host.report).imbalances, [])
    }).pipe(Effect.scoped), 30_000)
})
