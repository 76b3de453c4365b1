/**
 * Whole lives of a host in this process: start, serve, stop, with workers on threads and TCP over the loopback. And what
 * such a life may not leave behind: handles, file descriptors, threads and memory.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import * as Assert from "node:assert/strict"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Timers from "node:timers/promises"
import * as V8 from "node:v8"
import * as Vm from "node:vm"
import type { AppOptionsInput } from "../../src/domain/options/Options.ts"
import type * as Report from "../../src/domain/report/Report.ts"
import * as Host from "../../src/layers/Host.ts"
import * as AppWorker from "../../src/services/AppWorker.ts"
import { SessionLayer } from "../../src/services/SessionLayer.ts"
import { type Config, WHOLE } from "../fixtures/local-client.ts"
import { until } from "./until.ts"

const fixture = (name: string) => AppWorker.fromUrl(new URL(`../fixtures/${name}.ts`, import.meta.url))
const echo = fixture("echo")
const misbehaving = fixture("misbehaving")
const localClient = fixture("local-client")

// ---------------------------------------------------------------------------------------------------------------------
// A life
// ---------------------------------------------------------------------------------------------------------------------

/** A client over TCP. */
class Client {
  received = 0
  text = ""
  closed = false
  readonly socket: Net.Socket

  constructor(port: number) {
    this.socket = Net.connect(port, "127.0.0.1")
    this.socket.setEncoding("latin1")
    this.socket.on("data", (text: string) => {
      this.received += text.length
      if (this.text.length < 1024) this.text += text
    })
    // a reset is what some of them are for
    this.socket.on("error", () => {})
    this.socket.on("close", () => this.closed = true)
  }
}

interface Life {
  readonly host: SessionLayer["Service"]
  readonly attach: (
    module: AppWorker.AppModule,
    options?: AppOptionsInput
  ) => Effect.Effect<number, unknown, Scope.Scope>
  readonly dial: (port: number) => Client
  /** Sends a line and waits for an answer of that length. */
  readonly ask: (client: Client, line: string) => Effect.Effect<void>
}

const states = (report: Report.HostReport): string =>
  report.apps.flatMap(({ workers }) => workers.map(({ restarts, state }) => `${state} ${restarts}`)).join()

const crash = Effect.fnUntraced(function*({ ask, attach, dial, host }: Life, backoffBase: number) {
  const port = yield* attach(misbehaving, { workers: 2, worker: { backoffBase } })
  const victim = dial(port)
  yield* ask(dial(port), "hello")
  yield* ask(victim, "hello")
  victim.socket.write("throw\n")
  yield* until("the client of a crashed worker is reset", () => victim.closed)
  yield* ask(dial(port), "hello")
  return { host, port }
})

/** What a life may be like, by name. */
const kinds: Readonly<Record<string, (life: Life) => Effect.Effect<void, unknown, Scope.Scope>>> = {
  "requests on two workers": Effect.fnUntraced(function*({ ask, attach, dial }) {
    const port = yield* attach(echo)
    for (let i = 0; i < 4; i++) {
      const client = dial(port)
      yield* ask(client, "x".repeat(1 + 10_000 * i))
      client.socket.end()
      yield* until("the session ends", () => client.closed)
    }
  }),
  "a crash, and a start after it": Effect.fnUntraced(function*(life) {
    const { host, port } = yield* crash(life, 1)
    yield* until("the worker runs again", () => /^RUNNING [01],RUNNING [01]$/.test(states(Effect.runSync(host.report))))
    yield* life.ask(life.dial(port), "hello")
  }),
  "clients that stay connected, one of which does not read": Effect.fnUntraced(function*({ ask, attach, dial }) {
    const port = yield* attach(echo)
    yield* ask(dial(port), "hello")
    const stuck = dial(port)
    stuck.socket.pause()
    stuck.socket.write(Buffer.alloc(4 * 1024 ** 2))
    yield* ask(dial(port), "hello")
  }),
  "cut-through sessions": Effect.fnUntraced(function*({ ask, attach, dial }) {
    const local = { local: true, global: true }
    const port = yield* attach(echo, { scope: local, listen: ["tcp://127.0.0.1:0", "local://echo"] })
    const words = new Int32Array(new SharedArrayBuffer(64))
    const config: Config = { endpoint: "local://echo", sessions: 3, bytes: 200_000, result: words.buffer }
    yield* attach(localClient, {
      name: "client",
      scope: local,
      listen: [],
      workers: 1,
      config: config as never
    })
    yield* until("three sessions were whole", () => words[WHOLE] === 3)
    yield* ask(dial(port), "hello")
  }),
  "a crash, and the end before the next start": Effect.fnUntraced(function*(life) {
    const { host } = yield* crash(life, 5000)
    yield* until("the worker waits", () => states(Effect.runSync(host.report)).includes("BACKOFF"))
  }),
  "a start that is given up": Effect.fnUntraced(function*({ ask, attach, dial }) {
    yield* Effect.timeoutOption(attach(echo, { name: "late" }), 20)
    yield* ask(dial(yield* attach(echo, { workers: 1, worker: { kind: "in-process" } })), "hello")
  })
}

