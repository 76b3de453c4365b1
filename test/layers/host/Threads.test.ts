/** A whole host with workers on threads, over TCP: they crash, block and come back. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import { BroadcastChannel } from "node:worker_threads"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import type * as Report from "../../../src/domain/report/Report.ts"
import * as Host from "../../../src/layers/Host.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import { channelName } from "../../fixtures/misbehaving.ts"
import { assertNothingLeft } from "../../support/Stage.ts"
import { until } from "../../support/until.ts"

const module = AppWorker.fromUrl(new URL("../../fixtures/misbehaving.ts", import.meta.url))

/** A client of the application. */
class Client {
  /** The worker that serves it, as the worker said. */
  worker = ""
  closed = false
  broken = false
  #text = ""
  readonly #socket: Net.Socket

  constructor(port: number) {
    this.#socket = Net.connect(port, "127.0.0.1")
    this.#socket.setEncoding("utf8")
    this.#socket.on("data", (text: string) => this.#text += text)
    this.#socket.on("error", () => this.broken = true)
    this.#socket.on("close", () => this.closed = true)
  }
  say(line: string): void {
    this.#socket.write(`${line}\n`)
  }
  get line(): string | undefined {
    const end = this.#text.indexOf("\n")
    return end < 0 ? undefined : this.#text.slice(0, end)
  }
  /** Says a line and waits for the answer. */
  ask(line: string): Effect.Effect<string> {
    return Effect.gen({ self: this }, function*() {
      this.say(line)
      yield* until(`an answer to ${line}`, () => this.line !== undefined || this.closed)
      const answer = this.line ?? "closed"
      this.#text = this.#text.slice(answer.length + 1)
      return answer
    })
  }
  destroy(): void {
    this.#socket.destroy()
  }
}

interface Stage {
  readonly report: () => Report.HostReport
  readonly worker: (worker: number) => Report.WorkerReport
  /** A client that is served. */
  readonly dial: Effect.Effect<Client>
  /** Clients by worker, at least `count` on each of two. */
  readonly dialBoth: (count: number) => Effect.Effect<readonly [Array<Client>, Array<Client>]>
}

/** A test with thread workers over TCP, at whose end nothing may be left. */
const scenarioOf = (placement: Report.ListenerReport["placement"]) =>
(
  title: string,
  options: AppOptionsInput,
  body: (stage: Stage) => Effect.Effect<void, unknown, Scope.Scope>
): void =>
  it.live(title, () =>
    Effect.gen(function*() {
      const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
      const clients: Array<Client> = []
      const report = (): Report.HostReport => Effect.runSync(host.report)
      yield* Effect.gen(function*() {
        yield* host.attach({
          name: "app",
          listen: ["tcp://127.0.0.1:0"],
          listener: { placement },
          workers: 2,
          ...options,
          worker: { backoffBase: 10, ...options.worker }
        }, module)
        const [listener] = report().apps[0]!.listeners
        assert.strictEqual(listener!.placement, placement)
        const port = Number(new URL(listener!.endpoint).port)
        const dial = Effect.gen(function*() {
          const client = new Client(port)
          clients.push(client)
          client.worker = yield* client.ask("who")
          return client
        })
        const dialBoth = Effect.fnUntraced(function*(count: number) {
          const both: readonly [Array<Client>, Array<Client>] = [[], []]
          // a thread that has just begun may be too slow for an offer now and then
          while (both[0].length < count || both[1].length < count) {
            const client = yield* dial
            both[Number(client.worker[0]) as 0 | 1].push(client)
          }
          return both
        })
        yield* body({ report, worker: (worker) => report().apps[0]!.workers[worker]!, dial, dialBoth })
        assert.deepStrictEqual(report().imbalances, [])
      }).pipe(Effect.scoped)
      yield* until("all clients to be told", () => clients.every(({ closed }) => closed))
      yield* assertNothingLeft({ host, network: { listening: [] } })
    }).pipe(Effect.scoped), 60_000)

