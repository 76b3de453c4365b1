/**
 * Node's HTTP agents with sessions for connections: requests of a worker go out through the host, with its rules, its
 * counters and `show sessions`, and to other applications of the same host without a socket (W16).
 *
 * {@link SessionHttpAgent} and {@link SessionHttpsAgent} are Node's own agents with another way to connect: pooling,
 * keep-alive, `maxSockets`, TLS sessions and timeouts work as they do in Node. {@link layer} gives both to
 * `NodeHttpClient`; {@link layerClient} is an `HttpClient` on them.
 *
 * @since 0.1.0
 */
import type * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Https from "node:https"
import { isIPv6 } from "node:net"
import type { Duplex } from "node:stream"
import * as OwnScope from "../../../services/OwnScope.ts"
import { ConnectFailed, type ConnectOptions, type Session, Sessions } from "../../../services/Sessions.ts"
import { SessionDuplex } from "../node/SessionDuplex.ts"

/**
 * What a request goes to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Target {
  /** A name or an address, without brackets. */
  readonly host: string
  readonly port: number
}

/**
 * The options of Node's agents (which keep connections alive here unless told otherwise), and these.
 *
 * @category options
 * @since 0.1.0
 */
export interface SessionHttpAgentOptions extends Https.AgentOptions {
  /**
   * The endpoint URI for a target, such as `local://billing` for the host `billing`. Where this gives none, and by
   * default, the endpoint is the target's `tcp://host:port`, or `unix://path` for a request with a `socketPath`.
   */
  readonly endpoint?: ((target: Target) => string | undefined) | undefined
  /** How to connect: where from, and how long it may take. */
  readonly connect?: ConnectOptions | undefined
}

const CODES: Record<ConnectFailed["reason"]["_tag"], string> = {
  InvalidEndpoint: "EINVAL",
  InvalidSource: "EINVAL",
  OutOfScope: "EACCES",
  Refused: "ECONNREFUSED",
  ConnectionRefused: "ECONNREFUSED",
  AddressInUse: "EADDRINUSE",
  AddressNotAvailable: "EADDRNOTAVAIL",
  PermissionDenied: "EACCES",
  Unreachable: "EHOSTUNREACH",
  TimedOut: "ETIMEDOUT",
  Reset: "ECONNRESET",
  TlsFailed: "EPROTO",
  TransportFailed: "EIO",
  Detached: "ENOTCONN"
}

const failed = (cause: Cause.Cause<ConnectFailed>): NodeJS.ErrnoException => {
  const error = Cause.squash(cause)
  const code = error instanceof ConnectFailed ? CODES[error.reason._tag] : "ECONNABORTED"
  const detail = error instanceof ConnectFailed ? error.message : "the agent was destroyed"
  return Object.assign(new Error(`connect ${code}: ${detail}`, { cause: error }), { code, syscall: "connect" })
}

type Callback = (error: Error | null, stream: Duplex) => void

/** What an agent was asked to connect to; `socketPath` where it is a path. */
type Request = Http.ClientRequestArgs & { readonly socketPath?: string | null | undefined }

/** Connects for an agent. A connection's session is closed with it. */
class Dialer {
  readonly #sessions: Sessions["Service"]
  readonly #options: SessionHttpAgentOptions
  readonly #connecting = new Set<Fiber.Fiber<Session, ConnectFailed>>()

  constructor(sessions: Sessions["Service"], options: SessionHttpAgentOptions) {
    this.#sessions = sessions
    this.#options = options
  }

