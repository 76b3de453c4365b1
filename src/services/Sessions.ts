/**
 * What an application sees of the session layer: the same in every worker, on a thread or in the host's process.
 *
 * A {@link Session} is plain synchronous code with edges: its {@link SessionHandler} is told that there are bytes to
 * read or room to write, and reads and writes without waiting. The Effect functions built on it wait for those edges.
 * Edges are never delivered from inside the call that caused them. Sessions, how to get them and how that can fail are
 * one contract, and therefore one file.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { AsyncResource } from "node:async_hooks"
import type * as Net from "node:net"
import type { SessionAbout } from "../domain/memory/SessionAbout.ts"
import type { SocketOption } from "../domain/net/SocketOption.ts"
import type { AppIndex, ListenerHandle, SessionHandle, WorkerIndex, WorkerMapIndex } from "../domain/state/Handle.ts"
import type * as Refusal from "../domain/state/Refusal.ts"

/**
 * The edges of a session. Every function is optional; one that throws ends its session with a reset.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionHandler {
  /** Bytes have come in since the last call: read until {@link Session.read} gives nothing, or come back for the rest. */
  readable?(session: Session): void
  /** A write that was cut short can go on. */
  writable?(session: Session): void
  /** The peer will send nothing more. What it sent before can still be read; writing goes on. */
  ended?(session: Session): void
  /**
   * The connection is gone: `reset` says why it broke; without it, neither side has more to say. Called once. Without a
   * reset, what is still there can be read; a session whose rest nobody reads keeps its memory until it is closed here.
   */
  closed?(session: Session, reset: string | undefined): void
  /**
   * The session was parked, and goes on with another worker: here it is over, and its peer has seen nothing. Without
   * this function, `closed` is called, as for a session that ends in order.
   */
  moved?(session: Session): void
}

/**
 * What is known of a session before it is taken.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionOffer {
  /**
   * Endpoint URIs of the peer and of this end. An IPv4 address is written as IPv4, also where the connection came to a
   * listener on `[::]`; Node's sockets over the session write it as IPv6 there, `::ffff:10.0.0.1`.
   */
  readonly remote: string
  readonly local: string
  /** What else is known of the session: its TLS handshake, and the proxy that it came through. */
  readonly about: SessionAbout
  /**
   * What the session's edges run in: a store of an `AsyncLocalStorage` that an edge enters is seen by no other session,
   * and each edge begins with those of whoever listened or connected. `runInAsyncScope` does the same for other calls.
   */
  readonly resource: AsyncResource
  /** Whether the peer is another worker of this host, and the bytes go directly between the two workers (W16). */
  readonly cutThrough: boolean
  /** Whether the session carries datagrams: then it is used with `SessionDatagrams`, which keeps them apart. */
  readonly datagrams: boolean
}

/**
 * One session.
 *
 * **Details** Reading and writing copy between the caller's bytes and the session's fifos. {@link peek} and
 * {@link drop} read without a copy. A session that is no longer open reads what is left and writes nothing.
 *
 * @category models
 * @since 0.1.0
 */
