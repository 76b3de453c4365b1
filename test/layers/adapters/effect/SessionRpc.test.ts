/** Effect's RPC over sessions, by each of its protocols: only the layer of the server, or of the socket, is another. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Schema from "effect/Schema"
import * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import { WebSocket } from "ws"
import * as SessionHttpAgent from "../../../../src/layers/adapters/effect/SessionHttpAgent.ts"
import * as SessionHttpServer from "../../../../src/layers/adapters/effect/SessionHttpServer.ts"
import * as SessionSocket from "../../../../src/layers/adapters/effect/SessionSocket.ts"
import * as SessionSocketServer from "../../../../src/layers/adapters/effect/SessionSocketServer.ts"
import { Sessions } from "../../../../src/services/Sessions.ts"
import * as SessionPair from "../../../support/SessionPair.ts"

const endpoint = "tcp://127.0.0.1:8080"

const Texts = RpcGroup.make(
  Rpc.make("upper", { payload: { text: Schema.String }, success: Schema.String }),
  Rpc.make("count", { payload: { to: Schema.Int }, success: Schema.Int, stream: true })
)

const TextsLive = Texts.toLayer({
  upper: ({ text }) => Effect.succeed(text.toUpperCase()),
  count: ({ to }) => Stream.range(1, to)
})

const http = (protocol: "http" | "websocket") =>
  HttpRouter.serve(
    RpcServer.layerHttp({ group: Texts, path: "/rpc", protocol }).pipe(Layer.provide(TextsLive)),
    { disableLogger: true, disableListenLog: true }
  ).pipe(Layer.provide(SessionHttpServer.layer()))

const constructor = Layer.effect(
  Socket.WebSocketConstructor,
  Effect.map(Sessions, (sessions) => {
    const agent = new SessionHttpAgent.SessionHttpAgent(sessions)
    return (url: string) => new WebSocket(url, { agent })
  })
)

interface Form {
  readonly server: Layer.Layer<never, unknown, RpcSerialization.RpcSerialization | Sessions>
  readonly client: Layer.Layer<RpcClient.Protocol, never, RpcSerialization.RpcSerialization | Sessions>
}

const forms: Readonly<Record<string, Form>> = {
  "a socket": {
    server: RpcServer.layer(Texts).pipe(
      Layer.provide([TextsLive, RpcServer.layerProtocolSocketServer]),
      Layer.provide(SessionSocketServer.layer())
    ),
    client: RpcClient.layerProtocolSocket().pipe(Layer.provide(SessionSocket.layer(endpoint)))
  },
  "HTTP": {
    server: http("http"),
    client: RpcClient.layerProtocolHttp({ url: "http://127.0.0.1:8080/rpc" }).pipe(
      Layer.provide(SessionHttpAgent.layerClient())
    )
  },
  "a WebSocket": {
    server: http("websocket"),
    client: RpcClient.layerProtocolSocket().pipe(
      Layer.provide(Socket.layerWebSocket("ws://127.0.0.1:8080/rpc")),
      Layer.provide(constructor)
    )
  }
}

for (const [form, { client, server }] of Object.entries(forms)) {
  it.live(`calls and streams go over ${form}, with fifos of 100`, () =>
    Effect.gen(function*() {
      const net = SessionPair.makeNet({ bound: 100, endpoints: [endpoint] })
      const services = Layer.merge(Layer.succeed(Sessions, net.sessions), RpcSerialization.layerNdjson)
      yield* Layer.build(Layer.provide(server, services))
      yield* Effect.gen(function*() {
        const texts = yield* RpcClient.make(Texts)
        const words = Array.from({ length: 50 }, (_, n) => `word ${n} `.repeat(20))
        const answers = yield* Effect.forEach(words, (text) => texts.upper({ text }), { concurrency: "unbounded" })
        assert.deepStrictEqual(answers, words.map((text) => text.toUpperCase()))
        const counted = yield* Stream.runCollect(texts.count({ to: 1000 }))
        assert.deepStrictEqual(counted, Array.from({ length: 1000 }, (_, n) => n + 1))
      }).pipe(Effect.scoped, Effect.provide(Layer.provide(client, services)))
      assert.isAbove(net.accepted.length, 0)
    }).pipe(Effect.scoped))
}
