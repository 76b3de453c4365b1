/**
 * An HTTP server whose peers can't hold it up: the bounds that the control socket and the health port share.
 *
 * A peer that is slow, or sends nonsense or too much, is cut off in bounded time, and has a bounded number of
 * connections.
 */
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import * as Layer from "effect/Layer"
import * as Http from "node:http"

/** Milliseconds for the head of a request, for the whole of it, and how often Node looks for requests that are late. */
const HEADERS_TIMEOUT = 1000
const REQUEST_TIMEOUT = 2000
const CHECK_INTERVAL = 250
const CONNECTIONS = 64

export class BoundedServer extends Http.Server {
  /** `idleTimeout` is in milliseconds without a byte in either direction, `headBytes` the most that a head may have. */
  constructor({ headBytes, idleTimeout }: { readonly headBytes: number; readonly idleTimeout: number }) {
    super({
      headersTimeout: HEADERS_TIMEOUT,
      requestTimeout: REQUEST_TIMEOUT,
      keepAliveTimeout: REQUEST_TIMEOUT,
      connectionsCheckingInterval: CHECK_INTERVAL,
      maxHeaderSize: headBytes
    })
    this.timeout = idleTimeout
    this.maxConnections = CONNECTIONS
  }

  /**
   * Lets a new connection take the place of the oldest when there are too many, instead of being turned away: whoever
   * opens many and says nothing keeps nobody else out. For servers that anybody may reach.
   */
  preferNewest(): void {
    this.maxConnections = Infinity
    const connections = new Set<{ readonly destroy: () => void }>()
    this.on("connection", (socket) => {
      connections.add(socket)
      socket.once("close", () => connections.delete(socket))
      if (connections.size <= CONNECTIONS) return
      for (const oldest of connections) return oldest.destroy()
    })
  }
}

/** Whoever only looks, every second or for hours, leaves no trace: what somebody does is worth a span, and no more. */
export const layerTraces: Layer.Layer<never> = Layer.succeed(
  HttpMiddleware.TracerDisabledWhen,
  ({ method }) => method === "GET" || method === "HEAD"
)
