/**
 * What the groups of the control API do, for any server that offers them: the control socket, and the page.
 *
 * **Details**
 *
 * - Lists are answered in pages, and the host makes one page or other report in a turn of its loop, however many ask:
 *   whoever looks does not keep the loop from moving bytes.
 * - An operation that waits for sessions to end, such as deleting a worker, goes on when the connection that asked for
 *   it is lost: nobody loses sessions by losing a terminal. It ends when the server closes.
 * - Each change that is asked for and made has a line in the log, which says where it was asked for.
 *
 * The groups are one table of what each request does, and therefore one file.
 */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { format as formatRule, type RuleHandle, type RuleInput } from "../../domain/admission/SessionRule.ts"
import * as Notice from "../../domain/report/Notice.ts"
import * as SessionOrder from "../../domain/report/SessionOrder.ts"
import * as Handle from "../../domain/state/Handle.ts"
import { ControlApi, InvalidPage, sessionLimit } from "../../services/ControlApi.ts"
import { NoSuchApp, NoSuchWorker, SessionLayer } from "../../services/SessionLayer.ts"
import { SessionRules } from "../../services/SessionRules.ts"
import { Takeover, TakeoverError } from "../../services/Takeover.ts"
import * as NoticeLog from "../log/NoticeLog.ts"
import { turns } from "../system/Turns.ts"
import * as EventsGroup from "./EventsGroup.ts"
import { find } from "./FindApp.ts"

/** Tells of a change that was made. */
type Told = (what: string, about?: Parameters<typeof Notice.changed>[2]) => Effect.Effect<void>

const toldOf = (at: Notice.AskedAt): Told => (what, about) => NoticeLog.write(Notice.changed(at, what, about))

