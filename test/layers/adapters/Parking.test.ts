/** X1: what runs on sessions in threads, one of which really blocks. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import * as Tls from "node:tls"
import * as Host from "../../../src/layers/Host.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import * as Pem from "../../support/Pem.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"
import { until } from "../../support/until.ts"

const kinds = ["node:http", "node:https behind TLS of the host", "SessionHttpServer", "HttpServer", "SocketServer"]

/** A connection that asks who answers. */
class Asking {
  readonly #socket: Net.Socket
  #said = ""
  isOver = false

  constructor(endpoint: string) {
    const { hostname: host, port, protocol } = new URL(endpoint)
    const at = { host, port: Number(port) }
    this.#socket = protocol === "tls:" ? Tls.connect({ ...at, rejectUnauthorized: false }) : Net.connect(at)
    this.#socket.on("data", (bytes: Buffer) => this.#said += bytes.toString())
    for (const edge of ["error", "end", "close"]) this.#socket.on(edge, () => this.isOver = true)
  }

  /** The number of the worker that answers. */
  ask(path: string): Effect.Effect<string> {
    return Effect.gen({ self: this }, function*() {
      this.#said = ""
      this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
      yield* until(`an answer to ${path}`, () => /\r\n\r\n\d$/.test(this.#said) || this.isOver)
      assert.isFalse(this.isOver)
      return this.#said.at(-1)!
    })
  }

  end(): void {
    this.#socket.destroy()
  }
}

it.live(`X1 a kept connection goes on with another worker when its own blocks: ${kinds.join(", ")}`, () =>
  Effect.gen(function*() {
    const host = yield* SessionLayer
    yield* host.attach({
      name: "parking",
      workers: 2,
      certificates: [Pem.pair("chain")],
      listen: ["tcp://127.0.0.1:0", "tls://127.0.0.2:0", "tcp://127.0.0.3:0", "tcp://127.0.0.4:0", "tcp://127.0.0.5:0"],
      // nobody is given up for being slow, however busy the machine is
      admission: { revokeAfter: 20 }
    }, AppWorker.fromUrl(new URL("../../fixtures/parking.ts", import.meta.url)))
    const directory = yield* TempDirectory.make
    const { listeners } = (yield* host.report).apps[0]!
    for (const [at, kind] of kinds.entries()) {
      const { endpoint } = listeners.find(({ endpoint }) => endpoint.includes(`127.0.0.${at + 1}:`))!
      const connection = new Asking(endpoint)
      const file = Path.join(directory, String(at))
      let tries = kind === "SocketServer" ? 10 : 1
      let blocked: string
      let answers: string
      do {
        blocked = yield* connection.ask(`/block${file}`)
        answers = yield* connection.ask("/")
        // it was not blocked: see the fixture
      } while (answers === blocked && --tries > 0)
      assert.notStrictEqual(answers, blocked, kind)
      const moved = (yield* host.sessions({})).filter(({ moves }) => moves > 0)
      // once, or more often where the other worker was late as well
      assert.deepStrictEqual(moved.map(({ moved }) => moved), ["late"], kind)
      Fs.writeFileSync(file, "")
      while ((yield* host.report).apps[0]!.workers.some(({ congested }) => congested)) yield* Effect.sleep(5)
      // the worker that was blocked has done it no harm
      yield* connection.ask("/")
      connection.end()
      while ((yield* host.sessions({})).length > 0) yield* Effect.sleep(5)
    }
    assert.deepStrictEqual((yield* host.report).imbalances, [])
  }).pipe(Effect.scoped, Effect.provide(Host.layer)))
