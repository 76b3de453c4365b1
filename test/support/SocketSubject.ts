/** What has the sockets and servers that are tested: told by title which case to play, it plays the subject. */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import type * as SocketServer from "effect/socket/SocketServer"
import { socketCases } from "./socketCases.ts"
import { serverCases } from "./socketServerCases.ts"
import * as Wire from "./Wire.ts"

/** The makers of a kind of sockets. */
export interface Makers {
  /** Listens on a free port of 127.0.0.1. */
  readonly server: Effect.Effect<SocketServer.SocketServer["Service"], SocketServer.SocketServerError, Scope.Scope>
  readonly connect: (port: number) => Effect.Effect<Socket.Socket>
}

export interface Order {
  readonly title: string
  /** What to be: the accepting end, the connecting end of a connection to a port, or a whole server. */
  readonly as: "server" | { readonly port: number } | "servers"
  /** The wire's name. */
  readonly wire: string
}

const play = Effect.fnUntraced(
  function*(makers: Makers, { as, title, wire: name }: Order) {
    const wire = yield* Wire.open(name)
    if (as === "servers") {
      const { subject } = serverCases.find((each) => each.title === title)!
      yield* subject(makers.server, wire).pipe(
        Effect.catchCause((cause) => Effect.sync(() => wire.say(`failed: ${Cause.pretty(cause)}`)))
      )
      wire.say("over")
      return
    }
    const { subject } = socketCases.find((each) => each.title === title)!
    const run = (socket: Socket.Socket) =>
      Effect.scoped(subject(socket, wire)).pipe(
        Effect.catchCause((cause) => Effect.sync(() => wire.say(`failed: ${Cause.pretty(cause)}`))),
        Effect.ensuring(Effect.sync(() => wire.say("over")))
      )
    if (as !== "server") return yield* Effect.flatMap(makers.connect(as.port), run)
    const server = yield* makers.server
    if (server.address._tag === "UnixPathAddress") return yield* Effect.die("no port")
    const over = yield* Deferred.make<void>()
    yield* Effect.forkScoped(server.run((socket) => Effect.ensuring(run(socket), Deferred.succeed(over, undefined))))
    wire.say(`port ${server.address.port}`)
    yield* Deferred.await(over)
  },
  Effect.scoped,
  Effect.provideService(References.MinimumLogLevel, "None")
)

/** Plays what it is told on the channel, until its scope closes. */
export const make = Effect.fnUntraced(function*(channel: string, makers: Makers) {
  const run = yield* Effect.map(Effect.context<never>(), Effect.runForkWith)
  const orders = yield* Wire.open(channel)
  orders.listen((order) => void run(play(makers, JSON.parse(order) as Order)))
})
