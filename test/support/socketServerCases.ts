/** The contract of Effect's `SocketServer`, case by case: see `socketCases.ts`. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as NetAddress from "effect/net/NetAddress"
import * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import type * as SocketServer from "effect/socket/SocketServer"
import { deepStrictEqual, rejects, strictEqual } from "node:assert"
import type { SocketPeer } from "./SocketPeer.ts"
import type { Wire } from "./Wire.ts"

type Server = SocketServer.SocketServer["Service"]
type Make = Effect.Effect<Server, SocketServer.SocketServerError, Scope.Scope>

export interface ServerCase {
  readonly title: string
  readonly subject: (make: Make, wire: Wire) => Effect.Effect<unknown, unknown, Scope.Scope>
  readonly peer: (dial: (port: number) => Promise<SocketPeer>, wire: Wire) => Promise<void>
  readonly says: ReadonlyArray<string>
}

const sayPort = (server: Server, wire: Wire): void => {
  if (server.address._tag === "UnixPathAddress") throw new Error("an address with a port was expected")
  wire.say(`port ${server.address.port}`)
}

const portOf = async (wire: Wire): Promise<number> => Number((await wire.hear(/^port \d+$/)).slice(5))

const hear = (wire: Wire, text: string) => Effect.promise(() => wire.hear(text))

const echo = (socket: Socket.Socket) =>
  Effect.gen(function*() {
    const { pull } = yield* socket.reader
    const writer = yield* socket.writer
    return yield* Effect.forever(Effect.flatMap(pull, writer.writeAll))
  }).pipe(Effect.scoped)

export const serverCases: ReadonlyArray<ServerCase> = [
  {
    title: "its address is where it listens",
    subject: Effect.fnUntraced(function*(make, wire) {
      const server = yield* make
      if (server.address._tag === "UnixPathAddress") return
      wire.say(NetAddress.formatIp(server.address.address))
      sayPort(server, wire)
      yield* hear(wire, "done")
    }),
    peer: async (dial, wire) => {
      const peer = await dial(await portOf(wire))
      peer.socket.destroy()
      wire.say("done")
    },
    says: ["127.0.0.1", "port"]
  },
  {
    title: "connections have a handler each, at the same time",
    subject: Effect.fnUntraced(function*(make, wire) {
      const server = yield* make
      yield* Effect.forkScoped(server.run(echo))
      sayPort(server, wire)
      yield* hear(wire, "done")
    }),
    peer: async (dial, wire) => {
      const port = await portOf(wire)
      const peers = await Promise.all([dial(port), dial(port), dial(port)])
      for (const [n, peer] of peers.entries()) peer.socket.write(`I am ${n}`)
      await Promise.all(peers.map((peer, n) => peer.untilText(`I am ${n}`)))
      for (const peer of peers) peer.socket.end()
      await Promise.all(peers.map((peer) => peer.untilClosed()))
      wire.say("done")
    },
    says: ["port"]
  },
  {
    title: "connections that come before run wait for it, with what they have sent",
    subject: Effect.fnUntraced(function*(make, wire) {
      const server = yield* make
      sayPort(server, wire)
      yield* hear(wire, "run")
      yield* Effect.forkScoped(server.run(echo))
      yield* hear(wire, "done")
    }),
    peer: async (dial, wire) => {
      const port = await portOf(wire)
      const peers = await Promise.all([dial(port), dial(port)])
      for (const peer of peers) peer.socket.write("early")
      wire.say("run")
      await Promise.all(peers.map((peer) => peer.untilText("early")))
      for (const peer of peers) peer.socket.destroy()
      wire.say("done")
    },
    says: ["port"]
  },
  {
    title: "one that has gone before run is no trouble",
    subject: Effect.fnUntraced(function*(make, wire) {
      const server = yield* make
      sayPort(server, wire)
      yield* hear(wire, "run")
      yield* Effect.forkScoped(server.run(echo))
      yield* hear(wire, "done")
    }),
    peer: async (dial, wire) => {
      const port = await portOf(wire)
      const gone = await dial(port)
      gone.reset()
      await gone.untilClosed()
      wire.say("run")
      const peer = await dial(port)
      peer.socket.write("here")
      await peer.untilText("here")
      peer.socket.destroy()
      wire.say("done")
    },
    says: ["port"]
  },
  {
    title: "a handler that fails, or dies, ends its own connection only",
    subject: Effect.fnUntraced(function*(make, wire) {
      const server = yield* make
      yield* Effect.forkScoped(server.run((socket) =>
        Effect.gen(function*() {
          const { pull } = yield* socket.reader
          const writer = yield* socket.writer
          const [chunk] = yield* pull
          const text = Buffer.from(chunk).toString()
          if (text === "fail") return yield* Effect.fail("as it was told")
          if (text === "die") return yield* Effect.die(new Error("as it was told"))
          yield* writer.write(text)
        }).pipe(Effect.scoped)
      ))
      sayPort(server, wire)
      yield* hear(wire, "done")
    }),
    peer: async (dial, wire) => {
      const port = await portOf(wire)
      const [fails, dies, lives] = await Promise.all([dial(port), dial(port), dial(port)])
      fails.socket.write("fail")
      await fails.untilClosedOrEnded()
      dies.socket.write("die")
      await dies.untilClosedOrEnded()
      lives.socket.write("live")
      await lives.untilEnded()
      strictEqual(lives.text, "live")
      for (const peer of [fails, dies, lives]) peer.socket.destroy()
      wire.say("done")
    },
    says: ["port"]
  },
  {
    title: "an interrupted run interrupts its handlers and ends their connections; later ones wait for the next run",
    subject: Effect.fnUntraced(function*(make, wire) {
      const server = yield* make
      const first = yield* Effect.forkScoped(
        server.run((socket) => Effect.onInterrupt(echo(socket), () => Effect.sync(() => wire.say("interrupted"))))
      )
      sayPort(server, wire)
      yield* hear(wire, "interrupt")
      yield* Fiber.interrupt(first)
      wire.say("stopped")
      yield* hear(wire, "run again")
      yield* Effect.forkScoped(server.run(echo))
      yield* hear(wire, "done")
    }),
    peer: async (dial, wire) => {
      const port = await portOf(wire)
      const first = await dial(port)
      first.socket.write("one")
      await first.untilText("one")
      wire.say("interrupt")
      await first.untilClosedOrEnded()
      first.socket.destroy()
      await wire.hear("stopped")
      const second = await dial(port)
      second.socket.write("two")
      wire.say("run again")
      await second.untilText("two")
      second.socket.destroy()
      wire.say("done")
    },
    says: ["port", "interrupted", "stopped"]
  },
  {
    title: "a handler has the services of run",
    subject: Effect.fnUntraced(function*(make, wire) {
      const server = yield* make
      const done = yield* Deferred.make<string>()
      yield* Effect.forkScoped(
        Effect.withSpan(
          server.run((socket) =>
            Effect.scoped(Effect.gen(function*() {
              yield* socket.reader
              yield* Deferred.succeed(done, (yield* Effect.currentSpan).name)
            }))
          ),
          "run"
        )
      )
      sayPort(server, wire)
      wire.say(yield* Deferred.await(done))
    }),
    peer: async (dial, wire) => {
      const peer = await dial(await portOf(wire))
      await wire.hear("run")
      peer.socket.destroy()
    },
    says: ["port", "run"]
  },
  {
    title: "the end of its scope stops it, and ends what waits",
    subject: Effect.fnUntraced(function*(make, wire) {
      const scope = yield* Scope.make()
      sayPort(yield* Scope.provide(make, scope), wire)
      yield* hear(wire, "close")
      yield* Scope.close(scope, Exit.void)
      wire.say("closed")
    }),
    peer: async (dial, wire) => {
      const port = await portOf(wire)
      const peer = await dial(port)
      wire.say("close")
      await wire.hear("closed")
      await peer.untilClosedOrEnded()
      await rejects(dial(port), /ECONNREFUSED/)
    },
    says: ["port", "closed"]
  }
]

/** Ports differ. */
export const assertSaid = (said: ReadonlyArray<string>, says: ReadonlyArray<string>): void =>
  deepStrictEqual(said.map((word) => word.replace(/^port \d+$/, "port")), says)
