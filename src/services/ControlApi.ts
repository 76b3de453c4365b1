/**
 * The control API: what a host answers on its control socket, as data that its server and its clients share.
 *
 * It is HTTP over a Unix socket that only the user who runs the host can open, so it has no passwords. What a host
 * reports is described in `Report.ts`. There is a group for each thing that can be asked for or acted upon:
 *
 * | request | what |
 * |---|---|
 * | `GET /v1/host` | the whole report |
 * | `GET /v1/overview` | what one look shows |
 * | `POST /v1/upgrade` | has another host take over |
 * | `GET /v1/connects`, `/locals`, `/segments`, `/queues` | what is behind the other tables of `show`, page by page |
 * | `GET`, `DELETE /v1/apps/:app` | reports an application, detaches it; by its name or its index |
 * | `POST /v1/apps/:app/reload` | replaces its workers by new starts; with `atOnce=true` all at once |
 * | `POST /v1/apps/:app/workers` | adds a worker |
 * | `DELETE /v1/workers/:worker`, `POST …/restart` | deletes it, restarts it; with `now=true` at once |
 * | `GET /v1/sessions` | reports the sessions that a filter lets pass, page by page, in any order |
 * | `DELETE /v1/sessions/:session` | ends it; with `how=reset` by a reset |
 * | `GET /v1/listeners`, `DELETE …/:listener` | reports listeners, page by page; closes one |
 * | `GET`, `POST /v1/rules`, `DELETE …/:rule` | session rules |
 * | `GET`, `POST`, `DELETE /v1/denied` | denied sources |
 * | `GET /v1/events` | what happens in the host, as server-sent events |
 *
 * `GET /live` and `GET /ready` are answered besides (`Health`).
 *
 * Workers, sessions, listeners and rules are given by their handles, as text: `12.3`. An operation that waits for
 * sessions to end answers when it is done, and goes on even if the client that asked for it leaves.
 *
 * The requests and their errors are one contract, and therefore one file.
 */
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { Rule, type RuleHandle } from "../domain/admission/SessionRule.ts"
import { ToldEvent } from "../domain/events/HostEvent.ts"
import { Overview } from "../domain/overview/Overview.ts"
import * as Report from "../domain/report/Report.ts"
import type { ListenerHandle, SessionHandle, WorkerHandle } from "../domain/state/Handle.ts"
import * as HandleText from "../domain/state/HandleText.ts"
import {
  NoSuchApp,
  NoSuchListener,
  NoSuchSession,
  NoSuchWorker,
  ReloadFailed,
  WorkerOperationFailed
} from "./SessionLayer.ts"
import { NoSuchRule, NotDenied, RuleError } from "./SessionRules.ts"
import { SuccessorCommand, TakenOver, TakeoverError } from "./Takeover.ts"

const NOT_FOUND = HttpApiSchema.status(404)
const CONFLICT = HttpApiSchema.status(409)

/** Name or index of an application. A name takes precedence over an index. */
const app = { app: Schema.String }

/** Which page of a list; an answer says where the next one begins. */
const listPage = Report.ListPage.fields

/**
 * What the host reports about itself.
 */
export class HostGroup extends HttpApiGroup.make("host")
  .add(
    HttpApiEndpoint.get("report", "/host", { success: Report.HostReport }).annotate(
      OpenApi.Summary,
      "The whole report"
    ),
    HttpApiEndpoint.get("overview", "/overview", { success: Overview }).annotate(
      OpenApi.Summary,
      "Whether all is well, and if not, why: what one look shows"
    ),
    HttpApiEndpoint.post("upgrade", "/upgrade", {
      payload: SuccessorCommand,
      success: TakenOver,
      error: TakeoverError.pipe(CONFLICT)
    }).annotate(OpenApi.Summary, "Has another host take over"),
    HttpApiEndpoint.get("connects", "/connects", { query: listPage, success: Report.ConnectsReport }).annotate(
      OpenApi.Summary,
      "Connects that applications have begun"
    ),
    HttpApiEndpoint.get("locals", "/locals", { query: listPage, success: Report.LocalsPage }).annotate(
      OpenApi.Summary,
      "Cut-through listeners and sessions"
    ),
    HttpApiEndpoint.get("segments", "/segments", { query: listPage, success: Report.SegmentsReport }).annotate(
      OpenApi.Summary,
      "Shared memory, by worker"
    ),
    HttpApiEndpoint.get("queues", "/queues", { query: listPage, success: Report.QueuesReport }).annotate(
      OpenApi.Summary,
      "Event queues, by worker"
    )
  )
  .prefix("/v1")
{}

/**
 * An application whose workers were replaced by new starts.
 */
export const ReloadedApp = Schema.Struct({
  app: Schema.String,
  workers: Schema.Int,
  /** The time that it took until all of them served. */
  millis: Schema.Int
})
export type ReloadedApp = typeof ReloadedApp.Type

