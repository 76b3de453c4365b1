// A host in an Effect program of your own: the application is a layer among layers.
import { NodeRuntime } from "@effect/platform-node"
import * as Layer from "effect/Layer"
import { AppWorker, Host, SessionLayer } from "sluice"

const Hello = SessionLayer.layerApp(
  { name: "hello", listen: [process.argv[2] ?? "tcp://127.0.0.1:8080"], workers: 2 },
  AppWorker.fromUrl(new URL("./hello.ts", import.meta.url))
)

NodeRuntime.runMain(Layer.launch(Layer.provide(Hello, Host.layer)))
