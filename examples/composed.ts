// A host in an Effect program of your own: the application is a layer among layers.
import { NodeRuntime } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AppWorker, Host, SessionLayer } from "sluice"

const Hello = SessionLayer.layerApp(
  { name: "hello", listen: [process.argv[2] ?? "tcp://127.0.0.1:8080"], workers: 2 },
  AppWorker.fromUrl(new URL("./hello.ts", import.meta.url))
)

const Announce = Layer.effectDiscard(Effect.gen(function*() {
  const host = yield* SessionLayer.SessionLayer
  const { apps } = yield* host.report
  for (const { endpoint } of apps.flatMap((app) => app.listeners)) console.log(`listening on ${endpoint}`)
}))

NodeRuntime.runMain(Layer.launch(Announce.pipe(Layer.provide(Hello), Layer.provide(Host.layer))))