export interface Session extends SessionOffer {
  readonly handle: SessionHandle
  /** Whether the IPv4 addresses of this session are those of an IPv6 socket, as of a listener on `[::]`. */
  readonly mapped: boolean
  /** Set it to hear of edges; what is there already is not announced again. */
  handler: SessionHandler | undefined
  /** Bytes that can be read now. */
  readonly available: number
  /** The most bytes that can wait to be read, and the most written bytes that can wait to be sent. */
  readonly rxBound: number
  readonly txBound: number
  /** Whether the peer has ended its side; bytes may still be available. */
  readonly ended: boolean
  /** Whether writes still go out: no longer after {@link end}, {@link close}, {@link abort} or a lost connection. */
  readonly writable: boolean
  /** Whether the connection is gone, or was given up here. */
  readonly closed: boolean
  /** Why the connection broke, once it has. */
  readonly reset: string | undefined
  /** The next bytes that are contiguous in the fifo, without a copy; valid until they are dropped. */
  peek(max?: number): Uint8Array | undefined
  /** Frees the first `length` bytes of what {@link peek} showed. */
  drop(length: number): void
  /** A copy of what is available, up to `max` bytes; `undefined` when nothing is. */
  read(max?: number): Uint8Array | undefined
  /**
   * Takes as many of `bytes`, from offset `from` on, as there is room for, and returns how many that was. If it was not
   * all of them, {@link SessionHandler.writable} says when to go on. Returns -1 when the session takes no more writes.
   */
  write(bytes: Uint8Array, from?: number): number
  /**
   * Takes all of `parts` or nothing, and returns how many bytes it took: 0 if there is no room for all of them; then
   * {@link SessionHandler.writable} says when there is. Returns -1 when the session takes no more writes. More than
   * {@link txBound} bytes never fit, and throw a `RangeError`.
   */
  writeWhole(parts: ReadonlyArray<Uint8Array>): number
  /** Half-close: the peer reads an end after what was written. Idempotent. */
  end(): void
  /**
   * Gives the session up. What was written is still sent, and `rest` after it, whatever comes in; both are bounded by
   * the listener's `closeTimeout` and the least rate that goes with it. The session's place in the limits is free as
   * soon as all is sent. What was not read, and what comes in, is discarded. Idempotent.
   *
   * **Details** What there is no room for of `rest` is copied before this returns, if all that sessions of this thread
   * have kept so is no more than 64 MiB with it; otherwise the peer reads an end after what there was room for.
   */
  close(rest?: ReadonlyArray<Uint8Array>): void
  /** Breaks the connection: the peer sees a reset. Idempotent. */
  abort(): void
  /**
   * Says that the session stands between two messages, so that it may go on with another worker (X1): everything that was
   * read has been dealt with, everything that is to be sent was written, and what the application knows of the session it
   * can do without, or gives along as `state`, up to 4096 bytes.
   *
   * **Details** The session stays here, and is taken up again by whatever is done with it: reading, writing, ending it.
   * When bytes come for it and this worker does not take it up in the time that an offer has (`revokeAfter`), or when
   * this worker is to stop or dies, it goes to another worker as a new session, with the bytes and with a copy of `state`,
   * which is `about.state` there; here, {@link SessionHandler.moved} is called. A session that was just accepted is parked
   * until something is done with it. One that is parked already is parked anew, with the `state` of this call. Bytes of the
   * next message may have come: they stay where they are, and `readable` follows. An application that is told of bytes and
   * leaves them where they are keeps the session; another worker would not want them either. A session whose socket has
   * moved to this worker goes to another one only when this worker is to stop.
   *
   * Returns `undefined`, or why the session is not parked; then nothing has changed, and a session that was parked still
   * is. `Refusal.ParkRefusals` says what the reasons mean.
   */
  park(state?: Uint8Array): Refusal.ParkRefusal | undefined
  /**
   * Joins this session to another one of this worker: from here on the host moves the bytes between their connections,
   * beginning with what was received and not read here, and the end of one side becomes the end of the other. Neither
   * session is read or written here any longer; {@link close} or {@link abort} of either one ends both. Nothing
   * happens, and `false` is returned, when one of them is cut-through, has moved to this worker, is joined already, was
   * ended or given up here, or has broken, or when one carries datagrams and the other does not.
   */
  splice(other: Session): boolean
  /**
   * Has the system treat the connection as an option says, wherever its socket is. What comes later holds, for all that
   * is sent from then on. It is nothing to a session without a socket of IP: one that is cut-through, or goes over UDP
   * or a Unix socket.
   */
  setOption(option: SocketOption): void
  /**
   * Takes the socket out of a session that has moved to this worker together with its socket, with everything that has
   * not been read yet, for code that is written for sockets. The session no longer hears edges, and is closed when the
   * socket is. `undefined` when the session has no socket of its own, or has ended already.
   */
  takeSocket(): Net.Socket | undefined
}

