/**
 * Asks a host over its control socket.
 *
 * @since 0.1.0
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import type * as Schema from "effect/Schema"
import type * as Report from "../domain/Report.ts"
import { ControlApi, ControlError } from "../services/ControlApi.ts"
import * as ControlPath from "./ControlPath.ts"

/** Seconds within which a host answers. */
const TIMEOUT = 10

const fromResponse = (path: string, error: HttpClientError.HttpClientError | Schema.SchemaError): ControlError => {
  const fail = (reason: ControlError["reason"], detail: string) => new ControlError({ path, reason, detail })
  if (error._tag === "SchemaError") return fail("NotAHost", "its report has another form")
  const { reason } = error
  if (reason._tag !== "TransportError") return fail("NotAHost", "its answer was not a report")
  switch (ControlPath.codeOf(reason.cause)) {
    case "ENOENT":
    case "ENOTDIR":
    case "ECONNREFUSED":
      return fail("NoHost", "nobody listens")
    case "ECONNRESET":
    case "EPIPE":
      return fail("NotAHost", "it closed the connection without an answer")
    case "EACCES":
    case "EPERM":
      return fail("PermissionDenied", "it belongs to another user")
    default:
      // what Node's parser says of an answer that is no HTTP
      if (ControlPath.codeOf(reason.cause).startsWith("HPE_")) return fail("NotAHost", "its answer was not HTTP")
      return ControlPath.fromSystem(path, reason.cause)
  }
}

/**
 * What the host on the socket at `path` says of itself.
 *
 * @category getters
 * @since 0.1.0
 */
export const report = Effect.fnUntraced(
  function*(path: string): Effect.fn.Return<Report.Host, ControlError> {
    yield* ControlPath.check(path, { create: false })
    // the name of the machine is of no use on a socket, but a request has one
    const ask = HttpApiClient.make(ControlApi, { baseUrl: "http://localhost" }).pipe(
      Effect.flatMap((client) => client.host.report()),
      Effect.mapError((error) => fromResponse(path, error)),
      Effect.timeoutOrElse({
        duration: `${TIMEOUT} seconds`,
        orElse: () => Effect.fail(new ControlError({ path, reason: "TimedOut", detail: `${TIMEOUT} s` }))
      })
    )
    return yield* Effect.provide(ask, NodeHttpClient.layerNodeHttpOptions({ socketPath: path }))
  }
)
