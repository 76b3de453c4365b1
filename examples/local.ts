// Two applications on one host. `asking.ts` connects to `upper.ts` by name: the bytes go from worker to worker.
import { NodeRuntime } from "@effect/platform-node"
import * as Layer from "effect/Layer"
import { AppWorker, Host, SessionLayer } from "sluice"

const scope = { local: true, global: true }

const Upper = SessionLayer.layerApp(
  { name: "upper", scope, listen: ["local://upper", "tcp://127.0.0.1:0"] },
  AppWorker.fromUrl(new URL("./upper.ts", import.meta.url))
)

const Asking = SessionLayer.layerApp(
  { name: "asking", scope: { local: true }, workers: 1 },
  AppWorker.fromUrl(new URL("./asking.ts", import.meta.url))
)

NodeRuntime.runMain(Layer.launch(Asking.pipe(Layer.provide(Upper), Layer.provide(Host.layer))))
