/**
 * What a Prometheus asks a host by HTTP: `GET /metrics`, answered on the control socket and, where a host is given one, on
 * a port of its own.
 *
 * Each answer is made from one report, in a turn of the loop that it shares with all others who look at the host, so
 * however often it is asked for, it takes no more than its part of the loop. No worker is asked anything.
 *
 * The port is for whoever can reach it: it tells names of applications, endpoints and counts, and nothing of peers.
 */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type { HostPort } from "../../domain/net/Address.ts"
import * as MetricsText from "../../domain/report/MetricsText.ts"
import { SessionLayer } from "../../services/SessionLayer.ts"
import { turns } from "../system/Turns.ts"
import * as OwnPort from "./OwnPort.ts"

/** The route, for any server. */
export const routes = Layer.effectDiscard(Effect.gen(function*() {
  const router = yield* HttpRouter.HttpRouter
  const { report } = yield* SessionLayer
  yield* router.add(
    "GET",
    "/metrics",
    Effect.map(Effect.andThen(turns.next, report), (report) =>
      HttpServerResponse.text(MetricsText.format(report), {
        contentType: MetricsText.CONTENT_TYPE,
        headers: { "cache-control": "no-store" }
      }))
  )
}))

/** Answers on a port of its own until the scope closes; port 0 asks the system for a free one. */
export const layer = (at: HostPort): Layer.Layer<never, OwnPort.OwnPortError, SessionLayer> =>
  OwnPort.layer(at, { what: "metrics", listening: OwnPort.logged("metrics", ["/metrics"]) }, routes)
