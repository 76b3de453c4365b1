// A client of api.ts, in any process: `node examples/effect/api-client.ts 8080 Ada`
import { NodeRuntime } from "@effect/platform-node"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { HttpApiClient } from "effect/http-api"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { Api } from "./api.ts"

const [port, name = "you"] = process.argv.slice(2)

NodeRuntime.runMain(
  Effect.gen(function*() {
    const greetings = yield* HttpApiClient.make(Api, { baseUrl: `http://127.0.0.1:${port}` })
    const { text, worker } = yield* greetings.greet({ params: { name } })
    yield* Console.log(`${text} (from worker ${worker})`)
  }).pipe(Effect.provide(FetchHttpClient.layer))
)
