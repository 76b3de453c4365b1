/**
 * A port of its own for what is asked of a host by HTTP by whoever can reach it: health, metrics, the page.
 *
 * It is open from before the first worker starts until the last session has ended. Nobody keeps others out: the oldest of
 * too many connections gives way, and a peer that is slow, or sends too much, is cut off in bounded time.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { HostPort } from "../../domain/net/Address.ts"
import * as SystemError from "../../domain/net/SystemError.ts"
import * as Thrown from "../../domain/report/Thrown.ts"
import { BoundedServer, layerTraces } from "./BoundedServer.ts"

/** What bounds a connection. */
export interface Bounds {
  /** The most bytes that the head of a request may have. */
  readonly headBytes: number
  /** Milliseconds without a byte in either direction. */
  readonly idleTimeout: number
  /** How many requests a connection may bring; 0 for any number. */
  readonly requests: number
}

/** For short answers, one on each connection. */
const short: Bounds = { headBytes: 4 * 1024, idleTimeout: 2000, requests: 1 }

/** Milliseconds for answers under way when the port closes. */
const GRACE = 100

/** The port could not be opened. */
export class OwnPortError extends Schema.TaggedError<OwnPortError>()("OwnPortError", {
  /** What is answered there. */
  what: Schema.String,
  host: Schema.String,
  port: Schema.Int,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.what} port ${this.host}:${this.port}: ${this.detail}`
  }
}

const detailOf = (cause: unknown): string => {
  switch (SystemError.kindOf(cause)) {
    case "AddressInUse":
      return "another program listens there; choose another port"
    case "AddressNotAvailable":
      return "this machine has no such address; use one that it has, or 0.0.0.0 for all of them"
    case "PermissionDenied":
      return "permission denied; choose a port above 1023"
    default:
      return Thrown.sentenceOf(cause)
  }
}

/** What is answered. */
export interface OwnPortContent {
  /** Its name, for complaints. */
  readonly what: string
  /** Tells that it is answered, at this URL. */
  readonly listening: (url: string) => Effect.Effect<void>
  readonly bounds?: Bounds
}

/** A line in the log that has the paths. */
export const logged = (what: string, paths: ReadonlyArray<string>) => (url: string): Effect.Effect<void> =>
  Effect.logInfo(`${what} at ${url} (${paths.join(", ")})`)

/** The server of the port; the newest connections are answered first. */
const server = ({ host, port }: HostPort, { bounds = short, listening, what }: OwnPortContent) =>
  Layer.effect(
    HttpServer.HttpServer,
    Effect.gen(function*() {
      const node = yield* Effect.acquireRelease(
        Effect.sync(() => new BoundedServer(bounds)),
        (node) => Effect.sync(() => node.close())
      )
      node.maxRequestsPerSocket = bounds.requests
      node.preferNewest()
      const http = yield* NodeHttpServer.make(() => node, { host, port, gracefulShutdownTimeout: GRACE }).pipe(
        Effect.mapError(({ cause }) => new OwnPortError({ what, host, port, detail: detailOf(cause) }))
      )
      yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
      yield* listening(HttpServer.formatAddress(http.address))
      return http
    })
  )

/** Answers by these routes until the scope closes; port 0 asks the system for a free one. */
export const layer = <R>(
  at: HostPort,
  content: OwnPortContent,
  routes: Layer.Layer<never, never, HttpRouter.HttpRouter | R>
) =>
  HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provide(server(at, content)),
    Layer.provide(layerTraces),
    Layer.provide(NodeHttpServer.layerHttpServices)
  )
