/**
 * The page: what a host is and does, live in a browser, on a port of its own.
 *
 * | request | what |
 * |---|---|
 * | `GET /` | the page (`Page`), which is one file |
 * | `GET /docs`, `/openapi.json` | the manual of the control API (`Manual`) |
 * | `GET /v1/overview` | what one look shows: once as JSON, or once a second as server-sent events (`Viewers`) |
 * | `GET /v1/events` | what happens, as on the control socket |
 * | others of the control API | the same, with the token; except what is asked of the whole host, such as that another program is started in its place |
 *
 * Every request goes through the `Gate`, and every answer tells the browser to trust nothing but this port.
 *
 * **Details** The port is open from before the first worker starts until the last session has ended. Its connections,
 * heads and bodies are bounded, a peer that is slow is cut off, and the oldest of too many connections gives way.
 */
import * as ByteSize from "effect/ByteSize"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Headers from "effect/http/Headers"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpRouter from "effect/http/HttpRouter"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { HostPort } from "../../domain/net/Address.ts"
import { ControlApiOfParts } from "../../services/ControlApi.ts"
import type { SessionLayer } from "../../services/SessionLayer.ts"
import type { SessionRules } from "../../services/SessionRules.ts"
import * as ControlGroups from "../control/ControlGroups.ts"
import * as OwnPort from "../control/OwnPort.ts"
import { Gate } from "./Gate.ts"
import * as Manual from "./Manual.ts"
import * as Page from "./Page.ts"
import { worded } from "./Sentences.ts"
import * as Token from "./Token.ts"
import { Viewers } from "./Viewers.ts"

/** What the port is told. */
export interface DashboardOptions {
  readonly at: HostPort
  /** What `Host` may call it besides `localhost` and its address: a name that leads to it, such as that of a proxy. */
  readonly names: ReadonlyArray<string>
  /** One is made, and printed, where none is given. */
  readonly token: Redacted.Redacted | undefined
  /** Milliseconds in which a viewer that takes nothing is cut off; 10 seconds by default. */
  readonly idleTimeout?: number
}

const BODY_KIB = 16

const bounds = {
  headBytes: 16 * 1024,
  idleTimeout: 10_000,
  /** A page's next requests may come over the same connection. */
  requests: 0
}

/** What every answer says. The policy is that of an answer that is no page. */
const HEADERS = {
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store"
}

/** An answer with the headers that every answer has, unless it has them already. */
const guarded = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.setHeaders(response, Headers.fromInput({ ...HEADERS, ...response.headers }))

const sentence = (text: string, status: number, headers: Readonly<Record<string, string>> = {}) =>
  guarded(HttpServerResponse.jsonUnsafe({ message: text }, { status, headers }))

/** Asks the gate before anything else is done about a request. */
const gate = (gate: Gate) =>
  HttpRouter.middleware(
    (answer) =>
      Effect.gen(function*() {
        const { headers, method, url } = yield* HttpServerRequest
        const refused = gate.refusal({ method, target: url, headers })
        if (refused === undefined) return guarded(worded(yield* answer))
        const { status } = refused
        return sentence(refused.sentence, status, status === 401 ? { "www-authenticate": "Bearer" } : {})
      }),
    { global: true }
  )

const html = ({ html, policy }: Page.PageText) =>
  HttpServerResponse.text(html, {
    contentType: "text/html; charset=utf-8",
    headers: { "content-security-policy": policy }
  })

const STREAM = "text/event-stream"

const routes = Layer.effectDiscard(Effect.gen(function*() {
  const router = yield* HttpRouter.HttpRouter
  const viewers = yield* Viewers.make
  const page = html(yield* Page.text)
  const manual = html(Page.assemble(Manual.markup(), yield* Page.style, ""))
  const spec = HttpServerResponse.jsonUnsafe(Manual.spec)
  yield* router.add("GET", "/", Effect.succeed(page))
  yield* router.add("GET", "/docs", Effect.succeed(manual))
  yield* router.add("GET", "/openapi.json", Effect.succeed(spec))
  yield* router.add(
    "GET",
    "/v1/overview",
    Effect.flatMap(HttpServerRequest, (request) =>
      request.headers["accept"]?.includes(STREAM) === true
        ? Effect.sync(() => viewers.live(request))
        : viewers.once)
  )
  const nothing = Effect.sync(() => sentence("there is nothing here", 404))
  // not for all methods in one: `HEAD` is answered as `GET` only where nothing else would answer it
  for (const method of ["GET", "POST", "DELETE", "PUT", "PATCH"] as const) yield* router.add(method, "/*", nothing)
}))

/** Tells where the page is. A token that was made here is in the part of the URL that a browser sends to nobody. */
const listening = (token: Redacted.Redacted, isMade: boolean) => (url: string): Effect.Effect<void> =>
  Console.log(`sluice: dashboard at ${url}/${isMade ? `#token=${Redacted.value(token)}` : ""}`)

/** Answers on a port of its own until the scope closes; port 0 asks the system for a free one. */
export const layer = (
  { at, idleTimeout = bounds.idleTimeout, names, token: given }: DashboardOptions
): Layer.Layer<never, OwnPort.OwnPortError, SessionLayer | SessionRules> =>
  Layer.unwrap(Effect.sync(() => {
    const token = given ?? Token.random()
    const answers = Layer.mergeAll(
      gate(new Gate(at.host, names, new Token.Token(token))),
      routes,
      HttpApiBuilder.layer(ControlApiOfParts).pipe(Layer.provide(ControlGroups.groups("dashboard")))
    )
    const content = {
      what: "dashboard",
      listening: listening(token, given === undefined),
      bounds: { ...bounds, idleTimeout }
    }
    return OwnPort.layer(at, content, answers).pipe(
      Layer.provide(Layer.succeed(HttpIncomingMessage.MaxBodySize, ByteSize.kibibytes(BODY_KIB)))
    )
  }))
