/**
 * A host with two workers, of which worker 1 gets all connections. At the lines `reload` and `delete` (worker 1) on its
 * standard input it does that; at `begin` it begins to measure its turns, and at `look` it prints the longest one, in
 * milliseconds, and how many sessions have moved.
 */
import * as Effect from "effect/Effect"
import { monitorEventLoopDelay } from "node:perf_hooks"
import * as Readline from "node:readline"
import * as Affinity from "../../src/domain/admission/Affinity.ts"
import * as Handle from "../../src/domain/state/Handle.ts"
import * as Host from "../../src/layers/Host.ts"
import { SessionLayer } from "../../src/services/SessionLayer.ts"

/** What the turns of this thread take of the processor: on a machine that is busy, a turn also waits for one. */
class Turns {
  /** Milliseconds. */
  longest = 0
  #before = 0
  #isWatching = false

  begin(): void {
    this.longest = 0
    this.#before = this.#cpu
    if (!this.#isWatching) setImmediate(this.#watch)
    this.#isWatching = true
  }

  get #cpu(): number {
    const { system, user } = process.threadCpuUsage()
    return (system + user) / 1000
  }

  readonly #watch = (): void => {
    const now = this.#cpu
    this.longest = Math.max(this.longest, now - this.#before)
    this.#before = now
    setImmediate(this.#watch)
  }
}

const program = Effect.gen(function*() {
  const layer = yield* SessionLayer
  let key = 0
  while (Affinity.weight(Affinity.hash(key), 1) < Affinity.weight(Affinity.hash(key), 0)) key++
  const { handle } = yield* layer.attach({
    name: "bench",
    listen: ["tcp://127.0.0.1:0"],
    listener: { affinity: () => key },
    admission: { holdTime: "1 minute" },
    workers: 2
  }, { _tag: "Url", url: new URL("parked-app.ts", import.meta.url).href })
  const { apps: [app] } = yield* layer.report
  console.log(`port ${app!.listeners[0]!.endpoint.split(":").at(-1)}`)
  const [index, generation] = app!.workers[1]!.handle.split(".").map(Number)
  const worker = Handle.make<Handle.WorkerHandle>(index!, generation!)
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const turns = new Turns()
  const commands: Record<string, Effect.Effect<unknown, unknown>> = {
    begin: Effect.sync(() => {
      delay.reset()
      turns.begin()
      console.log("begun")
    }),
    look: Effect.map(layer.report, ({ apps, ledger }) => {
      const parked = apps[0]!.workers[1]?.sessions ?? 0
      const turn = { cpu: turns.longest, delay: delay.max / 1e6, moved: ledger.arrivals.moved, parked }
      console.log(`turn ${JSON.stringify(turn)}`)
    }),
    reload: layer.reload(handle, { atOnce: true }),
    delete: layer.deleteWorker(worker)
  }
  Readline.createInterface(process.stdin).on("line", (line) => run(commands[line]!))
  yield* Effect.callback<void>((resume) => void process.once("SIGTERM", () => resume(Effect.void)))
}).pipe(Effect.scoped, Effect.provide(Host.layer))

Effect.runPromise(program).then(() => process.exit(0))
