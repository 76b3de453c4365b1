/**
 * Makes an application of what a module that is a Node program exports.
 *
 * | export | what it is |
 * |---|---|
 * | an Effect layer that needs `Sessions` | itself |
 * | a function of a request and a response | a handler of an HTTP server; an Express app is one |
 * | a `net`, `http`, `https` or `tls` server | served as it is: with its options, and all that listens to its events |
 * | a Fastify instance | its server, once it is ready |
 *
 * These are looked for in the module's default export, then in exports called `server`, `app` and `handler`. A promise
 * is waited for. A function exported as `connection` is one that `net.createServer` takes: it is given each connection.
 * The exports of a CommonJS module count in the same way.
 *
 * None of this needs the packages in question: what they export is recognised by its members.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import type * as Http from "node:http"
import * as Net from "node:net"
import * as Notice from "../../../domain/report/Notice.ts"
import * as Thrown from "../../../domain/report/Thrown.ts"
import { Sessions } from "../../../services/Sessions.ts"
import { NoticeLog } from "../../log/NoticeLog.ts"
import { serve } from "../effect/SessionHttpServer.ts"
import { HostedHandle } from "./HostedHandle.ts"
import { NodeServer } from "./NodeServer.ts"

/**
 * What is launched in a worker.
 */
export type AppLayer = Layer.Layer<never, unknown, Sessions>

/**
 * A function that answers requests. What it throws, or its promise is rejected with, is answered with status 500 and
 * logged; where the answer has begun, its connection is closed.
 */
export type RequestHandler = (request: Http.IncomingMessage, response: Http.ServerResponse) => unknown

/**
 * An instance of Fastify, as far as it matters here.
 */
export interface ReadiedServer {
  readonly server: Net.Server
  ready(): PromiseLike<unknown>
  close(): PromiseLike<unknown>
}

/**
 * What can be served.
 */
export type Servable = AppLayer | RequestHandler | Net.Server | ReadiedServer

/** What is right, for a sentence that says what is wrong. */
export const MODULE_RIGHT =
  "export as its default an Effect Layer that needs Sessions, a (request, response) handler, a Node server that does not "
  + "listen, an Express app or a Fastify instance; or, as `connection`, a function of a socket"

const NAMES = ["server", "app", "handler"] as const

const isFunction = (value: unknown): value is (...args: Array<any>) => unknown => typeof value === "function"

const isReadied = (value: unknown): value is ReadiedServer =>
  Predicate.hasProperty(value, "server") && value.server instanceof Net.Server
  && Predicate.hasProperty(value, "ready") && isFunction(value.ready)
  && Predicate.hasProperty(value, "close") && isFunction(value.close)

const isClass = (value: object): boolean => /^class\b/.test(Function.prototype.toString.call(value))

/** A handler has something to answer: a function without parameters makes something, and is not a handler. */
const isHandler = (value: unknown): value is RequestHandler => isFunction(value) && value.length > 0 && !isClass(value)

/** Whether the server has sockets of its own that it listens with. */
const isListening = (server: Net.Server): boolean => server.listening && HostedHandle.of(server) === undefined

/** Whether the value is something that {@link layer} makes an application of. */
export const isServable = (value: unknown): value is Servable =>
  Layer.isLayer(value) || (value instanceof Net.Server && !isListening(value)) || isReadied(value) || isHandler(value)

const onServer = (server: Net.Server): AppLayer =>
  Layer.effectDiscard(
    Effect.flatMap(Sessions, (sessions) => new NodeServer(server, sessions).listenScoped())
  )

/**
 * The instance's `onClose` hooks run when its thread ends. On the host's loop the instance belongs to the program
 * there.
 */
const onReady = (app: ReadiedServer): AppLayer =>
  Layer.effectDiscard(Effect.gen(function*() {
    const sessions = yield* Sessions
    yield* Effect.promise(() => app.ready())
    if (sessions.worker.kind === "thread") yield* Effect.addFinalizer(() => Effect.promise(() => app.close()))
    yield* new NodeServer(app.server, sessions).listenScoped()
  }))

const failed = (response: Http.ServerResponse): void => {
  if (response.headersSent) return void response.destroy()
  for (const name of response.getHeaderNames()) response.removeHeader(name)
  response.statusCode = 500
  response.end("Internal Server Error\n")
}

const onHandler = (handler: RequestHandler): AppLayer =>
  Layer.unwrap(Effect.zipWith(NoticeLog.make, Sessions, (notices, { worker: { app, worker } }) => {
    const fail = (response: Http.ServerResponse, error: unknown): void => {
      notices.tell(Notice.requestFailed({ app, worker }, Thrown.of(error)))
      failed(response)
    }
    return serve((request, response) => {
      // an error that escapes from a handler that is not ours would end the worker's other sessions too
      try {
        const answered = handler(request, response)
        if (Predicate.isPromiseLike(answered)) answered.then(undefined, (error) => fail(response, error))
      } catch (error) {
        fail(response, error)
      }
    })
  }))

/**
 * The application that something is.
 */
export const layer = (app: Servable): AppLayer =>
  Layer.isLayer(app)
    ? app as AppLayer
    : app instanceof Net.Server
    ? onServer(app)
    : isReadied(app)
    ? onReady(app)
    : onHandler(app as RequestHandler)

/** The application that a function of a connection is. A server for each worker. */
const layerConnection = (connection: (socket: Net.Socket) => void): AppLayer =>
  Layer.unwrap(Effect.sync(() => onServer(Net.createServer(connection))))

/**
 * Finds the application in what a module exports, or says what is wrong with it, in words that follow the module's
 * name.
 */
export const find = (exports: Readonly<Record<string, unknown>>): Effect.Effect<AppLayer, string> =>
  Effect.suspend(() => {
    // a CommonJS module's own default stands in its exports, which are the default here
    const places = [exports, exports["default"]].filter(Predicate.isObjectOrArray) as Array<Record<string, unknown>>
    for (const name of ["default", ...NAMES]) {
      for (const place of places) {
        const value = place[name]
        if (isServable(value)) return Effect.succeed(layer(value))
        if (Predicate.isPromiseLike(value)) return promised(value)
      }
    }
    for (const { connection } of places) {
      if (isFunction(connection)) return Effect.succeed(layerConnection(connection))
    }
    return Effect.fail(wrong(exports))
  })

/** A rejection is the module's failure, as if it had been thrown while it loaded. */
const promised = (value: PromiseLike<unknown>): Effect.Effect<AppLayer, string> =>
  Effect.flatMap(
    Effect.promise(() => value),
    (app) => isServable(app) ? Effect.succeed(layer(app)) : Effect.fail(wrong({ default: app }))
  )

const kindOf = (value: unknown): string =>
  value instanceof Net.Server
    ? "a server that listens by itself"
    : isFunction(value)
    ? isClass(value) ? "a class" : "a function without parameters"
    : Predicate.hasProperty(value, "callback") && isFunction(value.callback)
    ? "an app whose handler is what its callback() returns"
    : "something else"

const wrong = (exports: Readonly<Record<string, unknown>>): string =>
  `exports ${"default" in exports ? kindOf(exports["default"]) : "nothing"} as its default; ${MODULE_RIGHT}`
