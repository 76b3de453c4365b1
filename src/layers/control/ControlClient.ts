/** Asks a host over its control socket. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import type * as Schema from "effect/Schema"
import * as SystemError from "../../domain/net/SystemError.ts"
import type * as Report from "../../domain/report/Report.ts"
import { ControlApi, ControlError } from "../../services/ControlApi.ts"
import * as ControlPath from "./ControlPath.ts"

/** Seconds within which a host answers. */
const TIMEOUT = 10

const fromResponse = (path: string, error: HttpClientError.HttpClientError | Schema.SchemaError): ControlError => {
  const fail = (reason: ControlError["reason"], detail: string) => new ControlError({ path, reason, detail })
  if (error._tag === "SchemaError") return fail("NotAHost", "its answer has another form")
  const { reason } = error
  if (reason._tag !== "TransportError") return fail("NotAHost", "its answer was not what it was asked for")
  switch (SystemError.kindOf(reason.cause)) {
    case "NotFound":
    case "ConnectionRefused":
      return fail("NoHost", "nobody listens")
    case "Reset":
    case "PeerClosed":
      return fail("NotAHost", "it closed the connection without an answer")
    case "PermissionDenied":
      return fail("PermissionDenied", "it belongs to another user")
    default:
      // the codes of Node's parser, for an answer that is not HTTP
      if (SystemError.codeOf(reason.cause).startsWith("HPE_")) return fail("NotAHost", "its answer was not HTTP")
      return ControlPath.fromSystem(path, reason.cause)
  }
}

/** The requests that a host answers. */
export type ControlApiClient = HttpApiClient.ForApi<typeof ControlApi>

type Broken = HttpClientError.HttpClientError | Schema.SchemaError

const isBroken = (error: { readonly _tag: string }): error is Broken =>
  error._tag === "HttpClientError" || error._tag === "SchemaError"

/**
 * Asks the host on the socket at `path`. A refusal by the host keeps its own error.
 *
 * An answer comes within 10 seconds, or the error is `TimedOut`. With `patient` there is no such bound: it is for
 * operations that wait until sessions have ended, whose time the host bounds.
 */
export const ask = Effect.fnUntraced(
  function*<A, E extends { readonly _tag: string }>(
    path: string,
    request: (client: ControlApiClient) => Effect.Effect<A, E | Broken>,
    { patient = false }: { readonly patient?: boolean } = {}
  ): Effect.fn.Return<A, Exclude<E, Broken> | ControlError> {
    yield* ControlPath.check(path, { create: false })
    yield* ControlPath.checkSocket(path)
    const timedOut = new ControlError({ path, reason: "TimedOut", detail: `${TIMEOUT} s` })
    // a request names a machine, which means nothing on a Unix socket
    const answer = HttpApiClient.make(ControlApi, { baseUrl: "http://localhost" }).pipe(
      Effect.flatMap(request),
      Effect.mapError((error) => isBroken(error) ? fromResponse(path, error) : error as Exclude<E, Broken>)
    )
    return yield* (patient
      ? answer
      : Effect.timeoutOrElse(answer, { duration: `${TIMEOUT} seconds`, orElse: () => Effect.fail(timedOut) })).pipe(
        Effect.provide(NodeHttpClient.layerNodeHttpOptions({ socketPath: path }))
      )
  }
)

/** Asks for page after page, as far as there are any: each says where the next one begins. */
export const askPages = Effect.fnUntraced(
  function*<A extends { readonly next?: string }, E extends { readonly _tag: string }>(
    path: string,
    request: (client: ControlApiClient, after: string | undefined) => Effect.Effect<A, E | Broken>
  ): Effect.fn.Return<ReadonlyArray<A>, Exclude<E, Broken> | ControlError> {
    const pages: Array<A> = []
    let after: string | undefined
    do {
      const page: A = yield* ask(path, (client) => request(client, after))
      pages.push(page)
      after = page.next
    } while (after !== undefined)
    return pages
  }
)

/** What the host on the socket at `path` says of itself. */
export const report = (path: string): Effect.Effect<Report.HostReport, ControlError> =>
  ask(path, (client) => client.host.report())