describe.each(["shared", "transfer"] as const)("workers on threads, placement %s", (placement) => {
  const scenario = scenarioOf(placement)
  /** What a worker is told, and what is said of its death. */
  const deaths = [
    ["throw", /^the worker crashed: a bug \(.*\.ts:\d+:\d+\)$/],
    ["exit", /^the worker's thread exited with code 3$/],
    ["exhaust", /^the worker ran out of memory/]
  ] as const

  scenario(
    "W1 W12 a worker that throws, calls process.exit or runs out of memory: its sessions are closed, others go on, and "
      + "it is started again",
    { worker: { heapLimitMiB: 64 } },
    (stage) =>
      Effect.gen(function*() {
        for (const [died, [line, failure]] of deaths.entries()) {
          const [mine, others] = yield* stage.dialBoth(3)
          mine[1]!.say(line)
          yield* until("its sessions to be closed", () => mine.every(({ closed }) => closed))
          for (const client of others) assert.strictEqual(yield* client.ask("still here"), "still here")
          yield* until("a restart", () => stage.worker(0).state === "RUNNING" && stage.worker(0).restarts === died + 1)
          assert.match(stage.worker(0).lastFailure!, failure)
          assert.strictEqual(stage.worker(0).sessions, 0)
          assert.strictEqual(stage.worker(1).sessions, others.length)
          assert.strictEqual(stage.worker(1).restarts, 0)
          assert.deepStrictEqual(stage.report().imbalances, [])
          // it takes its turn again
          const [again, more] = yield* stage.dialBoth(1)
          assert.strictEqual(again[0]!.worker, `0.${died + 1}`)
          for (const client of [...again, ...others, ...more]) client.destroy()
          yield* until("no session to be left", () => stage.report().sessions === 0)
        }
      })
  )

  // a worker that has the sockets itself is sent nothing by its peers that could fill its queue
  const fills = placement === "shared" ? scenario : undefined
  fills?.(
    "M9 a worker that loops for ever is given up at the bound, its thread ended, and it is started again",
    { queue: { indexQueue: 8, ioRing: 8, controlRing: 8, postponedMessages: 4 } },
    (stage) =>
      Effect.gen(function*() {
        const [mine, others] = yield* stage.dialBoth(15)
        mine[0]!.say("loop")
        for (const client of mine.slice(1)) client.say("anybody there?")
        yield* until("its sessions to be closed", () => mine.every(({ closed }) => closed))
        assert.isTrue(mine.every(({ broken }) => broken))
        for (const client of others) assert.strictEqual(yield* client.ask("still here"), "still here")
        yield* until("a restart", () => stage.worker(0).state === "RUNNING" && stage.worker(0).restarts === 1)
        assert.strictEqual(
          stage.worker(0).lastFailure,
          "the worker does not read its queue: 4 messages are postponed, which is the limit"
        )
        const [again] = yield* stage.dialBoth(1)
        assert.strictEqual(again[0]!.worker, "0.1")
      })
  )

  scenario(
    "M15 connections are served while a worker's thread is really blocked",
    {},
    (stage) =>
      Effect.gen(function*() {
        const words: Array<Int32Array> = []
        const channel = yield* Effect.acquireRelease(
          Effect.sync(() => new BroadcastChannel(channelName)),
          (channel) => Effect.sync(() => channel.close())
        )
        channel.addEventListener("message", (event) => void words.push((event as { readonly data: Int32Array }).data))
        const [[first], [second]] = yield* stage.dialBoth(1)
        // a cold worker may have let an offer run out: it is offered the next when it has come past that one
        yield* until("the worker to be behind with nothing", () => !stage.worker(0).congested)
        first!.say("block")
        yield* until("the thread to be blocked", () => words.length === 1)
        const before = stage.worker(0).offers
        const served = yield* Effect.forEach(Array(10), () => stage.dial)
        assert.deepStrictEqual(served.map(({ worker }) => worker), Array(10).fill("1.0"))
        assert.strictEqual(yield* second!.ask("still here"), "still here")
        assert.isUndefined(first!.line)
        // one offer met the block; after it the worker was offered nothing
        assert.strictEqual(stage.worker(0).offers.revoked, before.revoked + 1)
        assert.strictEqual(stage.worker(0).offers.offered, before.offered + 1)
        assert.isTrue(stage.worker(0).congested)
        Atomics.store(words[0]!, 0, 1)
        Atomics.notify(words[0]!, 0)
        yield* until("the answer", () => first!.line === "unblocked")
        yield* until("the worker to have come past the offer", () => !stage.worker(0).congested)
        const [again] = yield* stage.dialBoth(1)
        assert.strictEqual(again[0]!.worker, "0.0")
        assert.strictEqual(stage.worker(0).restarts, 0)
      })
  )

  scenario(
    "W12 a detach ends threads that do not stop by themselves",
    { workers: 1 },
    (stage) =>
      Effect.gen(function*() {
        const client = yield* stage.dial
        client.say("loop")
        assert.isFalse(client.closed)
      })
  )
})
