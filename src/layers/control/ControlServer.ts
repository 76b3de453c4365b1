/**
 * The control API of a host, served over a Unix socket that only the user who runs the host can open.
 *
 * **Details**
 *
 * - The socket's file has mode 0600 before it is at its path, and is taken and left as `UnixSocketFile` says: when two
 *   hosts start at once, one of them serves, and a host that stops leaves the socket of its successor alone.
 * - A socket that a host left behind when it died is replaced. A socket that answers, and a file that is not a socket,
 *   stay as they are.
 * - A peer that is slow, or sends nonsense or too much, is cut off in bounded time. The number of connections is
 *   bounded.
 * - Lists are answered in pages, and the host makes one page or other report in a turn of its loop, however many ask:
 *   whoever looks does not keep the loop from moving bytes. No answer is large, so a slow peer holds little memory.
 * - A reader of events that takes nothing is cut off like any other, and can go on where it was (`EventsGroup`).
 * - An operation that waits for sessions to end, such as deleting a worker, goes on when the connection that asked for
 *   it is lost: nobody loses sessions by losing a terminal. It ends when the server closes.
 * - Each change that is asked for and made has a line in the log.
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { format as formatRule, type RuleHandle, type RuleInput } from "../../domain/admission/SessionRule.ts"
import * as Notice from "../../domain/report/Notice.ts"
import * as Handle from "../../domain/state/Handle.ts"
import { ControlApi, ControlError, sessionLimit } from "../../services/ControlApi.ts"
import { NoSuchApp, NoSuchWorker, SessionLayer } from "../../services/SessionLayer.ts"
import { SessionRules } from "../../services/SessionRules.ts"
import { Takeover, TakeoverError } from "../../services/Takeover.ts"
import * as NoticeLog from "../log/NoticeLog.ts"
import { turns } from "../system/Turns.ts"
import * as UnixSocketFile from "../system/UnixSocketFile.ts"
import { BoundedServer } from "./BoundedServer.ts"
import * as ControlPath from "./ControlPath.ts"
import * as EventsGroup from "./EventsGroup.ts"
import { find } from "./FindApp.ts"
import * as Health from "./Health.ts"
import * as Scrape from "./Scrape.ts"

/** Milliseconds without a byte in either direction. */
const IDLE_TIMEOUT = 10_000
const HEADER_BYTES = 16 * 1024
/** A command may come with the whole environment that it is to run in. */
const BODY_KIB = 256
/** Milliseconds for answers under way when the server closes. */
const GRACE = 500
/** Nobody but the owner may read or write. */
const MODE = 0o600

/** A server that listens before `NodeHttpServer` asks it to, and leaves its path when it is asked to close. */
class ControlHttpServer extends BoundedServer {
  /** Listens already, at a path that is to be left before the server ends. */
  taken: Pick<UnixSocketFile.TakenPath, "leave"> | undefined

  override listen(...args: Array<any>): this {
    if (this.taken === undefined) return super.listen(...args)
    queueMicrotask(args.at(-1))
    return this
  }

  override close(done?: (error?: Error) => void): this {
    this.taken?.leave()
    return super.close(done)
  }
}

const pathError = (path: string) => ({ reason }: UnixSocketFile.UnixPathError): ControlError => {
  switch (reason._tag) {
    case "InUse":
      return new ControlError({ path, reason: "InUse", detail: "it answers" })
    case "NotASocket":
      return new ControlError({ path, reason: "NotASocket", detail: "it is something else" })
    case "System":
      return ControlPath.fromSystem(path, reason.cause)
  }
}

/** Has the server listen at the path; or out of sight, while the host before has the path (X4). */
const take = Effect.fnUntraced(function*(node: ControlHttpServer, path: string) {
  const takeover = yield* Effect.serviceOption(Takeover)
  const handOver = Option.isSome(takeover) ? takeover.value.control(path) : undefined
  if (handOver === undefined) {
    const taken = yield* Effect.mapError(UnixSocketFile.take(node, path, { mode: MODE }), pathError(path))
    node.taken = taken
    if (taken.replaced) yield* Effect.logInfo(`replaced the socket ${path} of a host that is gone`)
    return
  }
  const waiting = yield* Effect.mapError(UnixSocketFile.wait(node, path, { mode: MODE }), pathError(path))
  node.taken = waiting
  handOver.waits(waiting)
})

const server = (path: string, idleTimeout: number) =>
  Layer.effect(
    HttpServer.HttpServer,
    Effect.gen(function*() {
      yield* ControlPath.check(path, { create: true })
      const node = yield* Effect.acquireRelease(
        Effect.sync(() => new ControlHttpServer({ headBytes: HEADER_BYTES, idleTimeout })),
        // it may have begun to listen, and have failed then
        (node) => Effect.sync(() => node.close())
      )
      yield* Effect.uninterruptible(take(node, path))
      const http = yield* NodeHttpServer.make(() => node, { gracefulShutdownTimeout: GRACE }).pipe(
        Effect.mapError((error) => ControlPath.fromSystem(path, error.cause))
      )
      // once closed, Node no longer looks for late requests, and a connection that is left would keep it from closing
      yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
      return http
    })
  )

