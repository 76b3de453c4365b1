/**
 * The `Sessions` service of a worker, over its loop: the service that the application's layer runs with.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Message from "../../domain/memory/Message.ts"
import { LOOK_INTERVAL } from "../../domain/memory/QueueMemory.ts"
import * as Handle from "../../domain/state/Handle.ts"
import * as Refusal from "../../domain/state/Refusal.ts"
import {
  ConnectFailed,
  type ConnectOptions,
  type Listener,
  ListenFailed,
  type ListenOptions,
  type Session,
  Sessions,
  UnlistenFailed
} from "../../services/Sessions.ts"
import type { Reply, Request } from "./Requests.ts"
import { isConnected, WorkerLoop } from "./WorkerLoop.ts"
import type { WorkerPlace, WorkerStart } from "./WorkerPlace.ts"

/** The most milliseconds, some 49 days, that a connect can ask for: a longer timeout becomes this one. */
const LONGEST_TIMEOUT = 2 ** 32 - 1

const givenUp: Refusal.Refusal = { reason: "Detached", detail: "the host has given this worker up" }

/** The error that a reply stands for. A reason that the operation can't fail with is a fault of the host. */
const failure = <R extends Refusal.Reason, E>(
  reply: Reply | undefined,
  isReason: (reason: Refusal.Reason) => reason is R,
  make: (reason: R, detail: string) => E
): Effect.Effect<never, E> => {
  const { detail, reason } = reply?._tag === "failed" ? reply : givenUp
  return isReason(reason)
    ? Effect.fail(make(reason, detail))
    : Effect.die(new Error(`the host has answered "${reason}" to a request that can't fail that way: ${detail}`))
}

/** The error of a listen that was answered with `reply`; of a worker that was detached, when there is no answer. */
export const listenFailed = (endpoint: string, reply: Reply | undefined): Effect.Effect<never, ListenFailed> =>
  failure(
    reply,
    Refusal.isListenReason,
    (reason, detail) => new ListenFailed({ endpoint, reason: { _tag: reason, detail } })
  )

const isConnectFailure = (reason: Refusal.Reason): reason is Refusal.ConnectReason | Refusal.Why =>
  Refusal.isConnectReason(reason) || Refusal.isWhy(reason)

const millisOf = (timeout: Duration.Input | undefined): number =>
  timeout === undefined ? 0 : Math.min(Math.max(1, Math.ceil(Duration.toMillis(timeout))), LONGEST_TIMEOUT)

/** A worker and its service, for the scope's life. The application's layer runs inside that scope. */
export const make = Effect.fnUntraced(function*(
  start: WorkerStart,
  place: WorkerPlace
): Effect.fn.Return<{ readonly loop: WorkerLoop; readonly sessions: Sessions["Service"] }, never, Scope.Scope> {
  const loop = new WorkerLoop(start, place)
  yield* place.doorbell.listen(loop.wake)
  yield* Effect.addFinalizer(() => Effect.sync(() => loop.detach()))
  const every = (millis: number, step: () => void): Effect.Effect<void, never, Scope.Scope> =>
    Effect.sync(step).pipe(Effect.repeat(Schedule.spaced(millis)), Effect.forkScoped, Effect.asVoid)
  yield* every(start.trimInterval, () => loop.trim())
  const { looks } = place
  yield* (place.every ?? every)(LOOK_INTERVAL, looks === undefined ? loop.look : () => looks(loop.look))
  const { arrivals, requests } = loop

  const ask = (message: (request: number) => Request): Effect.Effect<Reply | undefined> =>
    Effect.callback((resume) => {
      const cancel = requests.ask(message, (reply) => resume(Effect.succeed(reply)))
      return Effect.sync(cancel)
    })

  const listen = Effect.fnUntraced(function*(
    endpoint: string,
    accept: (session: Session) => void,
    { backlog = 0, ipv6Only = false, refuse, speaksHttp = false }: ListenOptions = {}
  ) {
    const flags = Message.listenFlags(ipv6Only, speaksHttp)
    // uninterruptible: a listener that the host has made must be known here, or nothing would ever end it
    return yield* Effect.acquireRelease(
      Effect.callback<Listener, ListenFailed>((resume) => {
        requests.ask((request) => ({ _tag: "listen", request, endpoint, backlog, flags }), (reply) => {
          if (reply?._tag === "bound") {
            // right here: the next message may be an offer for this listener
            arrivals.listen(reply.listener, endpoint, accept, refuse)
            return resume(Effect.succeed({ handle: reply.listener, local: reply.local }))
          }
          resume(listenFailed(endpoint, reply))
        })
      }),
      ({ handle }) =>
        ask((request) => ({ _tag: "unlisten", request, listener: handle })).pipe(
          Effect.andThen(Effect.sync(() => arrivals.unlisten(handle)))
        )
    )
  })

  const unlisten = Effect.fnUntraced(function*(listener: Handle.ListenerHandle) {
    const reply = yield* ask((request) => ({ _tag: "unlisten", request, listener }))
    if (reply?._tag === "unlistened") return arrivals.unlisten(listener)
    return yield* failure(
      reply,
      Refusal.isUnlistenReason,
      (reason, detail) => new UnlistenFailed({ listener: Handle.format(listener), reason: { _tag: reason, detail } })
    )
  })

  const connect = Effect.fnUntraced(function*(endpoint: string, { source = "", timeout }: ConnectOptions = {}) {
    const millis = millisOf(timeout)
    return yield* Effect.acquireRelease(
      Effect.callback<Session, ConnectFailed>((resume) => {
        const message = (request: number): Request => ({ _tag: "connect", request, endpoint, source, timeout: millis })
        const cancel = requests.ask(message, (reply) => {
          if (reply !== undefined && isConnected(reply)) {
            return resume(Effect.succeed(loop.sessions.openConnected(reply)))
          }
          resume(failure(reply, isConnectFailure, (reason, detail) =>
            new ConnectFailed({
              endpoint,
              reason: Refusal.isWhy(reason) ? { _tag: "Refused", why: reason, detail } : { _tag: reason, detail }
            })))
        })
        return Effect.sync(cancel)
      }),
      (session) => Effect.sync(() => session.close()),
      { interruptible: true }
    )
  })

  const sessions = Sessions.of({
    worker: start.info,
    endpoints: start.endpoints,
    config: start.config,
    listen,
    unlisten,
    connect,
    draining: Deferred.await(loop.draining),
    handsOver: (session) => Effect.sync(() => loop.sessions.handsOver(session)),
    open: Effect.sync(() => loop.open)
  })
  return { loop, sessions }
})