/**
 * Which worker this is.
 *
 * @category models
 * @since 0.1.0
 */
export interface WorkerInfo {
  readonly app: string
  readonly appIndex: AppIndex
  readonly workerIndex: WorkerIndex
  /** 0 to the number of workers - 1; stays the same across restarts. */
  readonly worker: WorkerMapIndex
  readonly kind: "thread" | "in-process"
  /** How often this worker had been started before this start. */
  readonly restarts: number
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Listener {
  readonly handle: ListenerHandle
  /** Endpoint URI; where port 0 was asked for, with the port that the system chose. */
  readonly local: string
}

/**
 * How to listen.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListenOptions {
  /** Connections that the system holds until the listener accepts them, 1 to 65535; the application's by default. */
  readonly backlog?: number | undefined
  /** Whether `[::]` takes IPv6 connections only; by default it takes IPv4 ones too. */
  readonly ipv6Only?: boolean | undefined
  /**
   * Whether what listens is a server of HTTP/1, in the clear or behind TLS that ends in the host: a peer that the host
   * refuses is then answered with `503`, unless the option `refuseWith` says otherwise. Where workers differ, the last one
   * that has begun to serve the listener decides.
   */
  readonly speaksHttp?: boolean | undefined
  /**
   * Asked once about each session that this worker is offered, when all of {@link SessionOffer} is known and nothing of
   * the session has been read: `true`, or a sentence that says why, refuses the session (W16). It must answer at once;
   * one that throws refuses.
   *
   * **Details** The peer of a refused connection sees a reset. A connect of another worker of this host fails with
   * `Refused`, whose `why` is `app-refused` and whose `detail` is the sentence, cut after 224 bytes of UTF-8. A refusal
   * is final: no other worker is asked. Each datagram of a remote address that was refused is another session.
   */
  readonly refuse?: ((offer: SessionOffer) => string | boolean | undefined) | undefined
}

/**
 * How to connect.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectOptions {
  /** Endpoint URI to connect from; port 0 for any. By default the system chooses. */
  readonly source?: string | undefined
  /** Time after which the attempt fails with `TimedOut`, at least 1 ms; the application's `connectTimeout` by default. */
  readonly timeout?: Duration.Input | undefined
}

/** Each of the reasons, with a sentence that says what is wrong, and what would be right. */
type Explained<Reason extends string> = { [Tag in Reason]: { readonly _tag: Tag; readonly detail: string } }[Reason]

const sentenceOf = (reason: { readonly detail: string; readonly why?: string }): string =>
  reason.why !== undefined ? `${reason.why}: ${reason.detail}` : reason.detail

/**
 * The host could not listen there, or refused to.
 *
 * **Details** `reason` is tagged: `Refusal.ListenReasons` says what each tag means.
 *
 * @category errors
 * @since 0.1.0
 */
export class ListenFailed extends Data.TaggedError("ListenFailed")<{
  readonly endpoint: string
  readonly reason: Explained<Refusal.ListenReason>
}> {
  /** What is wrong, and what would be right. */
  get detail(): string {
    return sentenceOf(this.reason)
  }

  override get message(): string {
    return `can't listen on ${this.endpoint}: ${this.detail}`
  }
}

/**
 * The error of a listener that was given no endpoint, in an application that was given none either.
 *
 * @category accessors
 * @since 0.1.0
 */
export const noEndpoint = (): ListenFailed =>
  new ListenFailed({
    endpoint: "",
    reason: {
      _tag: "InvalidEndpoint",
      detail: `the host was given no endpoint to serve; name one, as in "tcp://127.0.0.1:8080"`
    }
  })

/**
 * An unlisten that changed nothing: the listener is another application's, or no longer exists (W9).
 *
 * @category errors
 * @since 0.1.0
 */
export class UnlistenFailed extends Data.TaggedError("UnlistenFailed")<{
  readonly listener: string
  readonly reason: Explained<typeof Refusal.UnlistenReasons[number]>
}> {
  /** What is wrong. */
  get detail(): string {
    return sentenceOf(this.reason)
  }

  override get message(): string {
    return `can't stop listener ${this.listener}: ${this.detail}`
  }
}

