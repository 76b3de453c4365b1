/**
 * What a supervisor of the host asks it, by HTTP: whether it lives, and whether it is ready.
 *
 * | request | status | |
 * |---|---|---|
 * | `GET /live` | 200 | the host's loop answers; one that does not is to be started again |
 * | `GET /ready` | 200 or 503 | whether connections should be sent here ({@link Readiness}) |
 *
 * The body is JSON and has the reason as a sentence. `HEAD` gets the same without a body. The control socket answers
 * these, and so does a port of its own, where a host is given one: it answers from before the first worker starts until
 * the last session has ended.
 *
 * The port is for whoever can reach it. It tells nothing but names of applications and how many workers run, an answer
 * costs the host some microseconds, and each connection gets one.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { HostPort } from "../../domain/net/Address.ts"
import * as SystemError from "../../domain/net/SystemError.ts"
import * as Thrown from "../../domain/report/Thrown.ts"
import { SessionLayer } from "../../services/SessionLayer.ts"
import { BoundedServer } from "./BoundedServer.ts"

const HEAD_BYTES = 4 * 1024
/** Milliseconds without a byte in either direction. */
const IDLE_TIMEOUT = 2000
/** Milliseconds for answers under way when the port closes. */
const GRACE = 100

const OK = 200
const UNAVAILABLE = 503

const answer = (body: object, status: number): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.jsonUnsafe(body, { status, headers: { "cache-control": "no-store" } })

/** The routes, for any server. */
export const routes = Layer.effectDiscard(Effect.gen(function*() {
  const router = yield* HttpRouter.HttpRouter
  const { readiness } = yield* SessionLayer
  yield* router.add("GET", "/live", Effect.succeed(answer({ live: true, reason: "the host's loop answers" }, OK)))
  yield* router.add(
    "GET",
    "/ready",
    Effect.map(readiness, (readiness) => answer(readiness, readiness.ready ? OK : UNAVAILABLE))
  )
}))

/** The health port could not be opened. */
export class HealthError extends Schema.TaggedError<HealthError>()("HealthError", {
  host: Schema.String,
  port: Schema.Int,
  detail: Schema.String
}) {
  override get message(): string {
    return `health port ${this.host}:${this.port}: ${this.detail}`
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

/** The server of the port; one answer for each connection, and the newest ones are answered first. */
const server = ({ host, port }: HostPort) =>
  Layer.effect(
    HttpServer.HttpServer,
    Effect.gen(function*() {
      const node = yield* Effect.acquireRelease(
        Effect.sync(() => new BoundedServer({ headBytes: HEAD_BYTES, idleTimeout: IDLE_TIMEOUT })),
        (node) => Effect.sync(() => node.close())
      )
      node.maxRequestsPerSocket = 1
      node.preferNewest()
      const http = yield* NodeHttpServer.make(() => node, { host, port, gracefulShutdownTimeout: GRACE }).pipe(
        Effect.mapError(({ cause }) => new HealthError({ host, port, detail: detailOf(cause) }))
      )
      yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
      yield* Effect.logInfo(`health at ${HttpServer.formatAddress(http.address)} (/live, /ready)`)
      return http
    })
  )

/** Answers on a port of its own until the scope closes; port 0 asks the system for a free one. */
export const layer = (at: HostPort): Layer.Layer<never, HealthError, SessionLayer> =>
  HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provide(server(at)),
    Layer.provide(NodeHttpServer.layerHttpServices)
  )
