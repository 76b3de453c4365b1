// A host in a program without Effect: promises, and errors as rejections.
import * as Sluice from "sluice/plain"

const host = await Sluice.start()
const listen = [process.argv[2] ?? "tcp://127.0.0.1:8080"]
const app = await host.attach({ name: "shop", listen, workers: 3 }, new URL("./express.ts", import.meta.url))
console.log(`listening on ${app.endpoints.join(", ")}`)
process.once("SIGTERM", () => host.stop())
