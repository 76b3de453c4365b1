/** Whose context an application's callbacks run in. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AsyncLocalStorage, executionAsyncId } from "node:async_hooks"
import * as Dgram from "node:dgram"
import { once } from "node:events"
import * as Http from "node:http"
import * as Net from "node:net"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import { serve } from "../../../src/layers/adapters/effect/SessionHttpServer.ts"
import * as SessionDuplex from "../../../src/layers/adapters/node/SessionDuplex.ts"
import * as Host from "../../../src/layers/Host.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import { layerAccept, type Session, type Sessions } from "../../../src/services/Sessions.ts"

const CLIENTS = 10
const MESSAGES = 10

/** Counts callbacks, and those that begin in another context than the listener's, or, where it is kept, their own. */
class Watch {
  readonly #store = new AsyncLocalStorage<string>()
  readonly resources = new Set<number>()
  sessions = 0
  seen = 0
  readonly foreign: Array<string> = []

  listener(): void {
    this.#store.enterWith("listener")
  }

  /** A callback; it enters a context of its own, as a framework that traces requests does. */
  enter(mine: string, what: string): void {
    this.seen++
    const store = this.#store.getStore()
    if (store !== "listener" && store !== mine) this.foreign.push(`${what} of ${mine} in ${store}`)
    this.resources.add(executionAsyncId())
    this.#store.enterWith(mine)
  }
}

const serving = (
  app: (watch: Watch) => Layer.Layer<never, unknown, Sessions>,
  options: AppOptionsInput,
  body: (watch: Watch, port: number) => Promise<void>
) =>
  Effect.gen(function*() {
    const watch = new Watch()
    const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
    const entering = Layer.unwrap(Effect.sync(() => {
      watch.listener()
      return app(watch)
    }))
    yield* host.attach(
      { name: "app", workers: 1, worker: { kind: "in-process" }, ...options },
      AppWorker.fromLayer(entering)
    )
    const endpoint = (yield* host.report).apps[0]!.listeners[0]!.endpoint
    yield* Effect.promise(() => body(watch, Number(new URL(endpoint).port)))
    assert.deepStrictEqual(watch.foreign, [])
  }).pipe(Effect.scoped)

/** A client of each session, all at once: sends, waits for what comes back, and sends again. */
const chatter = (port: number): Promise<unknown> =>
  Promise.all(Array.from({ length: CLIENTS }, async () => {
    const socket = Net.connect(port, "127.0.0.1")
    for (let i = 0; i < MESSAGES; i++) {
      socket.write("message")
      await once(socket, "data")
    }
    socket.end()
    await once(socket.resume(), "close")
  }))

const echoing = (watch: Watch) =>
  layerAccept((session) => {
    const mine = `session ${watch.sessions++}`
    watch.enter(mine, "accept")
    session.handler = {
      readable: (session: Session) => {
        watch.enter(mine, "readable")
        const bytes = session.read()
        if (bytes !== undefined) session.write(bytes)
      },
      ended: (session: Session) => {
        watch.enter(mine, "ended")
        session.end()
      },
      closed: () => watch.enter(mine, "closed")
    }
  })

/** The same over Node's sockets, with all that comes of them. */
const echoingSocket = (watch: Watch) =>
  layerAccept((session) => {
    const mine = `session ${watch.sessions++}`
    const socket = SessionDuplex.fromSession(session)
    watch.enter(mine, "accept")
    for (const event of ["data", "end", "drain", "finish", "close", "timeout"]) {
      socket.on(event, () => watch.enter(mine, event))
    }
    socket.setTimeout(20)
    socket.on("data", (bytes: Uint8Array) => {
      socket.write(bytes, () => watch.enter(mine, "write"))
      setTimeout(() => watch.enter(mine, "timer"), 1)
    })
    socket.on("end", () => socket.end(() => watch.enter(mine, "end")))
  })

describe("the context of an application's callbacks", () => {
  for (const placement of ["shared", "transfer"] as const) {
    const options: AppOptionsInput = { listen: ["tcp://127.0.0.1:0"], listener: { placement } }

    it.live(`is the listener's, for each edge of each session: none sees another's (${placement})`, () =>
      serving(echoing, options, async (watch, port) => {
        await chatter(port)
        assert.isAtLeast(watch.seen, CLIENTS * (MESSAGES + 2))
        assert.isAtLeast(watch.resources.size, CLIENTS)
      }))

    it.live(`is the listener's, or the session's own, for each event of a socket (${placement})`, () =>
      serving(echoingSocket, options, async (watch, port) => {
        await chatter(port)
        assert.isAtLeast(watch.seen, CLIENTS * (MESSAGES * 3 + 2))
      }))

    it.live(`is a request's own, to the end of its response (${placement})`, () => {
      const app = (watch: Watch) =>
        serve((request, response) => {
          const mine = `request ${watch.sessions++}`
          watch.enter(mine, "request")
          request.on("data", () => watch.enter(mine, "data"))
          request.on("end", () => {
            watch.enter(mine, "end")
            setTimeout(() => {
              watch.enter(mine, "timer")
              response.on("drain", () => watch.enter(mine, "drain"))
              response.on("finish", () => watch.enter(mine, "finish"))
              if (response.write("x".repeat(300_000))) response.end()
              else response.once("drain", () => response.end())
            }, 1)
          })
        })
      return serving(app, options, async (watch, port) => {
        const agent = new Http.Agent({ keepAlive: true, maxSockets: CLIENTS })
        await Promise.all(Array.from({ length: CLIENTS * MESSAGES }, async () => {
          const request = Http.request({ port, host: "127.0.0.1", agent, method: "POST" }).end("body")
          const [response] = await once(request, "response") as [Http.IncomingMessage]
          await once(response.resume(), "end")
        }))
        agent.destroy()
        assert.isAtLeast(watch.seen, CLIENTS * MESSAGES * 5)
      })
    })
  }

  it.live("is the listener's for datagrams", () =>
    serving(echoing, { listen: ["udp://127.0.0.1:0"] }, async (watch, port) => {
      const sockets = Array.from({ length: CLIENTS }, () => Dgram.createSocket("udp4"))
      for (let i = 0; i < MESSAGES; i++) for (const socket of sockets) socket.send("datagram", port, "127.0.0.1")
      while (watch.seen < CLIENTS * 2) await new Promise((resolve) => setImmediate(resolve))
      for (const socket of sockets) socket.close()
    }))
})
