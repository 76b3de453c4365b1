/** Effect's `SocketServer` over sessions: the contract, held by Effect's own server too, and what is sessions' own. */
import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as References from "effect/References"
import type * as Socket from "effect/socket/Socket"
import type { WorkerHandle } from "../../../../src/domain/state/Handle.ts"
import * as HandleText from "../../../../src/domain/state/HandleText.ts"
import * as SessionSocketServer from "../../../../src/layers/adapters/effect/SessionSocketServer.ts"
import * as Host from "../../../../src/layers/Host.ts"
import * as AppWorker from "../../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../../src/services/SessionLayer.ts"
import { ListenFailed, Sessions } from "../../../../src/services/Sessions.ts"
import * as SessionPair from "../../../support/SessionPair.ts"
import { connected, SocketPeer } from "../../../support/SocketPeer.ts"
import { assertSaid, serverCases } from "../../../support/socketServerCases.ts"
import * as SocketWorlds from "../../../support/SocketWorlds.ts"
import { settled } from "../../../support/until.ts"
import { Wire } from "../../../support/Wire.ts"

for (const [name, world] of Object.entries(SocketWorlds.worlds)) {
  layer(world, { timeout: 30_000, excludeTestServices: true })(name, (it) => {
    for (const { peer, says, title } of serverCases) {
      it.effect(title, () =>
        Effect.gen(function*() {
          const said = yield* SocketWorlds.play(title, "servers", (wire, dial) => peer(dial, wire))
          assertSaid(said, says)
        }))
    }
  })
}

const makeServer = (net: SessionPair.Net, options?: SessionSocketServer.SocketServerOptions) =>
  Effect.provideService(SessionSocketServer.make(options), Sessions, net.sessions)