export class AppGroup extends HttpApiGroup.make("apps")
  .add(
    HttpApiEndpoint.get("get", "/apps/:app", {
      params: app,
      success: Report.AppReport,
      error: NoSuchApp.pipe(NOT_FOUND)
    }).annotate(OpenApi.Summary, "Reports an application"),
    HttpApiEndpoint.delete("detach", "/apps/:app", { params: app, error: NoSuchApp.pipe(NOT_FOUND) }).annotate(
      OpenApi.Summary,
      "Detaches it, with its workers and listeners"
    ),
    HttpApiEndpoint.post("reload", "/apps/:app/reload", {
      params: app,
      query: { atOnce: Schema.optional(Schema.Boolean) },
      success: ReloadedApp,
      error: [NoSuchApp.pipe(NOT_FOUND), ReloadFailed.pipe(CONFLICT)]
    }).annotate(OpenApi.Summary, "Replaces its workers by new starts")
  )
  .prefix("/v1")
{}

/**
 * A worker that was added.
 */
export const AddedWorker = Schema.Struct({
  handle: Schema.String,
  app: Schema.String,
  workerIndex: Schema.Int,
  /** The worker's number within its application. */
  mapIndex: Schema.Int,
  kind: Schema.Literals(["thread", "in-process"]),
  /** Bytes of its first segment, and of the event queue in it. */
  firstSegmentBytes: Schema.Int,
  eventQueueBytes: Schema.Int
})
export type AddedWorker = typeof AddedWorker.Type

const worker = { worker: HandleText.HandleFromString<WorkerHandle>() }

/** Whether sessions are ended at once. If not, the host waits for their end, up to the application's drain timeout. */
const now = { now: Schema.optional(Schema.Boolean) }

export class WorkerGroup extends HttpApiGroup.make("workers")
  .add(
    HttpApiEndpoint.post("add", "/apps/:app/workers", {
      params: app,
      payload: Schema.Struct({ kind: Schema.optional(AddedWorker.fields.kind) }),
      success: AddedWorker,
      error: [NoSuchApp.pipe(NOT_FOUND), WorkerOperationFailed.pipe(CONFLICT)]
    }).annotate(OpenApi.Summary, "Adds a worker"),
    HttpApiEndpoint.delete("remove", "/workers/:worker", {
      params: worker,
      query: now,
      error: WorkerOperationFailed.pipe(CONFLICT)
    }).annotate(OpenApi.Summary, "Deletes a worker when its sessions have ended"),
    HttpApiEndpoint.post("restart", "/workers/:worker/restart", {
      params: worker,
      query: now,
      error: WorkerOperationFailed.pipe(CONFLICT)
    }).annotate(OpenApi.Summary, "Starts a worker again")
  )
  .prefix("/v1")
{}

const { appIndex: _, ...filter } = Report.SessionFilter.fields

/**
 * How many sessions can be asked for, how many `show` asks for by default, and how many an answer lists: writing one
 * down takes the host's loop some microseconds.
 */
export const sessionLimit = { max: 1_000_000, default: 1000, page: 100 } as const

/**
 * Which sessions to report, and how many: `app` is a name or an index; for the rest see `Report.SessionFilter` and
 * `Report.SessionPage`. An answer lists up to 100, whatever `limit` is, and says where to go on.
 */
export const SessionQuery = Schema.Struct({
  app: Schema.optional(Schema.String),
  ...filter,
  after: Report.SessionPage.fields.after,
  sort: Report.SessionPage.fields.sort,
  reversed: Report.SessionPage.fields.reversed,
  limit: Schema.optional(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: sessionLimit.max })))
})
export type SessionQuery = typeof SessionQuery.Type

/**
 * A page was asked for that can't be: `after` is not the `next` of a page in the same order.
 */
export class InvalidPage extends Schema.TaggedError<InvalidPage>()("InvalidPage", { after: Schema.String }) {
  override get message(): string {
    return `${
      JSON.stringify(this.after)
    } is not where a page in this order ends: take the "next" of one that has the same sort`
  }
}

export class SessionGroup extends HttpApiGroup.make("sessions")
  .add(
    HttpApiEndpoint.get("list", "/sessions", {
      query: SessionQuery,
      success: Report.SessionsReport,
      error: [InvalidPage.pipe(HttpApiSchema.status(400)), NoSuchApp.pipe(NOT_FOUND), NoSuchWorker.pipe(NOT_FOUND)]
    }).annotate(OpenApi.Summary, "The sessions that a filter lets pass, sorted over all pages"),
    HttpApiEndpoint.delete("end", "/sessions/:session", {
      params: { session: HandleText.HandleFromString<SessionHandle>() },
      query: { how: Schema.optional(Schema.Literals(["close", "reset"])) },
      error: NoSuchSession.pipe(NOT_FOUND)
    }).annotate(OpenApi.Summary, "Ends a session")
  )
  .prefix("/v1")
{}

