// An HttpApi, in every worker.
import * as Effect from "effect/Effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { SessionHttpServer, Sessions } from "sluice/worker"

const Greeting = Schema.Struct({ text: Schema.String, worker: Schema.Int })

export class Api extends HttpApi.make("greetings").add(
  HttpApiGroup.make("greetings", { topLevel: true }).add(
    HttpApiEndpoint.get("greet", "/greet/:name", { params: { name: Schema.String }, success: Greeting })
  )
) {}

const GreetingsLive = HttpApiBuilder.group(
  Api,
  "greetings",
  Effect.fn(function*(handlers) {
    const { worker } = yield* Sessions.Sessions
    return handlers.handleAll({
      greet: ({ params }) => Effect.succeed({ text: `hello, ${params.name}`, worker: worker.worker })
    })
  })
)

export default HttpRouter.serve(Layer.provide(HttpApiBuilder.layer(Api), GreetingsLive)).pipe(
  Layer.provide(SessionHttpServer.layer())
)
