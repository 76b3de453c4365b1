/**
 * The application of `sluice proxy`: joins each session with one to the upstream that has the least.
 *
 * What a worker does for a session is to choose an upstream, to connect, and to join the two; from there on the host
 * moves the bytes and the worker hears only how it ends. An upstream that can't be reached is left alone for a while,
 * and the next one is tried for the same session at once; a session for which there is none is reset. A client that
 * goes away while the connect is under way cancels it.
 *
 * A session whose peer is another worker of the host can't be joined by it: `ProxyPump` moves its bytes here.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type * as Upstreams from "./domain/Upstreams.ts"
import * as ProxyConfig from "./layers/ProxyConfig.ts"
import * as ProxyPump from "./layers/ProxyPump.ts"
import { type ConnectFailed, type ListenFailed, type Session, Sessions } from "./services/Sessions.ts"

/** Reasons that say nothing of the upstream: the host can't take another session now, or has no port to connect from. */
const ours: ReadonlyArray<ConnectFailed["reason"]> = ["Refused", "AddressInUse", "AddressNotAvailable", "Detached"]

/** Joins the two, and completes when both are gone. */
const join = (client: Session, server: Session): Effect.Effect<void> =>
  Effect.callback((resume) => {
    let open = Number(!client.closed) + Number(!server.closed)
    const over = (): void => {
      if (--open === 0) resume(Effect.void)
    }
    if (open === 2 && (client.cutThrough || server.cutThrough)) return ProxyPump.start(client, server, over)
    const handler = { closed: over }
    client.handler = handler
    server.handler = handler
    if (open === 2 && client.splice(server)) return
    // one of them is gone
    client.abort()
    server.abort()
    if (open === 0) resume(Effect.void)
  })

/**
 * The application, on all endpoints that the host was told to serve with it.
 *
 * @category layers
 * @since 0.1.0
 */
const app: Layer.Layer<never, ListenFailed | Schema.SchemaError, Sessions> = Layer.effectDiscard(
  Effect.gen(function*() {
    const sessions = yield* Sessions
    const config = yield* ProxyConfig.decode(sessions.config)
    const clock = yield* Clock.Clock
    const run = yield* FiberSet.makeRuntime<never, void, never>()
    const upstreams = ProxyConfig.upstreamsOf(config, sessions.worker.worker)
    upstreams.begin()
    const now = (): number => clock.currentTimeMillisUnsafe()

    /** A session to the upstream; `undefined` when it is not to be had. */
    const connect = Effect.fnUntraced(function*(choice: Upstreams.Choice) {
      const uri = config.upstreams[choice.upstream]!
      const result = yield* sessions.connect(uri).pipe(
        Effect.onInterrupt(() => Effect.sync(() => upstreams.cancelled(choice))),
        Effect.result
      )
      if (Result.isSuccess(result)) {
        if (upstreams.connected(choice)) yield* Effect.logInfo(`upstream ${uri} is up again`)
        return result.success
      }
      const { detail, reason } = result.failure
      if (ours.includes(reason)) {
        upstreams.cancelled(choice)
        return undefined
      }
      const backoff = upstreams.failed(choice, now())
      if (backoff !== undefined && choice.failures === 0) {
        yield* Effect.logWarning(`upstream ${uri} is down and is tried again in ${backoff} ms: ${detail}`)
      }
      return undefined
    })

    const proxy = Effect.fnUntraced(function*(client: Session) {
      const tried = new Set<number>()
      for (;;) {
        const choice = upstreams.choose(now(), tried)
        if (choice === undefined) {
          upstreams.refuse()
          return client.abort()
        }
        tried.add(choice.upstream)
        const joined = yield* connect(choice).pipe(
          Effect.tap((server) => server === undefined ? Effect.void : join(client, server)),
          Effect.ensuring(Effect.sync(() => upstreams.left(choice)))
        )
        if (joined !== undefined) return
      }
    }, Effect.scoped)

    const accept = (client: Session): void => {
      let fiber: Fiber.Fiber<void> | undefined
      client.handler = { closed: () => fiber?.interruptUnsafe() }
      fiber = run(proxy(client))
    }
    for (const endpoint of sessions.endpoints) yield* sessions.listen(endpoint, accept)
  })
)

export default app