/** Tells of a change that was made. */
const told = (...change: Parameters<typeof Notice.changed>): Effect.Effect<void> =>
  NoticeLog.write(Notice.changed(...change))

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

const hostGroup = HttpApiBuilder.group(
  ControlApi,
  "host",
  Effect.fnUntraced(function*(handlers) {
    const host = yield* SessionLayer
    const takeover = yield* Effect.serviceOption(Takeover)
    const run = yield* makeRun
    return handlers
      .handle("report", () => host.report)
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

const appGroup = HttpApiBuilder.group(
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

const workerGroup = HttpApiBuilder.group(
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

const sessionGroup = HttpApiBuilder.group(
  ControlApi,
  "sessions",
  Effect.fnUntraced(function*(handlers) {
    const host = yield* SessionLayer
    const { tell } = yield* NoticeLog.NoticeLog.make
    return handlers
      .handle("list", ({ query: { after, app, limit = sessionLimit.page, ...filter } }) =>
        Effect.gen(function*() {
          const appIndex = app === undefined ? undefined : (yield* find(host, app)).index
          yield* checkWorker(host, filter.worker)
          return yield* host.sessionPage({ ...filter, appIndex }, { after, limit: Math.min(limit, sessionLimit.page) })
        }))
      .handle(
        "end",
        ({ params: { session }, query: { how = "close" } }) =>
          Effect.tap(host.endSession(session, how), () => {
            const did = how === "reset" ? "reset" : "closed"
            const notice = Notice.changed(`session ${Handle.format(session)} ${did}`, { kind: `session ${did}` })
            return Effect.sync(() => tell(notice))
          })
      )
  })
)

const listenerGroup = HttpApiBuilder.group(
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

const ruleGroup = HttpApiBuilder.group(
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

const deniedGroup = HttpApiBuilder.group(
  ControlApi,
  "denied",
  Effect.fnUntraced(function*(handlers) {
    const rules = yield* SessionRules
    return handlers
      .handle("list", () => rules.denied)
      .handle(
        "add",
        ({ payload: { source } }) => Effect.andThen(rules.denySource(source), told(`${source} added to the deny list`))
      )
      .handle(
        "remove",
        ({ query: { source } }) => Effect.andThen(rules.allowSource(source), told(`${source} taken off the deny list`))
      )
  })
)

/** A host that makes one report, or page of sessions, in a turn of its loop, however many ask. */
const paced = Effect.map(SessionLayer, (host) => {
  const inTurn = <A>(report: Effect.Effect<A>): Effect.Effect<A> => Effect.andThen(turns.next, report)
  return SessionLayer.of({
    ...host,
    report: inTurn(host.report),
    sessionPage: (filter, page) => inTurn(host.sessionPage(filter, page)),
    connectPage: (page) => inTurn(host.connectPage(page)),
    localPage: (page) => inTurn(host.localPage(page)),
    segmentPage: (page) => inTurn(host.segmentPage(page)),
    queuePage: (page) => inTurn(host.queuePage(page)),
    listenerPage: (page) => inTurn(host.listenerPage(page))
  })
})

const groups = Layer.mergeAll(
  hostGroup,
  appGroup,
  workerGroup,
  sessionGroup,
  listenerGroup,
  ruleGroup,
  deniedGroup,
  EventsGroup.layer
)
  .pipe(
    Layer.provide(Layer.effect(SessionLayer, paced))
  )

const api = HttpApiBuilder.layer(ControlApi).pipe(Layer.provide(groups))

/**
 * Serves the control API on the socket at `path` until the scope closes; the socket's file is removed then.
 *
 * **Details** `idleTimeout` is the time in milliseconds without a byte in either direction after which a connection is
 * cut off, 10 seconds by default. It does not count while an operation that waits for sessions or workers is under way.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  path: string,
  { idleTimeout = IDLE_TIMEOUT }: { readonly idleTimeout?: number } = {}
): Layer.Layer<never, ControlError, SessionLayer | SessionRules> =>
  HttpRouter.serve(Layer.mergeAll(api, Health.routes, Scrape.routes), {
    disableLogger: true,
    disableListenLog: true
  }).pipe(
    Layer.provide(server(path, idleTimeout)),
    Layer.provide(Layer.succeed(HttpIncomingMessage.MaxBodySize, ByteSize.kibibytes(BODY_KIB))),
    Layer.provide(NodeHttpServer.layerHttpServices)
  )
