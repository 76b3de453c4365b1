/** A host as a process of its own, for benchmarks: `host.ts <app module> <workers> [options as JSON]`. */
import * as Effect from "effect/Effect"
import * as Host from "../../src/layers/Host.ts"
import { SessionLayer } from "../../src/services/SessionLayer.ts"

const [module, workers, options] = process.argv.slice(2)

const program = Effect.gen(function*() {
  const layer = yield* SessionLayer
  const extra = JSON.parse(options ?? "{}") as Record<string, object>
  yield* layer.attach({
    name: "bench",
    listen: ["tcp://127.0.0.1:0"],
    ...extra,
    workers: Number(workers)
  }, { _tag: "Url", url: new URL(`../${module}`, import.meta.url).href })
  const { apps } = yield* layer.report
  console.log(`port ${apps[0]!.listeners[0]!.endpoint.split(":").at(-1)}`)
  const run = Effect.runForkWith(yield* Effect.context<never>())
  process.stdin.on(
    "data",
    () => run(Effect.map(layer.report, (report) => console.log(`report ${JSON.stringify(report)}`)))
  )
  yield* Effect.callback<void>((resume) => void process.once("SIGTERM", () => resume(Effect.void)))
}).pipe(Effect.scoped, Effect.provide(Host.layer))

Effect.runPromise(program).then(() => process.exit(0))