export class ListenerGroup extends HttpApiGroup.make("listeners")
  .add(
    HttpApiEndpoint.get("list", "/listeners", { query: listPage, success: Report.ListenersReport }).annotate(
      OpenApi.Summary,
      "Listeners"
    ),
    HttpApiEndpoint.delete("close", "/listeners/:listener", {
      params: { listener: HandleText.HandleFromString<ListenerHandle>() },
      error: NoSuchListener.pipe(NOT_FOUND)
    }).annotate(OpenApi.Summary, "Closes a listener; established sessions go on")
  )
  .prefix("/v1")
{}

/**
 * A session rule, with the handle by which it is removed.
 */
export const ListedRule = Schema.Struct({ handle: Schema.String, rule: Schema.toType(Rule) })
export type ListedRule = typeof ListedRule.Type

export class RuleGroup extends HttpApiGroup.make("rules")
  .add(
    HttpApiEndpoint.get("list", "/rules", { success: Schema.Array(ListedRule) }).annotate(
      OpenApi.Summary,
      "Session rules, in the order in which they are tried"
    ),
    HttpApiEndpoint.post("add", "/rules", {
      // decoded where it is added, which has a sentence for every problem
      payload: Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Finite])),
      success: Schema.Struct({ handle: Schema.String }),
      error: RuleError.pipe(CONFLICT)
    }).annotate(OpenApi.Summary, "Adds a rule"),
    HttpApiEndpoint.delete("remove", "/rules/:rule", {
      params: { rule: HandleText.HandleFromString<RuleHandle>() },
      error: NoSuchRule.pipe(NOT_FOUND)
    }).annotate(OpenApi.Summary, "Removes a rule")
  )
  .prefix("/v1")
{}

const source = { source: Schema.String }

/**
 * The source deny list.
 */
export class DeniedGroup extends HttpApiGroup.make("denied")
  .add(
    HttpApiEndpoint.get("list", "/denied", { success: Schema.Array(Schema.String) }).annotate(
      OpenApi.Summary,
      "Sources whose connections are refused"
    ),
    HttpApiEndpoint.post("add", "/denied", { payload: Schema.Struct(source), error: RuleError.pipe(CONFLICT) })
      .annotate(OpenApi.Summary, "Refuses connections of a source"),
    HttpApiEndpoint.delete("remove", "/denied", { query: source, error: NotDenied.pipe(NOT_FOUND) }).annotate(
      OpenApi.Summary,
      "Takes a source off the list"
    )
  )
  .prefix("/v1")
{}

/**
 * Events were asked for in a way that makes no sense; `detail` says in a sentence what is wrong.
 */
export class InvalidEvents extends Schema.TaggedError<InvalidEvents>()("InvalidEvents", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
}

/**
 * Which events to read: `kind` has kinds and what kinds are about, with commas between them; `app` is a name or an index.
 * `after`: the serial number of the last event that the reader has had, for which the header `Last-Event-ID` stands, too.
 * With `follow=false` the answer ends with what is there.
 */
export const EventsQuery = Schema.Struct({
  app: Schema.optional(Schema.String),
  worker: Report.SessionFilter.fields.worker,
  kind: Schema.optional(Schema.String),
  after: Schema.optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
  follow: Schema.optional(Schema.Boolean)
})
export type EventsQuery = typeof EventsQuery.Type

/**
 * Each event has its serial number as `id`, and its JSON as `data`. A comment comes at least every three seconds.
 */
export class EventGroup extends HttpApiGroup.make("events")
  .add(
    HttpApiEndpoint.get("read", "/events", {
      query: EventsQuery,
      headers: { "last-event-id": Schema.optional(Schema.String) },
      success: HttpApiSchema.StreamSse({ data: ToldEvent }),
      error: [InvalidEvents.pipe(HttpApiSchema.status(400)), NoSuchApp.pipe(NOT_FOUND)]
    }).annotate(OpenApi.Summary, "What happens in the host, as server-sent events")
  )
  .prefix("/v1")
{}

/**
 * The control API without what is asked of the whole host: `upgrade` starts programs, and is for the host's user alone.
 */
export const ControlApiOfParts = HttpApi.make("sluice")
  .add(AppGroup)
  .add(WorkerGroup)
  .add(SessionGroup)
  .add(ListenerGroup)
  .add(RuleGroup)
  .add(DeniedGroup)
  .add(EventGroup)

export class ControlApi extends HttpApi.make("sluice")
  .add(HostGroup)
  .addHttpApi(ControlApiOfParts)
  .annotateMerge(OpenApi.annotations({ title: "Sluice control API", version: "1" }))
{}

/**
 * The control socket could not be served, or nothing answered on it as a host would.
 *
 * **Details**
 *
 * - `InUse`: another host answers there already; the socket is left to it.
 * - `NotASocket`, `InvalidPath`, `NoDirectory`, `PermissionDenied`: the path can't be used.
 * - `ForeignDirectory`: another user owns the directory of the default path, or may write to it, and could stand in for
 *   the host.
 * - `NoHost`: no host answers there.
 * - `NotAHost`: what answers is not a host of this version.
 * - `TimedOut`: there was no answer in time.
 * - `Failed`: anything else; `detail` has the system's words.
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
        return `${path} exists and is not a socket; give another path with --control`
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