describe("SessionSocketServer", () => {
  it.effect("listens on all endpoints of the application, or those that it is told", () =>
    Effect.gen(function*() {
      const net = SessionPair.makeNet({ endpoints: ["tcp://127.0.0.1:80", "local://upper"] })
      yield* Effect.scoped(Effect.gen(function*() {
        const server = yield* makeServer(net)
        assert.deepStrictEqual(net.listening, ["tcp://127.0.0.1:80", "local://upper"])
        assert.strictEqual(String(server.address), String(NetAddress.inetAddressFromIpStringUnsafe("127.0.0.1", 80)))
      }))
      assert.deepStrictEqual(net.listening, [])
      const server = yield* makeServer(net, { endpoints: ["local://other"] })
      assert.deepStrictEqual(net.listening, ["local://other"])
      assert.strictEqual(server.address._tag === "UnixPathAddress" && server.address.path, "local://other")
    }).pipe(Effect.scoped))

  it.effect("an endpoint that can't be, or none at all, is an open error that says why, and leaves no listener", () =>
    Effect.gen(function*() {
      const net = SessionPair.makeNet({ endpoints: ["tcp://127.0.0.1:80", "tcp://127.0.0.1:80"] })
      const twice = yield* Effect.flip(Effect.scoped(makeServer(net)))
      assert.strictEqual(twice.reason._tag, "SocketServerOpenError")
      assert.instanceOf(twice.reason.cause, ListenFailed)
      assert.deepStrictEqual(net.listening, [])
      const none = yield* Effect.flip(makeServer(net, { endpoints: [] }))
      assert.match(String(none.reason.cause), /given no endpoint/)
    }).pipe(Effect.scoped))

  it.effect("a handler finds its session", () =>
    Effect.gen(function*() {
      const net = SessionPair.makeNet({ endpoints: ["tcp://127.0.0.1:80"] })
      const server = yield* makeServer(net)
      const remotes: Array<string> = []
      yield* Effect.forkScoped(server.run((socket) =>
        Effect.scoped(Effect.gen(function*() {
          yield* socket.reader
          const session = yield* Effect.serviceOption(SessionSocketServer.CurrentSession)
          remotes.push(Option.getOrThrow(session).remote)
        }))
      ))
      yield* settled
      const [one, two] = [net.dial("tcp://127.0.0.1:80"), net.dial("tcp://127.0.0.1:80")]
      yield* settled
      assert.deepStrictEqual(remotes, [one.local, two.local])
    }).pipe(Effect.scoped))

  it.effect("a handler that fails before it has a reader closes its session; one that passes the socket on does not", () =>
    Effect.gen(function*() {
      const net = SessionPair.makeNet({ endpoints: ["tcp://127.0.0.1:80"] })
      const server = yield* makeServer(net)
      const sockets: Array<Socket.Socket> = []
      yield* Effect.forkScoped(
        server.run((socket) => sockets.push(socket) === 1 ? Effect.fail("as it was told") : Effect.void)
      )
      yield* settled
      const [fails, stays] = [net.dial("tcp://127.0.0.1:80"), net.dial("tcp://127.0.0.1:80")]
      stays.write(Buffer.from("later"))
      yield* settled
      assert.deepStrictEqual([fails.ended, stays.ended], [true, false])
      const reader = yield* sockets[1]!.reader
      assert.strictEqual(String(yield* reader.pull), "later")
    }).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "None")))

  it.effect("a drain resets what waits for a run that never was, and what comes later", () =>
    Effect.gen(function*() {
      const net = SessionPair.makeNet({ endpoints: ["tcp://127.0.0.1:80"] })
      yield* makeServer(net)
      const waits = net.dial("tcp://127.0.0.1:80")
      yield* settled
      assert.isFalse(waits.gone)
      net.drain()
      yield* settled
      assert.isDefined(waits.reset)
      const late = net.dial("tcp://127.0.0.1:80")
      yield* settled
      assert.isDefined(late.reset)
    }).pipe(Effect.scoped))

  it.live("a worker that is restarted finishes what its handlers have in hand; new connections go to the next start", () =>
    Effect.gen(function*() {
      const host = yield* SessionLayer
      yield* host.attach(
        { name: "echo", listen: ["tcp://127.0.0.1:0"], workers: 1, worker: { kind: "in-process" } },
        AppWorker.fromLayer(
          Layer.effectDiscard(Effect.gen(function*() {
            const server = yield* SessionSocketServer.make()
            yield* Effect.forkScoped(server.run((socket) =>
              Effect.scoped(Effect.gen(function*() {
                const { pull } = yield* socket.reader
                const writer = yield* socket.writer
                return yield* Effect.forever(Effect.flatMap(pull, writer.writeAll))
              }))
            ))
          }))
        )
      )
      const { listeners, workers } = (yield* host.report).apps[0]!
      const port = Number(listeners[0]!.endpoint.split(":").at(-1))
      const dial = () =>
        Effect.acquireRelease(
          Effect.promise(async () => new SocketPeer(await connected(port), new Wire("unused"))),
          ({ socket, wire }) =>
            Effect.sync(() => {
              socket.destroy()
              wire.close()
            })
        )
      const first = yield* dial()
      first.socket.write("one")
      yield* Effect.promise(() => first.untilText("one"))
      const restarting = yield* Effect.forkChild(
        host.restartWorker(HandleText.parse<WorkerHandle>(workers[0]!.handle)!)
      )
      const draining = Effect.map(host.report, ({ apps }) => apps[0]!.workers[0]!.state === "DRAINING")
      yield* Effect.repeat(draining, { until: (is) => is })
      const second = yield* dial()
      second.socket.write("two")
      first.socket.write(", and more")
      yield* Effect.promise(() => first.untilText("one, and more"))
      assert.strictEqual(second.text, "")
      first.socket.end()
      yield* Effect.promise(() => second.untilText("two"))
      yield* Fiber.join(restarting)
      assert.deepStrictEqual((yield* host.report).imbalances, [])
    }).pipe(Effect.scoped, Effect.provide(Host.layer)))
})