/**
 * A connect that did not become a session.
 *
 * **Details** `reason` is tagged. `Refused` comes from the host itself (M7): its `why` names the limit or the rule.
 * `Refusal.ConnectReasons` says what the other tags mean.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectFailed extends Data.TaggedError("ConnectFailed")<{
  readonly endpoint: string
  readonly reason:
    | Explained<Refusal.ConnectReason>
    | { readonly _tag: "Refused"; readonly why: Refusal.Why; readonly detail: string }
}> {
  /** What is wrong, and what would be right; for a refusal, it begins with the reason why. */
  get detail(): string {
    return sentenceOf(this.reason)
  }

  override get message(): string {
    return `can't connect to ${this.endpoint}: ${this.detail}`
  }
}

/**
 * What an application asks of the session layer, from its worker.
 *
 * @category services
 * @since 0.1.0
 */
export class Sessions extends Context.Service<Sessions, {
  readonly worker: WorkerInfo
  /** Endpoint URIs that the host was told to serve with this application, in the order given. */
  readonly endpoints: ReadonlyArray<string>
  /** What the application was given when it was attached: the `config` of its options. */
  readonly config: unknown
  /**
   * Listens until the scope closes. Sessions that were accepted outlive their listener. `accept` is called for each
   * session that this worker has claimed; set the session's handler there.
   */
  readonly listen: (
    endpoint: string,
    accept: (session: Session) => void,
    options?: ListenOptions
  ) => Effect.Effect<Listener, ListenFailed, Scope.Scope>
  /** Stops listening before the scope of {@link listen} closes. Sessions that were accepted go on (W9). */
  readonly unlisten: (listener: ListenerHandle) => Effect.Effect<void, UnlistenFailed>
  /** Opens a session to the endpoint. Closing the scope closes the session; an interruption cancels the attempt. */
  readonly connect: (
    endpoint: string,
    options?: ConnectOptions
  ) => Effect.Effect<Session, ConnectFailed, Scope.Scope>
  /** Completes when the host drains this worker: finish the work in hand, and keep nothing alive. */
  readonly draining: Effect.Effect<void>
  /**
   * Whether, in a drain, others go on with the session when it is parked here, and it need not be ended: other workers
   * with any (X1), another host with those that do not come over TLS (X4).
   */
  readonly handsOver: (session: Session) => Effect.Effect<boolean>
  /** Sessions that are open in this worker. */
  readonly open: Effect.Effect<number>
}>()("sluice/services/Sessions") {}

/**
 * An application that works directly on sessions: it listens on every endpoint that the host was told to serve with it,
 * and gives each session that this worker claims to `accept`.
 *
 * **When to use**
 *
 * For protocols of your own, where a fiber for each connection would cost too much. Code that is written for sockets
 * runs on the adapters: `SessionSocketServer`, `SessionHttpServer`, `SessionDuplex`.
 *
 * **Example** (An echo server)
 *
 * ```ts
 * export default layerAccept((session) => {
 *   session.handler = {
 *     readable: (session) => {
 *       for (let bytes = session.peek(); bytes !== undefined; bytes = session.peek()) {
 *         const taken = session.write(bytes)
 *         if (taken < 0) return session.abort()
 *         session.drop(taken)
 *         // `writable` says when there is room again
 *         if (taken < bytes.length) return
 *       }
 *       if (session.ended) session.close()
 *     },
 *     writable: (session) => session.handler?.readable?.(session),
 *     ended: (session) => session.handler?.readable?.(session)
 *   }
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerAccept = (
  accept: (session: Session) => void,
  options?: ListenOptions
): Layer.Layer<never, ListenFailed, Sessions> =>
  Layer.effectDiscard(
    Effect.flatMap(
      Sessions,
      (sessions) =>
        Effect.forEach(sessions.endpoints, (endpoint) => sessions.listen(endpoint, accept, options), { discard: true })
    )
  )
