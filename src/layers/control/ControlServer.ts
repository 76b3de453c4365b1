/**
 * The control API of a host, served over a Unix socket that only the user who runs the host can open.
 *
 * **Details**
 *
 * - The socket's file has mode 0600 before it is at its path, and is taken and left as `UnixSocketFile` says: when two
 *   hosts start at once, one of them serves, and a host that stops leaves the socket of its successor alone.
 * - A socket that a host left behind when it died is replaced. A socket that answers, and a file that is not a socket,
 *   stay as they are.
 * - A peer that is slow, or sends nonsense or too much, is cut off in bounded time. The number of connections is
 *   bounded.
 * - No answer is large, so a slow peer holds little memory (`ControlGroups`).
 * - A reader of events that takes nothing is cut off like any other, and can go on where it was (`EventsGroup`).
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { ControlApi, ControlError } from "../../services/ControlApi.ts"
import type { SessionLayer } from "../../services/SessionLayer.ts"
import type { SessionRules } from "../../services/SessionRules.ts"
import { Takeover } from "../../services/Takeover.ts"
import * as UnixSocketFile from "../system/UnixSocketFile.ts"
import { BoundedServer, layerTraces } from "./BoundedServer.ts"
import * as ControlGroups from "./ControlGroups.ts"
import * as ControlPath from "./ControlPath.ts"
import * as Health from "./Health.ts"
import * as Scrape from "./Scrape.ts"

/** Milliseconds without a byte in either direction. */
const IDLE_TIMEOUT = 10_000
const HEADER_BYTES = 16 * 1024
/** A command may come with the whole environment that it is to run in. */
const BODY_KIB = 256
/** Milliseconds for answers under way when the server closes. */
const GRACE = 500
/** Nobody but the owner may read or write. */
const MODE = 0o600

/** A server that listens before `NodeHttpServer` asks it to, and leaves its path when it is asked to close. */
class ControlHttpServer extends BoundedServer {
  /** Listens already, at a path that is to be left before the server ends. */
  taken: Pick<UnixSocketFile.TakenPath, "leave"> | undefined

  override listen(...args: Array<any>): this {
    if (this.taken === undefined) return super.listen(...args)
    queueMicrotask(args.at(-1))
    return this
  }

  override close(done?: (error?: Error) => void): this {
    this.taken?.leave()
    return super.close(done)
  }
}

const pathError = (path: string) => ({ reason }: UnixSocketFile.UnixPathError): ControlError => {
  switch (reason._tag) {
    case "InUse":
      return new ControlError({ path, reason: "InUse", detail: "it answers" })
    case "NotASocket":
      return new ControlError({ path, reason: "NotASocket", detail: "it is something else" })
    case "System":
      return ControlPath.fromSystem(path, reason.cause)
  }
}

/** Has the server listen at the path; or out of sight, while the host before has the path (X4). */
const take = Effect.fnUntraced(function*(node: ControlHttpServer, path: string) {
  const takeover = yield* Effect.serviceOption(Takeover)
  const handOver = Option.isSome(takeover) ? takeover.value.control(path) : undefined
  if (handOver === undefined) {
    const taken = yield* Effect.mapError(UnixSocketFile.take(node, path, { mode: MODE }), pathError(path))
    node.taken = taken
    if (taken.replaced) yield* Effect.logInfo(`replaced the socket ${path} of a host that is gone`)
    return
  }
  const waiting = yield* Effect.mapError(UnixSocketFile.wait(node, path, { mode: MODE }), pathError(path))
  node.taken = waiting
  handOver.waits(waiting)
})

const server = (path: string, idleTimeout: number) =>
  Layer.effect(
    HttpServer.HttpServer,
    Effect.gen(function*() {
      yield* ControlPath.check(path, { create: true })
      const node = yield* Effect.acquireRelease(
        Effect.sync(() => new ControlHttpServer({ headBytes: HEADER_BYTES, idleTimeout })),
        // it may have begun to listen, and have failed then
        (node) => Effect.sync(() => node.close())
      )
      yield* Effect.uninterruptible(take(node, path))
      const http = yield* NodeHttpServer.make(() => node, { gracefulShutdownTimeout: GRACE }).pipe(
        Effect.mapError((error) => ControlPath.fromSystem(path, error.cause))
      )
      // once closed, Node no longer looks for late requests, and a connection that is left would keep it from closing
      yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
      return http
    })
  )

const api = HttpApiBuilder.layer(ControlApi).pipe(Layer.provide(ControlGroups.groups("control socket")))

/**
 * Serves the control API on the socket at `path` until the scope closes; the socket's file is removed then.
 *
 * **Details** `idleTimeout` is the time in milliseconds without a byte in either direction after which a connection is
 * cut off, 10 seconds by default. It does not count while an operation that waits for sessions or workers is under way.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  path: string,
  { idleTimeout = IDLE_TIMEOUT }: { readonly idleTimeout?: number } = {}
): Layer.Layer<never, ControlError, SessionLayer | SessionRules> =>
  HttpRouter.serve(Layer.mergeAll(api, Health.routes, Scrape.routes), {
    disableLogger: true,
    disableListenLog: true
  }).pipe(
    Layer.provide(server(path, idleTimeout)),
    Layer.provide(layerTraces),
    Layer.provide(Layer.succeed(HttpIncomingMessage.MaxBodySize, ByteSize.kibibytes(BODY_KIB))),
    Layer.provide(NodeHttpServer.layerHttpServices)
  )
