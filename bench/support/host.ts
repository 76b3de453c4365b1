/**
 * A host as a process of its own, for benchmarks: `host.ts <app module> <workers> [options as JSON]`; `workers` is a number
 * or a range, as for `sluice serve`. At the line `lost`
 * on its standard input it tells which sessions it has lost with their workers, see {@link Lost}; at any other, its report.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Readline from "node:readline"
import * as Host from "../../src/layers/Host.ts"
import * as Garbage from "../../src/layers/system/Garbage.ts"
import { SessionLayer } from "../../src/services/SessionLayer.ts"

/** A session; in a flood several, without their peers, that the host has counted together. */
export interface Lost {
  readonly count: number
  /** The peer's end of the connection, as a URI. */
  readonly peer?: string | undefined
  /** Milliseconds since the epoch; and how long before that the first of those that were counted was lost. */
  readonly time: number
  readonly withinMillis: number
  readonly worker: number
}

// as `sluice serve` has it
Garbage.tune()

const [module, workers, options] = process.argv.slice(2)

const program = Effect.gen(function*() {
  const layer = yield* SessionLayer
  const extra = JSON.parse(options ?? "{}") as Record<string, object>
  yield* layer.attach({
    name: "bench",
    listen: ["tcp://127.0.0.1:0"],
    ...extra,
    workers: workers as `${number}`
  }, { _tag: "Url", url: new URL(`../${module}`, import.meta.url).href })
  const { apps } = yield* layer.report
  console.log(`port ${apps[0]!.listeners[0]!.endpoint.split(":").at(-1)}`)
  const lost: Array<Lost> = []
  yield* layer.events({ filter: { kinds: ["session-lost"] } }).pipe(
    Stream.runForEach((event) =>
      Effect.sync(() => {
        if (event.kind !== "session-lost") throw new Error("events are missing")
        const { count, peer, time, withinMillis, worker } = event
        lost.push({ count, peer, time, withinMillis, worker })
      })
    ),
    Effect.forkScoped
  )
  const run = Effect.runForkWith(yield* Effect.context<never>())
  Readline.createInterface(process.stdin).on("line", (line) => {
    if (line === "lost") console.log(`lost ${JSON.stringify(lost)}`)
    else run(Effect.map(layer.report, (report) => console.log(`report ${JSON.stringify(report)}`)))
  })
  yield* Effect.callback<void>((resume) => void process.once("SIGTERM", () => resume(Effect.void)))
}).pipe(Effect.scoped, Effect.provide(Host.layer))

Effect.runPromise(program).then(() => process.exit(0))