  #endpoint({ host, port, socketPath }: Request, defaultPort: number): string {
    if (typeof socketPath === "string") return `unix://${socketPath}`
    const target = { host: host ?? "localhost", port: Number(port ?? defaultPort) }
    return this.#options.endpoint?.(target) ??
      `tcp://${isIPv6(target.host) ? `[${target.host}]` : target.host}:${target.port}`
  }

  dial(request: Request, defaultPort: number, connected: (error: Error | null, duplex?: SessionDuplex) => void): void {
    const scope = Scope.makeUnsafe()
    const close = (): void => void Effect.runFork(Scope.close(scope, Exit.void))
    const fiber = Effect.runFork(
      OwnScope.into(scope, this.#sessions.connect(this.#endpoint(request, defaultPort), this.#options.connect))
    )
    this.#connecting.add(fiber)
    fiber.addObserver((exit) => {
      this.#connecting.delete(fiber)
      if (Exit.isFailure(exit)) return connected(failed(exit.cause))
      const duplex = new SessionDuplex(exit.value)
      duplex.once("close", close)
      connected(null, duplex)
    })
  }

  stop(): void {
    for (const fiber of this.#connecting) fiber.interruptUnsafe()
  }
}

/**
 * Node's `http.Agent` on sessions.
 *
 * **When to use**
 *
 * For `http.request`, and for libraries that take an agent. With Effect's `HttpClient`, use {@link layerClient}.
 *
 * **Details** A connect that fails is the request's `error`, with Node's code and the {@link ConnectFailed} as `cause`.
 * `destroy` also cancels the connects that are under way.
 *
 * @category models
 * @since 0.1.0
 */
export class SessionHttpAgent extends Http.Agent {
  readonly #dialer: Dialer

  constructor(sessions: Sessions["Service"], options: SessionHttpAgentOptions = {}) {
    const { connect: _connect, endpoint: _endpoint, ...rest } = options
    super({ keepAlive: true, ...rest })
    this.#dialer = new Dialer(sessions, options)
  }

  override createConnection(options: Http.ClientRequestArgs, callback?: Callback): undefined {
    this.#dialer.dial(options, 80, (error, duplex) => callback?.(error, duplex!))
  }

  override destroy(): void {
    this.#dialer.stop()
    super.destroy()
  }
}

/**
 * Node's `https.Agent` on sessions: TLS is Node's, over the session. See {@link SessionHttpAgent}.
 *
 * @category models
 * @since 0.1.0
 */
export class SessionHttpsAgent extends Https.Agent {
  readonly #dialer: Dialer

  constructor(sessions: Sessions["Service"], options: SessionHttpAgentOptions = {}) {
    const { connect: _connect, endpoint: _endpoint, ...rest } = options
    super({ keepAlive: true, ...rest })
    this.#dialer = new Dialer(sessions, options)
  }

  override createConnection(options: Https.RequestOptions, callback?: Callback): undefined {
    this.#dialer.dial(options, 443, (error, duplex) => {
      if (duplex === undefined) return callback?.(error, duplex!)
      // `tls.connect` reports what fails the stream under it
      callback?.(null, super.createConnection({ ...options, socket: duplex } as Https.RequestOptions)!)
    })
  }

  override destroy(): void {
    this.#dialer.stop()
    super.destroy()
  }
}

/**
 * The agents of `NodeHttpClient.layerNodeHttpNoAgent`, destroyed with the scope.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: SessionHttpAgentOptions
): Layer.Layer<NodeHttpClient.HttpAgent, never, Sessions> =>
  Layer.unwrap(
    Effect.gen(function*() {
      const sessions = yield* Sessions
      // only a worker that uses it loads it
      const { HttpAgent } = yield* Effect.promise(() => import("@effect/platform-node/NodeHttpClient"))
      return Layer.effect(
        HttpAgent,
        Effect.acquireRelease(
          Effect.sync(() =>
            HttpAgent.of({
              http: new SessionHttpAgent(sessions, options),
              https: new SessionHttpsAgent(sessions, options)
            })
          ),
          ({ http, https }) =>
            Effect.sync(() => {
              http.destroy()
              https.destroy()
            })
        )
      )
    })
  )

/**
 * An `HttpClient` whose connections are sessions.
 *
 * **When to use**
 *
 * For requests of a worker that should be subject to the host's rules and counters, or that go to another application
 * of the same host.
 *
 * **Example** (A client of another application of this host)
 *
 * ```ts
 * SessionHttpAgent.layerClient({ endpoint: ({ host }) => host === "billing" ? "local://billing" : undefined })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClient = (
  options?: SessionHttpAgentOptions
): Layer.Layer<HttpClient.HttpClient, never, Sessions> =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("@effect/platform-node/NodeHttpClient")),
      ({ layerNodeHttpNoAgent }) => Layer.provide(layerNodeHttpNoAgent, layer(options))
    )
  )
