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
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type { HostPort } from "../../domain/net/Address.ts"
import { SessionLayer } from "../../services/SessionLayer.ts"
import * as OwnPort from "./OwnPort.ts"

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

/** Answers on a port of its own until the scope closes; port 0 asks the system for a free one. */
export const layer = (at: HostPort): Layer.Layer<never, OwnPort.OwnPortError, SessionLayer> =>
  OwnPort.layer(at, { what: "health", listening: OwnPort.logged("health", ["/live", "/ready"]) }, routes)
