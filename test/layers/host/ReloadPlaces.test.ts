/**
 * X2 where sockets, TLS and HTTP/2 are elsewhere than in `ReloadThreads`: clients that ask all the time lose nothing, and
 * where their connections can't move, they are told so between two requests.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Http2 from "node:http2"
import * as Https from "node:https"
import type * as Net from "node:net"
import * as Path from "node:path"
import { text } from "node:stream/consumers"
import { setTimeout as sleep } from "node:timers/promises"
import * as Url from "node:url"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import * as Host from "../../../src/layers/Host.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import * as Pem from "../../support/Pem.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"
import { until } from "../../support/until.ts"

const program = (http: "http" | "http2"): string => `
import * as http from "node:${http}"
import { version } from "./version.mjs"
export default http.createServer((request, response) => {
  let bytes = 0
  request.on("data", (chunk) => bytes += chunk.length).on("end", () => response.end(version + " " + bytes))
})
`

const BODY = Buffer.alloc(30_000, "x")

/** A client with one connection at a time, on which it asks again and again. */
abstract class Client {
  connections = 0
  answers = 0
  version = ""
  failed: string | undefined
  protected readonly url: URL
  readonly #loop: Promise<void>
  #ends = false

  constructor(url: URL) {
    this.url = url
    this.#loop = this.#run()
  }

  async #run(): Promise<void> {
    // what the subclass has is there a turn later
    await sleep(1)
    try {
      while (!this.#ends) {
        const [version, bytes] = (await this.ask()).split(" ")
        if (Number(bytes) !== BODY.length) throw new Error(`${bytes} bytes arrived`)
        this.version = version!
        this.answers++
        // the new threads need the processor, too
        await sleep(2)
      }
    } catch (error) {
      this.failed = String(error)
    }
    this.close()
  }

  /** Posts {@link BODY}, and returns the answer. */
  protected abstract ask(): Promise<string>
  protected abstract close(): void

  end(): Promise<void> {
    this.#ends = true
    return this.#loop
  }
}

class Client1 extends Client {
  readonly #sockets = new Set<Net.Socket>()
  readonly #agent = new (this.url.protocol === "https:" ? Https : Http).Agent({
    keepAlive: true,
    maxSockets: 1,
    rejectUnauthorized: false
  })

  protected async ask(): Promise<string> {
    const { request } = this.url.protocol === "https:" ? Https : Http
    const asked = request(this.url, { agent: this.#agent, method: "POST" })
    asked.on("socket", (socket) => this.connections = this.#sockets.add(socket).size)
    asked.write(BODY.subarray(0, 10_000))
    asked.end(BODY.subarray(10_000))
    const [response] = await once(asked, "response") as [Http.IncomingMessage]
    return text(response)
  }

  protected close(): void {
    this.#agent.destroy()
  }
}

class Client2 extends Client {
  #session: Http2.ClientHttp2Session | undefined

  /** A server that goes away has not begun with the streams that it refuses: they are asked for again, elsewhere. */
  protected async ask(): Promise<string> {
    for (;;) {
      const stream = this.#connected().request({ ":method": "POST", ":path": "/" })
      stream.end(BODY)
      try {
        return await text(stream)
      } catch (error) {
        if (stream.rstCode !== Http2.constants.NGHTTP2_REFUSED_STREAM) throw error
      }
    }
  }

  #connected(): Http2.ClientHttp2Session {
    if (this.#session !== undefined && !this.#session.closed) return this.#session
    this.connections++
    const session = this.#session = Http2.connect(this.url)
    session.on("goaway", () => session.close())
    session.on("error", (error) => this.failed ??= String(error))
    return session
  }

  protected close(): void {
    this.#session?.close()
  }
}

describe("reload with threads", () => {
  it.live(
    "X1 X2 no request fails where sockets are with workers, over TLS, and over HTTP/2",
    () =>
      Effect.gen(function*() {
        const directory = yield* TempDirectory.make
        const write = (name: string, content: string) =>
          Effect.sync(() => Fs.writeFileSync(Path.join(directory, name), content))
        yield* write("http.mjs", program("http"))
        yield* write("http2.mjs", program("http2"))
        yield* write("version.mjs", "export const version = 1")
        const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
        const certificates = [Pem.pair("named")]
        const attach = Effect.fnUntraced(function*(module: string, options: AppOptionsInput) {
          const url = Url.pathToFileURL(Path.join(directory, module))
          const { handle } = yield* host.attach({ workers: 1, certificates, ...options }, AppWorker.fromUrl(url))
          const { listeners } = (yield* host.report).apps.find(({ name }) => name === options.name)!
          const urlOf = (scheme: "tcp" | "tls") => {
            const { endpoint } = listeners.find(({ endpoint }) => endpoint.startsWith(scheme))!
            return new URL(endpoint.replace(scheme, scheme === "tls" ? "https" : "http"))
          }
          return { handle, urlOf }
        })
        const [moving, shared, http2] = yield* Effect.all([
          attach("http.mjs", {
            name: "moving",
            listen: ["tcp://127.0.0.1:0", "tls://127.0.0.1:0"],
            listener: { placement: "transfer" }
          }),
          attach("http.mjs", { name: "shared", listen: ["tls://127.0.0.1:0"] }),
          attach("http2.mjs", { name: "http2", listen: ["tcp://127.0.0.1:0"] })
        ], { concurrency: "unbounded" })
        const clients = yield* Effect.acquireRelease(
          Effect.sync(() => ({
            moved: new Client1(moving.urlOf("tcp")),
            "in TLS that ends in the worker": new Client1(moving.urlOf("tls")),
            "in TLS that ends in the host": new Client1(shared.urlOf("tls")),
            "of HTTP/2": new Client2(http2.urlOf("tcp"))
          })),
          (clients) => Effect.promise(() => Promise.all(Object.values(clients).map((client) => client.end())))
        )
        const all = Object.entries(clients)
        const failed = () => all.flatMap(([name, { failed }]) => failed === undefined ? [] : [`${name}: ${failed}`])
        const answered = (version: string) =>
          until(
            `answers of ${version}`,
            () => failed().length > 0 || all.every(([, client]) => client.version === version)
          )
        yield* answered("1")
        yield* write("version.mjs", "export const version = 2")
        yield* Effect.forEach([moving, shared, http2], ({ handle }) => host.reload(handle), {
          concurrency: "unbounded",
          discard: true
        })
        yield* answered("2")
        assert.deepStrictEqual(failed(), [])
        assert.deepStrictEqual(all.map(([name, { connections }]) => [name, connections]), [
          ["moved", 1],
          ["in TLS that ends in the worker", 2],
          ["in TLS that ends in the host", 1],
          ["of HTTP/2", 2]
        ])
        const [session] = (yield* host.sessions({})).filter(({ transport, app }) =>
          app === "moving" && transport === "tcp"
        )
        assert.deepInclude(session, { placement: "transfer", moves: 1, moved: "reload" })
        assert.deepStrictEqual((yield* host.report).imbalances, [])
      }).pipe(Effect.scoped),
    30_000
  )
})