/** The connection is silent until the operation is done, however long that takes. */
const patiently = <A, E>(request: HttpServerRequest, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.andThen(
    Effect.sync(() => NodeHttpServerRequest.toIncomingMessage(request).socket.setTimeout(0)),
    effect
  )

/** Runs an operation to its end, whether or not its client still waits for it. */
const makeRun = Effect.map(
  Effect.scope,
  (scope) => <A, E>(request: HttpServerRequest, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    patiently(request, Effect.flatMap(Effect.forkIn(effect, scope), Fiber.join))
)

const hostGroup = (told: Told) =>
  HttpApiBuilder.group(
    ControlApi,
    "host",
    Effect.fnUntraced(function*(handlers) {
      const host = yield* SessionLayer
      const takeover = yield* Effect.serviceOption(Takeover)
      const run = yield* makeRun
      return handlers
        .handle("report", () => host.report)
        .handle("overview", () => host.overview)
        .handle("upgrade", ({ payload, request }) =>
          run(
            request,
            Option.isSome(takeover)
              ? Effect.tap(takeover.value.upgrade(payload), ({ pid }) => told(`process ${pid} has taken over`))
              : Effect.fail(new TakeoverError({ reason: "NotOffered", detail: "this program does not offer it" }))
          ))
        .handle("connects", ({ query }) => host.connectPage(query))
        .handle("locals", ({ query }) => host.localPage(query))
        .handle("segments", ({ query }) => host.segmentPage(query))
        .handle("queues", ({ query }) => host.queuePage(query))
    })
  )

const appGroup = (told: Told) =>
  HttpApiBuilder.group(
    ControlApi,
    "apps",
    Effect.fnUntraced(function*(handlers) {
      const host = yield* SessionLayer
      const run = yield* makeRun
      return handlers
        .handle("get", ({ params }) =>
          Effect.gen(function*() {
            const { index } = yield* find(host, params.app)
            const { apps } = yield* host.report
            const app = apps.find((app) => app.index === index)
            return app ?? (yield* new NoSuchApp({ wanted: params.app }))
          }))
        .handle(
          "detach",
          ({ params, request }) =>
            run(
              request,
              Effect.gen(function*() {
                const { handle, name } = yield* find(host, params.app)
                yield* host.detach(handle)
                yield* told("application detached", { app: name })
              })
            )
        )
        .handle(
          "reload",
          ({ params, query, request }) =>
            run(
              request,
              Effect.gen(function*() {
                const { handle, name } = yield* find(host, params.app)
                return { ...yield* host.reload(handle, query), app: name }
              })
            )
        )
    })
  )

const workerGroup = (told: Told) =>
  HttpApiBuilder.group(
    ControlApi,
    "workers",
    Effect.fnUntraced(function*(handlers) {
      const host = yield* SessionLayer
      const run = yield* makeRun
      return handlers
        // not run to its end: a client can give up on a worker that does not come up
        .handle("add", ({ params, payload, request }) =>
          patiently(
            request,
            Effect.gen(function*() {
              const app = yield* find(host, params.app)
              const { handle, index, ...worker } = yield* host.addWorker(app.handle, payload)
              yield* told("worker added", { app: app.name, worker: worker.mapIndex })
              return { ...worker, handle: Handle.format(handle), app: app.name, workerIndex: index }
            })
          ))
        .handle(
          "remove",
          ({ params: { worker }, query, request }) =>
            run(
              request,
              Effect.andThen(
                host.deleteWorker(worker, { drain: query.now !== true }),
                told(`worker ${Handle.format(worker)} deleted`)
              )
            )
        )
        .handle(
          "restart",
          ({ params: { worker }, query, request }) =>
            run(
              request,
              Effect.andThen(
                host.restartWorker(worker, { drain: query.now !== true }),
                told(`worker ${Handle.format(worker)} restarted`)
              )
            )
        )
    })
  )

/** A number may be that of a worker to come; a handle that is out of date is an error, as everywhere. */
const checkWorker = Effect.fnUntraced(function*(host: SessionLayer["Service"], worker: string | undefined) {
  if (worker?.includes(".") !== true) return
  const { apps } = yield* host.report
  if (!apps.some(({ workers }) => workers.some(({ handle }) => handle === worker))) {
    return yield* new NoSuchWorker({ worker })
  }
})

const sessionGroup = (at: Notice.AskedAt) =>
  HttpApiBuilder.group(
    ControlApi,
    "sessions",
    Effect.fnUntraced(function*(handlers) {
      const host = yield* SessionLayer
      const { tell } = yield* NoticeLog.NoticeLog.make
      return handlers
        .handle("list", ({ query: { after, app, limit = sessionLimit.page, reversed, sort, ...filter } }) =>
          Effect.gen(function*() {
            const appIndex = app === undefined ? undefined : (yield* find(host, app)).index
            yield* checkWorker(host, filter.worker)
            if (after !== undefined && !SessionOrder.isNext(sort, after)) {
              return yield* new InvalidPage({ after })
            }
            return yield* host.sessionPage({ ...filter, appIndex }, {
              after,
              limit: Math.min(limit, sessionLimit.page),
              reversed,
              sort
            })
          }))
        .handle(
          "end",
          ({ params: { session }, query: { how = "close" } }) =>
            Effect.tap(host.endSession(session, how), () => {
              const did = how === "reset" ? "reset" : "closed"
              const notice = Notice.changed(at, `session ${Handle.format(session)} ${did}`, { kind: `session ${did}` })
              return Effect.sync(() =>
                tell(notice)
              )
            })
        )
    })
  )

const listenerGroup = (told: Told) =>
  HttpApiBuilder.group(
    ControlApi,
    "listeners",
    Effect.fnUntraced(function*(handlers) {
      const host = yield* SessionLayer
      return handlers
        .handle("list", ({ query }) => host.listenerPage(query))
        .handle(
          "close",
          ({ params: { listener } }) =>
            Effect.andThen(host.unlisten(listener), told(`listener ${Handle.format(listener)} closed`))
        )
    })
  )

/** What a rule says, behind what was done with it. */
const aboutRule = (rules: SessionRules["Service"], wanted: RuleHandle): Effect.Effect<string> =>
  Effect.map(rules.list, (entries) => {
    const entry = entries.find(({ handle }) => handle === wanted)
    return entry === undefined ? "" : `: ${formatRule(entry.rule)}`
  })

const ruleGroup = (told: Told) =>
  HttpApiBuilder.group(
    ControlApi,
    "rules",
    Effect.fnUntraced(function*(handlers) {
      const rules = yield* SessionRules
      return handlers
        .handle(
          "list",
          () =>
            Effect.map(
              rules.list,
              (entries) => entries.map(({ handle, rule }) => ({ handle: Handle.format(handle), rule }))
            )
        )
        .handle("add", ({ payload }) =>
          Effect.gen(function*() {
            // not checked yet: `add` decodes it
            const added = yield* rules.add(payload as RuleInput)
            const handle = Handle.format(added)
            yield* told(`rule ${handle} added${yield* aboutRule(rules, added)}`)
            return { handle }
          }))
        .handle("remove", ({ params: { rule } }) =>
          Effect.gen(function*() {
            const about = yield* aboutRule(rules, rule)
            yield* rules.remove(rule)
            yield* told(`rule ${Handle.format(rule)} removed${about}`)
          }))
    })
  )

const deniedGroup = (told: Told) =>
  HttpApiBuilder.group(
    ControlApi,
    "denied",
    Effect.fnUntraced(function*(handlers) {
      const rules = yield* SessionRules
      return handlers
        .handle("list", () => rules.denied)
        .handle(
          "add",
          ({ payload: { source } }) =>
            Effect.andThen(rules.denySource(source), told(`${source} added to the deny list`))
        )
        .handle(
          "remove",
          ({ query: { source } }) =>
            Effect.andThen(rules.allowSource(source), told(`${source} taken off the deny list`))
        )
    })
  )

/** A host that makes one report, or page of sessions, in a turn of its loop, however many ask. */
const paced = Effect.map(SessionLayer, (host) => {
  const inTurn = <A>(report: Effect.Effect<A>): Effect.Effect<A> => Effect.andThen(turns.next, report)
  return SessionLayer.of({
    ...host,
    report: inTurn(host.report),
    overview: inTurn(host.overview),
    sessionPage: (filter, page) => inTurn(host.sessionPage(filter, page)),
    connectPage: (page) => inTurn(host.connectPage(page)),
    localPage: (page) => inTurn(host.localPage(page)),
    segmentPage: (page) => inTurn(host.segmentPage(page)),
    queuePage: (page) => inTurn(host.queuePage(page)),
    listenerPage: (page) => inTurn(host.listenerPage(page))
  })
})

/** All groups, for a server at this place; one that offers only some of them takes what it needs. */
export const groups = (at: Notice.AskedAt) => {
  const told = toldOf(at)
  return Layer.mergeAll(
    hostGroup(told),
    appGroup(told),
    workerGroup(told),
    sessionGroup(at),
    listenerGroup(told),
    ruleGroup(told),
    deniedGroup(told),
    EventsGroup.layer
  ).pipe(Layer.provide(Layer.effect(SessionLayer, paced)))
}
