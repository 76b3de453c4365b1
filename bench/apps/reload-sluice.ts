/** A host with the same program on two workers, which is reloaded at each line on its standard input. */
import * as Effect from "effect/Effect"
import * as Host from "../../src/layers/Host.ts"
import { SessionLayer } from "../../src/services/SessionLayer.ts"

const program = Effect.gen(function*() {
  const layer = yield* SessionLayer
  const { handle } = yield* layer.attach(
    { name: "bench", listen: ["tcp://127.0.0.1:0"], workers: 2 },
    { _tag: "Url", url: new URL("reload-program.ts", import.meta.url).href }
  )
  const { apps } = yield* layer.report
  console.log(`port ${apps[0]!.listeners[0]!.endpoint.split(":").at(-1)}`)
  const run = Effect.runForkWith(yield* Effect.context<never>())
  process.stdin.on(
    "data",
    () => run(Effect.map(layer.reload(handle), () => console.log("reloaded ok")))
  )
  yield* Effect.callback<void>((resume) => void process.once("SIGTERM", () => resume(Effect.void)))
}).pipe(Effect.scoped, Effect.provide(Host.layer))

Effect.runPromise(program).then(() => process.exit(0))
