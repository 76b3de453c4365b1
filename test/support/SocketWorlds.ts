/** Where the contracts of Effect's `Socket` and `SocketServer` are held to: Effect's own on Node, and sessions. */
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import { assert } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { randomUUID } from "node:crypto"
import * as Net from "node:net"
import type { AppOptionsInput } from "../../src/domain/options/Options.ts"
import * as Host from "../../src/layers/Host.ts"
import * as AppWorker from "../../src/services/AppWorker.ts"
import { SessionLayer } from "../../src/services/SessionLayer.ts"
import { connected, SocketPeer } from "./SocketPeer.ts"
import * as SocketSubject from "./SocketSubject.ts"
import { until } from "./until.ts"
import * as Wire from "./Wire.ts"

/** What plays the subject, and is told on a channel. */
export class World extends Context.Service<World, {
  readonly orders: Wire.Wire
  /** Nothing is left of the cases that were played. */
  readonly clean: Effect.Effect<void>
}>()("test/SocketWorld") {}

/** Effect's own sockets, which are what the others are to be like. */
const reference: Layer.Layer<World> = Layer.effect(
  World,
  Effect.gen(function*() {
    const channel = randomUUID()
    yield* SocketSubject.make(channel, {
      // sessions stay half-open, so these do too
      server: NodeSocketServer.make({ port: 0, host: "127.0.0.1", allowHalfOpen: true }),
      connect: (port) => NodeSocket.makeNet({ port, host: "127.0.0.1", allowHalfOpen: true })
    })
    return { orders: yield* Wire.open(channel), clean: Effect.void }
  })
)

/** Sessions of a worker. */
const sessions = (options: Partial<AppOptionsInput>): Layer.Layer<World> =>
  Layer.effect(
    World,
    Effect.gen(function*() {
      const channel = randomUUID()
      const orders = yield* Wire.open(channel)
      const host = yield* SessionLayer
      yield* Effect.orDie(host.attach(
        { name: "subject", config: channel, ...options },
        AppWorker.fromUrl(new URL("../fixtures/socket-subject.ts", import.meta.url))
      ))
      const clean = Effect.gen(function*() {
        yield* until("no session and no listener is left", () => {
          const { apps: [app] } = Effect.runSync(host.report)
          return app!.workers[0]!.sessions + app!.listeners.length === 0
        })
        assert.deepStrictEqual((yield* host.report).imbalances, [])
      })
      return { orders, clean }
    })
  ).pipe(Layer.provide(Host.layer))

/** By name. */
export const worlds: Readonly<Record<string, Layer.Layer<World>>> = {
  "Effect's Node sockets": reference,
  "sessions in-process": sessions({ workers: 1, worker: { kind: "in-process" } }),
  "sessions on a thread": sessions({ workers: 1, worker: { kind: "thread" } }),
  "sessions on a thread, in small fifos": sessions({
    workers: 1,
    worker: { kind: "thread" },
    segment: { rxFifoSize: "8 KiB", txFifoSize: "8 KiB" }
  }),
  "sessions that move to a thread": sessions({
    workers: 1,
    worker: { kind: "thread" },
    listener: { placement: "transfer" }
  }),
  "sessions that move, in-process": sessions({
    workers: 1,
    worker: { kind: "in-process" },
    listener: { placement: "transfer" }
  })
}

/** Gives an order, plays the peer, and gives what the subject has said. */
export const play = Effect.fnUntraced(function*(
  title: string,
  as: "server" | "client" | "servers",
  peer: (wire: Wire.Wire, dial: (port: number) => Promise<SocketPeer>, client: Promise<SocketPeer>) => Promise<void>
) {
  const { clean, orders } = yield* World
  const name = randomUUID()
  const wire = yield* Wire.open(name)
  const scope = yield* Effect.scope
  const sockets = new Set<Net.Socket>()
  yield* Scope.addFinalizer(scope, Effect.sync(() => sockets.forEach((socket) => socket.destroy())))
  const peerOf = (socket: Net.Socket): SocketPeer => {
    sockets.add(socket)
    return new SocketPeer(socket, wire)
  }
  const listening = Net.createServer({ allowHalfOpen: true, noDelay: true })
  yield* Scope.addFinalizer(scope, Effect.sync(() => void listening.close()))
  const client = new Promise<SocketPeer>((resolve) => listening.once("connection", (socket) => resolve(peerOf(socket))))
  yield* Effect.callback<void>((resume) => void listening.listen(0, "127.0.0.1", () => resume(Effect.void)))
  const { port } = listening.address() as Net.AddressInfo
  orders.say(JSON.stringify({ title, as: as === "client" ? { port } : as, wire: name } satisfies SocketSubject.Order))
  yield* Effect.promise(async () => {
    await peer(wire, async (port) => peerOf(await connected(port)), client)
    await wire.hear("over")
  })
  for (const socket of sockets) socket.destroy()
  yield* until("all that was said", () => wire.said.at(-1) === "over")
  yield* clean
  return wire.said.slice(0, -1)
})
