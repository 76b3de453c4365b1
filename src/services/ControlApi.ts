/**
 * The control API: what a host answers on its control socket, as data that its server and its clients share.
 *
 * It is HTTP over a Unix socket that only the user who runs the host can open, so there are no passwords in it. What a
 * host says is described in `Report.ts`; further groups are added here, one for each thing that can be asked for.
 *
 * @since 0.1.0
 */
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import * as Report from "../domain/Report.ts"

/**
 * What the host says of itself.
 *
 * @category groups
 * @since 0.1.0
 */
export class HostGroup extends HttpApiGroup.make("host")
  .add(HttpApiEndpoint.get("report", "/host", { success: Report.Host }))
  .prefix("/v1")
{}

/**
 * @category api
 * @since 0.1.0
 */
export class ControlApi extends HttpApi.make("sluice")
  .add(HostGroup)
  .annotateMerge(OpenApi.annotations({ title: "Sluice control API", version: "1" }))
{}

/**
 * The control socket could not be served, or nobody answered on it as a host would.
 *
 * **Details**
 *
 * - `InUse`: somebody answers there already; the socket is theirs.
 * - `NotASocket`, `InvalidPath`, `NoDirectory`, `PermissionDenied`: the path can't be used.
 * - `ForeignDirectory`: the directory of the default path belongs to another user, who could stand in for the host.
 * - `NoHost`: nobody answers there.
 * - `NotAHost`: what answers is not a host of this version.
 * - `TimedOut`: there was no answer in time.
 * - `Failed`: anything else, `detail` has the system's words.
 *
 * @category errors
 * @since 0.1.0
 */
export class ControlError extends Schema.TaggedError<ControlError>()("ControlError", {
  path: Schema.String,
  reason: Schema.Literals([
    "InUse",
    "NotASocket",
    "InvalidPath",
    "NoDirectory",
    "PermissionDenied",
    "ForeignDirectory",
    "NoHost",
    "NotAHost",
    "TimedOut",
    "Failed"
  ]),
  detail: Schema.String
}) {
  override get message(): string {
    const { detail, path } = this
    switch (this.reason) {
      case "InUse":
        return `a host already answers on ${path}; give another path with --control`
      case "NotASocket":
        return `${path} exists and is no socket; give another path with --control`
      case "InvalidPath":
        return `${path} can't be a control socket: ${detail}; give another path with --control`
      case "NoDirectory":
        return `the directory of the control socket ${path} does not exist; create it, or give another path with --control`
      case "PermissionDenied":
        return `no permission for the control socket ${path}; give another path with --control`
      case "ForeignDirectory":
        return `the directory of the control socket ${path} is not safe: ${detail}; give another path with --control`
      case "NoHost":
        return `no host answers on ${path}; start one with: sluice serve`
      case "NotAHost":
        return `what answers on ${path} is not a host of this version: ${detail}`
      case "TimedOut":
        return `the host on ${path} did not answer within ${detail}`
      case "Failed":
        return `the control socket ${path} failed: ${detail}`
    }
  }
}