export const kindNames = Object.keys(kinds)

/** One life of a host. Succeeds when nothing of it is open any more, and its ledger balanced at the end. */
export const live = (kind: string): Effect.Effect<void, unknown> =>
  Effect.gen(function*() {
    const clients: Array<Client> = []
    yield* Effect.gen(function*() {
      const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
      yield* kinds[kind]!({
        host,
        attach: Effect.fnUntraced(function*(module, options) {
          yield* host.attach({
            name: "app",
            listen: ["tcp://127.0.0.1:0"],
            workers: 2,
            ...options
          }, module)
          const { apps } = yield* host.report
          const endpoint = apps.at(-1)!.listeners.find(({ endpoint }) => endpoint.startsWith("tcp:"))?.endpoint
          return endpoint === undefined ? 0 : Number(new URL(endpoint).port)
        }),
        dial: (port) => {
          const client = new Client(port)
          clients.push(client)
          return client
        },
        ask: (client, line) =>
          Effect.suspend(() => {
            const goal = client.received + line.length + 1
            client.socket.write(`${line}\n`)
            return until(`an answer to ${line.slice(0, 20)}`, () => client.received >= goal)
          })
      })
      Assert.deepEqual((yield* host.report).imbalances, [])
    }).pipe(Effect.scoped)
    // one that does not read would never hear of its end
    for (const { socket } of clients) socket.resume()
    yield* until("the clients have heard of the end", () => clients.every(({ closed }) => closed))
  }).pipe(Effect.provideService(Logger.CurrentLoggers, new Set()))

// ---------------------------------------------------------------------------------------------------------------------
// What is left
// ---------------------------------------------------------------------------------------------------------------------

export interface Facts {
  /** What keeps the loop going, by kind. */
  readonly resources: Readonly<Record<string, number>>
  readonly descriptors: number
  readonly threads: number
  /** Bytes of this thread's heap that are in use, but for compiled code, which comes and goes; and outside of it. */
  readonly heap: number
  readonly external: number
  /** Bytes of resident memory: what the allocator keeps of threads that are gone comes and goes by tens of MiB. */
  readonly resident: number
}

V8.setFlagsFromString("--expose-gc")
const collect = Vm.runInNewContext("gc") as () => void

const counted = (kinds: ReadonlyArray<string>): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const kind of kinds) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

export const facts = (): Facts => {
  const { arrayBuffers, external, rss } = process.memoryUsage()
  const heap = V8.getHeapSpaceStatistics()
    .filter(({ space_name }) => !/code|trusted/.test(space_name))
    .reduce((sum, space) => sum + space.space_used_size, 0)
  return {
    resources: counted(process.getActiveResourcesInfo()),
    descriptors: Fs.readdirSync("/proc/self/fd").length,
    threads: Fs.readdirSync("/proc/self/task").length,
    heap,
    external: external + arrayBuffers,
    resident: rss
  }
}

/** Handles, descriptors and threads of which there are more than there were, one sentence each. */
export const handlesGrown = (before: Facts, after: Facts): ReadonlyArray<string> => {
  const grown = (what: string, was = 0, is = 0): ReadonlyArray<string> =>
    is > was ? [`${what}: ${was}, then ${is}`] : []
  return [
    ...Object.entries(after.resources).flatMap(([kind, count]) => grown(kind, before.resources[kind], count)),
    ...grown("file descriptors", before.descriptors, after.descriptors),
    ...grown("threads", before.threads, after.threads)
  ]
}

/** Collects garbage until nothing is grown, for some seconds: the kernel and the runtime close some things late. */
export const settle = async (before?: Facts): Promise<Facts> => {
  for (let tries = 0;; tries++) {
    // what one collection finalizes is freed by the next
    for (let i = 0; i < 3; i++) {
      collect()
      await Timers.setTimeout(20)
    }
    const after = facts()
    if (before === undefined ? tries >= 2 : handlesGrown(before, after).length === 0 || tries >= 100) return after
  }
}
