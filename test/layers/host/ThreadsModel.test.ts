/**
 * Workers of both kinds behind a real listener, in random order against a plain model: which workers there must be, and
 * which of them has which client. At every step the ledger must balance.
 */
import { assert, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Net from "node:net"
import type * as Handle from "../../../src/domain/state/Handle.ts"
import * as Host from "../../../src/layers/Host.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import * as Long from "../../support/long.ts"
import * as Random from "../../support/random.ts"
import { assertNothingLeft, handleOf } from "../../support/Stage.ts"
import { until } from "../../support/until.ts"

const module = AppWorker.fromUrl(new URL("../../fixtures/misbehaving.ts", import.meta.url))

const STEPS = Long.steps({ short: 1200, long: 6000 })
/** One step in so many concerns a worker, which takes long; the others are clients'. */
const WORKER_STEPS = Long.steps({ short: 40, long: 75 })
const MOST_CLIENTS = 48
const MOST_WORKERS = 4

interface ModelWorker {
  readonly handle: Handle.WorkerHandle
  readonly kind: "thread" | "in-process"
  restarts: number
}

/** A client, and the worker that the model says it has. */
class Client {
  worker = -1
  closed = false
  #text = ""
  readonly #socket: Net.Socket

  constructor(port: number) {
    this.#socket = Net.connect(port, "127.0.0.1")
    this.#socket.setEncoding("utf8")
    this.#socket.on("data", (text: string) => this.#text += text)
    this.#socket.on("error", () => {})
    this.#socket.on("close", () => this.closed = true)
  }

  say(line: string): void {
    this.#socket.write(`${line}\n`)
  }

  ask(line: string): Effect.Effect<string> {
    return Effect.gen({ self: this }, function*() {
      this.say(line)
      yield* until(`an answer to ${line}`, () => this.#text.includes("\n") || this.closed)
      const answer = this.#text.slice(0, Math.max(0, this.#text.indexOf("\n")))
      this.#text = this.#text.slice(answer.length + 1)
      return answer
    })
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

it.live(
  `M14 W1 W11 W12 the host does what the model says, with threads and sockets, ${STEPS} steps`,
  () =>
    Effect.gen(function*() {
      const random = Random.make(20)
      const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
      const clients = new Set<Client>()
      const workers = new Map<number, ModelWorker>()
      const stale: Array<Handle.WorkerHandle> = []

      const app = Effect.map(host.report, ({ apps }) => apps[0]!)
      const pick = <A>(all: Iterable<A>): A | undefined => {
        const list = Array.from(all)
        return list[random(list.length)]
      }
      const ofWorker = (worker: number) => Array.from(clients).filter((client) => client.worker === worker)

      /** The worker is gone, and its clients with it. */
      const lost = Effect.fnUntraced(function*(worker: number) {
        const its = ofWorker(worker)
        yield* until(`the clients of worker ${worker} to be told`, () => its.every(({ closed }) => closed))
        for (const client of its) clients.delete(client)
      })

      const check = Effect.fnUntraced(function*(step: number) {
        const report = yield* host.report
        assert.deepStrictEqual(report.imbalances, [], `step ${step}`)
        const there = report.apps[0]!.workers.map(({ kind, mapIndex, restarts, state }) =>
          `${mapIndex} ${kind} ${restarts} ${state}`
        )
        const must = Array.from(workers, ([worker, { kind, restarts }]) => `${worker} ${kind} ${restarts} RUNNING`)
        assert.deepStrictEqual(there.toSorted(), must.toSorted(), `step ${step}`)
        const [listener] = report.apps[0]!.listeners
        assert.deepStrictEqual(listener!.workers.toSorted(), Array.from(workers.keys()).toSorted(), `step ${step}`)
      })

      /** What is open at each worker is what the model says, once the kernel has passed on who has left. */
      const checkSessions = Effect.fnUntraced(function*() {
        let report = yield* app
        yield* until("the sessions that there must be", () => {
          report = Effect.runSync(app)
          return report.workers.every(({ mapIndex, sessions }) => sessions === ofWorker(mapIndex).length)
        })
        const shown = yield* host.sessions({})
        assert.strictEqual(shown.length, clients.size)
      })

      const dial = Effect.fnUntraced(function*(port: number) {
        const client = new Client(port)
        const [worker, restarts] = (yield* client.ask("who")).split(".").map(Number)
        const served = workers.get(worker!)
        assert.isDefined(served)
        assert.strictEqual(restarts, served!.restarts)
        client.worker = worker!
        clients.add(client)
      })

      const clientStep = Effect.fnUntraced(function*(port: number, step: number) {
        const client = pick(clients)
        const what = random(10)
        if (client === undefined || (what < 3 && clients.size < MOST_CLIENTS)) return yield* dial(port)
        if (what < 8) return assert.strictEqual(yield* client.ask(`line ${step}`), `line ${step}`)
        clients.delete(client)
        client.destroy()
      })

      const failure = (effect: Effect.Effect<void, { readonly reason: { readonly _tag: string } }>) =>
        Effect.map(Effect.flip(effect), ({ reason }) => reason._tag)

      /** What can be done with workers; what can't be done now is `false`. */
      const workerSteps: Record<string, (handle: Handle.AppHandle) => Effect.Effect<boolean, unknown>> = {
        add: Effect.fnUntraced(function*(handle) {
          if (workers.size === MOST_WORKERS) return false
          const kind = random(2) === 0 ? "thread" : "in-process"
          const added = yield* host.addWorker(handle, { kind })
          workers.set(added.mapIndex, { handle: added.handle, kind, restarts: 0 })
          return true
        }),
        delete: Effect.fnUntraced(function*() {
          const [worker, model] = pick(Array.from(workers).filter(([worker]) => worker !== 0)) ?? []
          if (worker === undefined || model === undefined) return false
          yield* host.deleteWorker(model.handle, { drain: false })
          workers.delete(worker)
          stale.push(model.handle)
          yield* lost(worker)
          return true
        }),
        deleteDefault: Effect.fnUntraced(function*() {
          if (workers.size === 1) return false
          assert.strictEqual(yield* failure(host.deleteWorker(workers.get(0)!.handle)), "DefaultWorker")
          return true
        }),
        restart: Effect.fnUntraced(function*() {
          const [worker, model] = pick(workers)!
          yield* host.restartWorker(model.handle, { drain: false })
          model.restarts++
          yield* lost(worker)
          return true
        }),
        crash: Effect.fnUntraced(function*() {
          // what a worker on the host's loop throws is thrown in the host
          const client = pick(Array.from(clients).filter(({ worker }) => workers.get(worker)!.kind === "thread"))
          if (client === undefined) return false
          const { worker } = client
          const model = workers.get(worker)!
          client.say("throw")
          yield* lost(worker)
          model.restarts++
          yield* until("its next start", () =>
            Effect.runSync(app).workers.some(({ mapIndex, restarts, state }) =>
              mapIndex === worker && restarts === model.restarts && state === "RUNNING"
            ))
          return true
        }),
        stale: Effect.fnUntraced(function*() {
          const old = pick(stale)
          if (old === undefined) {
            return false
          }
          assert.strictEqual(yield* failure(host.deleteWorker(old)), "NoSuchWorker")
          assert.strictEqual(yield* failure(host.restartWorker(old)), "NoSuchWorker")
          return true
        })
      }

      /** Kinds of steps are dealt like cards, so that a short run has them all. */
      const kinds = Object.keys(workerSteps)
      const done = new Set<string>()
      let deck: Array<string> = []
      const workerStep = Effect.fnUntraced(function*(handle: Handle.AppHandle) {
        if (deck.length === 0) {
          deck = [...kinds]
        }
        const [kind] = deck.splice(random(deck.length), 1)
        if (yield* workerSteps[kind!]!(handle)) {
          done.add(kind!)
        }
      })

      yield* Effect.gen(function*() {
        const { handle } = yield* host.attach({
          name: "app",
          listen: ["tcp://127.0.0.1:0"],
          workers: 2,
          worker: { backoffBase: 1, backoffMax: 1 }
        }, module)
        const report = yield* app
        for (const { handle, mapIndex } of report.workers) {
          workers.set(mapIndex, { handle: handleOf(handle), kind: "thread", restarts: 0 })
        }
        const port = Number(new URL(report.listeners[0]!.endpoint).port)
        for (let step = 0; step < STEPS; step++) {
          if (random(WORKER_STEPS) === 0) {
            yield* workerStep(handle)
            yield* checkSessions()
          } else yield* clientStep(port, step)
          yield* check(step)
        }
        yield* checkSessions()
        assert.deepStrictEqual(
          kinds.filter((kind) =>
            !done.has(kind)
          ),
          [],
          "kinds of steps that were not done"
        )
      }).pipe(Effect.scoped)
      yield* until("all clients to be told", () => Array.from(clients).every(({ closed }) => closed))
      yield* assertNothingLeft({ host, network: { listening: [] } })
    }).pipe(Effect.scoped),
  120_000
)
