/** What a worker on a thread of its own does first, when it has more than one thing to do (X7). */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { once } from "node:events"
import * as Http from "node:http"
import * as Net from "node:net"
import { text } from "node:stream/consumers"
import * as Host from "../../../src/layers/Host.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"

/** A client with one connection. */
const clientOf = (port: number) => {
  const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
  return async (path: string): Promise<Http.IncomingMessage> => {
    const [response] = await once(Http.get({ host: "127.0.0.1", port, path, agent }), "response")
    return response as Http.IncomingMessage
  }
}

it.live("X7 a worker claims what is offered to it behind what it was told of before", () =>
  Effect.gen(function*() {
    const host = yield* SessionLayer
    yield* host.attach({
      name: "turns",
      listen: ["tcp://127.0.0.1:0"],
      workers: 1,
      // nothing is taken back while it blocks
      admission: { revokeAfter: "10 seconds", holdTime: "1 minute" },
      worker: { kind: "thread" }
    }, AppWorker.fromUrl(new URL("../../fixtures/node/turns.ts", import.meta.url)))
    const { apps } = yield* host.report
    const port = Number(apps[0]!.listeners[0]!.endpoint.split(":").at(-1))
    const told = yield* Effect.promise(async () => {
      const [first, second] = [clientOf(port), clientOf(port)]
      for (const ask of [first, second]) await text(await ask("/0"))
      const blocked = await first("/300")
      const known = second("/1")
      const third = Net.connect(port, "127.0.0.1")
      await once(third, "connect")
      await text(blocked)
      const told = await text(await known)
      third.destroy()
      return told
    })
    assert.match(told, /^comes \/0 comes \/0 \/300 \/1/)
  }).pipe(Effect.scoped, Effect.provide(Host.layer)))
