/** A host as a process of its own, with a control socket: `controlled.ts <app module> <control socket>`. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ControlServer from "../../src/layers/control/ControlServer.ts"
import * as Host from "../../src/layers/Host.ts"
import { SessionLayer } from "../../src/services/SessionLayer.ts"

const [module, control] = process.argv.slice(2) as [string, string]

const program = Effect.gen(function*() {
  const host = yield* SessionLayer
  yield* host.attach({
    name: "bench",
    listen: ["tcp://127.0.0.1:0"],
    admission: { maxSessions: 100_000, maxSessionsPerWorker: 100_000, maxSessionsPerListener: 100_000 }
  }, {
    _tag: "Url",
    url: new URL(`../${module}`, import.meta.url).href
  })
  const { apps } = yield* host.report
  console.log(`port ${apps[0]!.listeners[0]!.endpoint.split(":").at(-1)}`)
  yield* Effect.callback<void>((resume) => void process.once("SIGTERM", () => resume(Effect.void)))
}).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(ControlServer.layer(control), Host.layer)))

Effect.runPromise(program).then(() => process.exit(0))
