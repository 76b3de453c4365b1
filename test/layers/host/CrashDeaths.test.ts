/**
 * X3 on threads: however a worker dies, and whatever its sessions go over, the parked ones are answered by others, and
 * only what it had in hand is reset.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as Tls from "node:tls"
import * as Host from "../../../src/layers/Host.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import * as Pem from "../../support/Pem.ts"
import { handleOf } from "../../support/Stage.ts"
import { authority } from "../../support/Tls.ts"
import * as UdpPeer from "../../support/UdpPeer.ts"
import { until } from "../../support/until.ts"

interface Peer {
  readonly send: (message: string) => void
  readonly received: () => string
  readonly isClosed: () => boolean
}

const overStream = (connect: () => Net.Socket): Effect.Effect<Peer, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(Effect.sync(connect), (socket) => Effect.sync(() => socket.destroy())),
    (socket): Peer => {
      let text = ""
      socket.on("data", (bytes: Buffer) => text += bytes.toString())
      socket.on("error", () => {})
      return { send: (message) => socket.write(message), received: () => text, isClosed: () => socket.destroyed }
    }
  )

const dial = (endpoint: string): Effect.Effect<Peer, never, Scope.Scope> => {
  const port = Number(endpoint.split(":").at(-1))
  const at = { host: "127.0.0.1", port }
  if (endpoint.startsWith("tcp:")) return overStream(() => Net.connect(at))
  if (endpoint.startsWith("tls:")) {
    return overStream(() => Tls.connect({ ...at, ca: authority, checkServerIdentity: () => undefined }))
  }
  return Effect.map(UdpPeer.make(endpoint), ({ received, send }): Peer => ({
    send,
    received: () => Buffer.concat(received).toString(),
    isClosed: () => false
  }))
}

/** The worker that answers. */
const ask = (peer: Peer, message: string): Effect.Effect<number> =>
  Effect.suspend(() => {
    const before = peer.received().length
    peer.send(message)
    return Effect.map(
      until(`an answer to ${message}`, () => peer.received().length > before || peer.isClosed()),
      () => Number(/^\w+ (\d+);$/.exec(peer.received().slice(before))?.[1])
    )
  })

/** A peer that worker 1 has answered. */
const peerOfWorker1 = Effect.fnUntraced(function*(endpoint: string, message: string) {
  for (;;) {
    const peer = yield* dial(endpoint)
    if ((yield* ask(peer, message)) === 1) return peer
  }
})

it.live(
  "X3 a worker that throws, exits, runs out of memory or loops for ever: over TCP, TLS and UDP, what it had parked goes on",
  () =>
    Effect.gen(function*() {
      const host = yield* SessionLayer
      yield* host.attach({
        name: "app",
        listen: ["tcp://127.0.0.1:0", "tls://127.0.0.1:0", "udp://127.0.0.1:0"],
        certificates: [Pem.pair("chain")],
        workers: 2,
        admission: { holdTime: "1 minute" },
        worker: { kind: "thread", backoffBase: "10 millis", heapLimitMiB: 64 }
      }, AppWorker.fromUrl(new URL("../../fixtures/dies.ts", import.meta.url)))
      const app = Effect.map(host.report, ({ apps }) => apps[0]!)
      const listeners = (yield* app).listeners.map(({ endpoint }) => endpoint)
      const [tcp] = listeners
      const worker = () => Effect.runSync(app).workers[1]!
      const deaths = [
        ["throw", /a bug/],
        ["exit", /exited with code 3/],
        ["exhaust", /ran out of memory/],
        ["loop", undefined]
      ] as const
      for (const [died, [death, told]] of deaths.entries()) {
        const parked = yield* Effect.forEach(listeners, (endpoint) => peerOfWorker1(endpoint, "hello"))
        const inHand = [yield* peerOfWorker1(tcp!, "keep"), yield* peerOfWorker1(tcp!, "hello")] as const
        inHand[1].send(death)
        if (death === "loop") {
          // from when it has begun to loop, they pass it by
          for (const peer of parked) while ((yield* ask(peer, "again")) !== 0);
          yield* Effect.forkScoped(host.restartWorker(handleOf(worker().handle), { drain: false }))
        }
        yield* until("what it had in hand to be reset", () => inHand.every(({ isClosed }) => isClosed()))
        for (const peer of parked) {
          assert.include([0, 1], yield* ask(peer, "still"), death)
          assert.isFalse(peer.isClosed())
        }
        yield* until("its next start", () => worker().state === "RUNNING" && worker().restarts === died + 1)
        if (told !== undefined) assert.match(String(worker().lastFailure), told)
        const { imbalances, ledger: { arrivals } } = yield* host.report
        assert.strictEqual(arrivals.lost, 2 * (died + 1), death)
        assert.deepStrictEqual(imbalances, [])
      }
    }).pipe(Effect.scoped, Effect.provide(Host.layer)),
  60_000
)
