/**
 * The control API of a host, served over a Unix socket that only the user who runs the host can open.
 *
 * **Details**
 *
 * - The socket's file has mode 0600 from its first moment: it is made under a umask, for `listen` makes it before it
 *   returns. There is no time in which somebody else could connect.
 * - A socket that is left over from a host that is gone is replaced. One that answers is a host's own, and a file that
 *   is no socket is somebody's: both stay as they are.
 * - A peer that is slow, sends nonsense or too much is cut off in bounded time. The number of connections is bounded.
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Fs from "node:fs/promises"
import * as Http from "node:http"
import * as Net from "node:net"
import { ControlApi, ControlError } from "../services/ControlApi.ts"
import { SessionLayer } from "../services/SessionLayer.ts"
import * as ControlPath from "./ControlPath.ts"

/** Milliseconds for the head of a request, for the whole of it, and without a byte in either direction. */
const HEADERS_TIMEOUT = 1000
const REQUEST_TIMEOUT = 2000
const IDLE_TIMEOUT = 10_000
/** How often Node looks for requests that are late. */
const CHECK_INTERVAL = 250
const HEADER_BYTES = 16 * 1024
const CONNECTIONS = 64
/** Milliseconds for answers under way when the server closes. */
const GRACE = 500
/** Milliseconds for whoever is on the socket to accept a connection. */
const PROBE_TIMEOUT = 1000

/** Nobody but the owner may read or write. */
const UMASK = 0o177

/** The file of the socket is made inside `listen`, with the umask that holds there. */
class PrivateServer extends Http.Server {
  constructor() {
    super({
      headersTimeout: HEADERS_TIMEOUT,
      requestTimeout: REQUEST_TIMEOUT,
      keepAliveTimeout: REQUEST_TIMEOUT,
      connectionsCheckingInterval: CHECK_INTERVAL,
      maxHeaderSize: HEADER_BYTES
    })
    this.timeout = IDLE_TIMEOUT
    this.maxConnections = CONNECTIONS
  }
  override listen(...args: Array<any>): this {
    const before = process.umask(UMASK)
    try {
      return super.listen(...args)
    } finally {
      process.umask(before)
    }
  }
}

/** What is at the path: nothing, a socket that nobody listens on, or one that somebody does, which is an error. */
const probe = (path: string): Effect.Effect<"free" | "stale", ControlError> =>
  Effect.callback<"free" | "stale", ControlError>((resume) => {
    const socket = Net.connect({ path })
    const settle = (result: Effect.Effect<"free" | "stale", ControlError>) => {
      socket.destroy()
      resume(result)
    }
    const inUse = () => settle(Effect.fail(new ControlError({ path, reason: "InUse", detail: "it answers" })))
    socket.setTimeout(PROBE_TIMEOUT, inUse)
    socket.once("connect", inUse)
    socket.on("error", (cause) => {
      switch (ControlPath.codeOf(cause)) {
        case "ENOENT":
          return settle(Effect.succeed("free"))
        case "ECONNREFUSED":
          return settle(Effect.succeed("stale"))
        // somebody listens, and is behind with accepting
        case "EAGAIN":
          return inUse()
        default:
          return settle(Effect.fail(ControlPath.fromSystem(path, cause)))
      }
    })
    return Effect.sync(() => socket.destroy())
  })

/** Makes sure that there is nothing at the path. */
const clear = Effect.fnUntraced(function*(path: string) {
  const stats = yield* ControlPath.lookAt(path, path)
  if (stats === undefined) return
  if (!stats.isSocket()) return yield* new ControlError({ path, reason: "NotASocket", detail: "it is a file" })
  if ((yield* probe(path)) === "free") return
  yield* Effect.logInfo(`replacing the socket ${path} of a host that is gone`)
  yield* Effect.tryPromise({
    try: () => Fs.rm(path, { force: true }),
    catch: (cause) => ControlPath.fromSystem(path, cause)
  })
})

const server = (path: string) =>
  Layer.effect(
    HttpServer.HttpServer,
    Effect.gen(function*() {
      yield* ControlPath.check(path, { create: true })
      yield* clear(path)
      const node = new PrivateServer()
      const http = yield* NodeHttpServer.make(() => node, { path, gracefulShutdownTimeout: GRACE }).pipe(
        Effect.mapError((error) => ControlPath.fromSystem(path, error.cause))
      )
      // Once closed, Node no longer looks for those who are late: whoever is left would keep it from closing.
      yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
      return http
    })
  )

const hostGroup = HttpApiBuilder.group(
  ControlApi,
  "host",
  Effect.fnUntraced(function*(handlers) {
    const sessions = yield* SessionLayer
    return handlers.handle("report", () => sessions.report)
  })
)

/**
 * Serves the control API on the socket at `path` until the scope closes; the socket's file is removed then.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (path: string): Layer.Layer<never, ControlError, SessionLayer> =>
  HttpRouter.serve(HttpApiBuilder.layer(ControlApi).pipe(Layer.provide(hostGroup)), {
    disableLogger: true,
    disableListenLog: true
  }).pipe(
    Layer.provide(server(path)),
    Layer.provide(NodeHttpServer.layerHttpServices)
  )
