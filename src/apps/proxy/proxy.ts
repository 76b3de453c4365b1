/**
 * The application of `sluice proxy`: joins each session with one to the upstream that has the fewest sessions.
 *
 * For each session, a worker chooses an upstream, connects, and joins the two; from then on the host moves the bytes,
 * and the worker hears only how the session ends. An upstream that can't be reached is left alone for a while, and the
 * next one is tried for the same session at once; a session for which no upstream is left is reset. A host that can't
 * take another session just now is asked again, for as long as a connect may take. A client that goes away meanwhile
 * cancels all this.
 *
 * Upstreams can be told where a connection comes from, with a PROXY protocol header before its first byte.
 *
 * **Its workers** run on the host's own loop unless they are told otherwise, and one is enough. No byte of a joined
 * session passes through them, and nothing here blocks, so a thread of their own would spare the host next to nothing:
 * measurements show the same throughput, and up to an eighth more processor time for each connection, which then goes
 * to the thread and back twice.
 *
 * A session whose peer is another worker of the host can't be joined by the host: `ProxyPump` moves its bytes here.
 */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type * as Upstreams from "../../domain/admission/Upstreams.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import * as ProxyHeader from "../../domain/net/ProxyHeader.ts"
import type * as Refusal from "../../domain/state/Refusal.ts"
import * as MonotonicTime from "../../services/MonotonicTime.ts"
import { type ConnectFailed, type ListenFailed, type Session, Sessions } from "../../services/Sessions.ts"
import * as ProxyConfig from "./ProxyConfig.ts"
import * as ProxyPump from "./ProxyPump.ts"

/** Why the host has no room for a session now (M7): it says nothing of the upstream. */
const noRoom: ReadonlySet<Refusal.Why> = new Set([
  "congested",
  "host-limit",
  "worker-limit",
  "half-open-limit",
  "no-memory"
])

/** Milliseconds after which such a host is asked again: the first time, and the longest. */
const FIRST_WAIT = 1
const LONGEST_WAIT = 100

/** Reasons of a connect that are this machine's: it has no port left to connect from, or the worker is given up. */
const ours: ReadonlySet<ConnectFailed["reason"]["_tag"]> = new Set(["AddressInUse", "AddressNotAvailable", "Detached"])

/** An application that refuses one session is not down. */
const isRefusal = ({ reason }: ConnectFailed): boolean => reason._tag === "Refused" && reason.why === "app-refused"
const isFull = ({ reason }: ConnectFailed): boolean => reason._tag === "Refused" && noRoom.has(reason.why)
const isOurs = (failure: ConnectFailed): boolean => ours.has(failure.reason._tag) || isFull(failure)

/** What is to be undone when a session is over: the upstream at which it is counted. */
interface State {
  choice: Upstreams.Choice | undefined
}

/** The two ends of the client's connection, for the header that tells of them. */
const endsOf = ({ local, remote }: Session): ProxyHeader.ProxyEnds | undefined => {
  const source = Endpoint.inetOf(remote)
  const destination = Endpoint.inetOf(local)
  return source === undefined || destination === undefined ? undefined : { source, destination }
}

/** Writes the header, before anything else is written; waits for memory where there is too little. */
const announce = (version: ProxyHeader.Version, client: Session, server: Session): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const header = [ProxyHeader.encode(version, endsOf(client))]
    const write = (): void => {
      if (server.writeWhole(header) !== 0) resume(Effect.void)
    }
    // one that takes no more writes is dealt with where the two are joined
    server.handler = { writable: write, closed: () => resume(Effect.void) }
    write()
  })

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

/** The application, on all endpoints that the host was told to serve with it. */
const app: Layer.Layer<never, ListenFailed | Schema.SchemaError, Sessions> = Layer.effectDiscard(
  Effect.gen(function*() {
    const sessions = yield* Sessions
    const config = yield* ProxyConfig.decode(sessions.config)
    const now = yield* MonotonicTime.reader
    const run = yield* FiberSet.makeRuntime<never, void, never>()
    const upstreams = ProxyConfig.upstreamsOf(config, sessions.worker.worker)
    upstreams.begin()

    /** Connects once more, and again, while the host has no room. */
    const insist = Effect.fnUntraced(function*(uri: string) {
      for (let wait = FIRST_WAIT, until = now() + config.patience;; wait = Math.min(2 * wait, LONGEST_WAIT)) {
        yield* Effect.sleep(Math.min(wait, until - now()))
        const result = yield* Effect.result(sessions.connect(uri))
        if (Result.isSuccess(result) || !isFull(result.failure) || now() >= until) return result
      }
    })

    /** The connect to an upstream has failed. */
    const failed = Effect.fnUntraced(function*(choice: Upstreams.Choice, uri: string, failure: ConnectFailed) {
      if (isOurs(failure) || isRefusal(failure)) return upstreams.cancelled(choice)
      const backoff = upstreams.failed(choice, now())
      if (backoff === undefined || choice.failures > 0) return
      yield* Effect.logWarning(`upstream ${uri} is down and is tried again in ${backoff} ms: ${failure.detail}`)
    })

    // few steps, since there is one of these for each session
    const carry = Effect.fnUntraced(function*(client: Session, state: State) {
      for (const tried = new Set<number>();;) {
        const choice = state.choice = upstreams.choose(now(), tried)
        if (choice === undefined) {
          upstreams.refuse()
          return client.abort()
        }
        const uri = config.upstreams[choice.upstream]!
        let result = yield* Effect.result(sessions.connect(uri))
        if (Result.isFailure(result) && isFull(result.failure)) result = yield* insist(uri)
        if (Result.isSuccess(result)) {
          if (upstreams.connected(choice)) yield* Effect.logInfo(`upstream ${uri} is up again`)
          if (config.sendProxy !== "none") yield* announce(config.sendProxy, client, result.success)
          return yield* join(client, result.success)
        }
        yield* failed(choice, uri, result.failure)
        upstreams.left(choice)
        tried.add(choice.upstream)
      }
    }, Effect.scoped)

    const serve = (client: Session): Effect.Effect<void> => {
      const state: State = { choice: undefined }
      return Effect.onExit(carry(client, state), () =>
        Effect.sync(() => {
          if (state.choice === undefined) return
          // an interruption may have come in the midst of a trial
          upstreams.cancelled(state.choice)
          upstreams.left(state.choice)
        }))
    }

    const accept = (client: Session): void => {
      const fiber = run(serve(client))
      client.handler ??= { closed: () => fiber.interruptUnsafe() }
    }
    for (const endpoint of sessions.endpoints) yield* sessions.listen(endpoint, accept)
  })
)

export default app
