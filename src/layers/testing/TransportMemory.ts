/**
 * A transport without a kernel: connections between a host and plain objects in the same process.
 *
 * A {@link Network} is where both meet. {@link Network.dial} connects to a listener of the host,
 * {@link Network.listen} takes what the host connects to, and either gives a {@link Peer}: the other end of the
 * connection, which does what it is told and shows what has come.
 *
 * **Order** There are no timers and no I/O. What one side does reaches the other one in a microtask, never inside the
 * call, and one microtask carries all that was done until then: first bytes to the host, then bytes to the peer, then
 * ends. Nothing buffers in between but the peer's own list of what it has sent: a fifo that is full leaves it there,
 * and a peer that does not read takes nothing from the tx fifo. A reset loses what had not arrived.
 *
 * **Addresses** Every address is an address of both sides' machines, so any may be listened on and connected from.
 * `localhost` is 127.0.0.1; another name stands for itself, and is found while somebody listens on it or on any address. Connecting to any
 * address goes to the loopback address, as it does on Linux. Two connections may have the same source when they go to
 * different endpoints.
 *
 * **Gotchas** A connection that the host gives up with `close` waits for its peer's end as long as the peer likes.
 * `backlog` means nothing here, since every connection is accepted at once.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { isIPv6 } from "node:net"
import * as Fifo from "../../domain/memory/Fifo.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import {
  type ConnectionEnd,
  type ConnectionEvents,
  type SharedConnection,
  type Transport,
  type TransportConnectOptions,
  type TransportEndpointOf,
  TransportError,
  type TransportListenOptions
} from "../../services/Transport.ts"
import * as InetErrors from "../transport/InetErrors.ts"
import * as Transports from "../transport/Transports.ts"

/** The first of the ports that are given where none was asked for. */
const FIRST_PORT = 49_152
const LAST_PORT = 65_535

const GIVEN_UP = "the connection was given up"
const HOST_RESET = "the host reset the connection"
const PEER_RESET = "the peer reset the connection"
const NOBODY = "nobody listens there"

const noEvents: ConnectionEvents = {
  received() {},
  room() {},
  starved() {},
  ended() {},
  closed() {},
  corrupt() {}
}

/**
 * The other end of a connection of the host.
 *
 * @category models
 * @since 0.1.0
 */
export interface Peer {
  /** Endpoint URIs of this end and of the host's. */
  readonly local: string
  readonly remote: string
  /** Whether the host has begun to move bytes. A connection that waits for a worker is neither opened nor closed. */
  readonly opened: boolean
  /** Whether the connection was broken before the host had opened it. */
  readonly refused: boolean
  /** Whether the host has ended its side; all that it sent before has been received. */
  readonly ended: boolean
  /** Whether the connection is gone, whole or broken. */
  readonly closed: boolean
  /** Why the connection broke, once it has. */
  readonly broken: string | undefined
  /** Bytes that were sent and that the host has not taken yet. */
  readonly unsent: number
  /** How many bytes have come. */
  readonly receivedBytes: number
  /** Called in a microtask when bytes have come, or an end. */
  changed: (() => void) | undefined
  /** A copy of all bytes that have come so far. */
  received(): Buffer
  send(bytes: Uint8Array | string): void
  /** Half-close: the host reads an end after what was sent. */
  end(): void
  /** Breaks the connection. */
  reset(): void
  /** Takes no more bytes until {@link read}. */
  stop(): void
  /** Takes `bytes` more, by default all there will be. */
  read(bytes?: number): void
}

/**
 * What becomes of a connect that nobody answers: reset while half-open, the system's time over, or no way there.
 *
 * @category models
 * @since 0.1.0
 */
export type ConnectFailure = "Reset" | "TimedOut" | "Unreachable"

/**
 * A listener of the network that the host may connect to.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeerListener {
  /** Endpoint URI with the port that was given, where 0 was asked for. */
  readonly local: string
  /** Connects that are held. */
  readonly waiting: number
  /** Leaves connects unanswered, half-open, until {@link answer}. */
  hold(): void
  answer(): void
  /** Fails the connects that are held; those that come later are held again. */
  fail(reason: ConnectFailure): void
  /** Refuses what is held and all that comes. */
  close(): void
}

class ScriptedPeer implements Peer {
  readonly local: string
  readonly remote: string
  opened = false
  ended = false
  closed = false
  broken: string | undefined
  unsent = 0
  receivedBytes = 0
  changed: (() => void) | undefined
  /** The peer has ended its side, or broken the connection. */
  sentEnd = false
  sentReset = false
  /** Bytes that it still takes. */
  window = Infinity
  connection: MemoryConnection | undefined
  #received: Array<Buffer> = []
  readonly #outgoing: Array<Uint8Array> = []
  /** Hears of its end. */
  onOver: (() => void) | undefined
  /** Bytes of the first outgoing chunk that the host has taken. */
  #taken = 0
  #telling = false

  constructor(local: string, remote: string) {
    this.local = local
    this.remote = remote
  }

  get refused(): boolean {
    return this.broken !== undefined && !this.opened
  }

  received(): Buffer {
    const all = Buffer.concat(this.#received)
    this.#received = [all]
    return Buffer.from(all)
  }

  send(bytes: Uint8Array | string): void {
    if (this.closed || this.sentEnd || this.sentReset) return
    const chunk = typeof bytes === "string" ? Buffer.from(bytes) : bytes.slice()
    if (chunk.length === 0) return
    this.#outgoing.push(chunk)
    this.unsent += chunk.length
    this.connection?.schedule()
  }

  end(): void {
    this.sentEnd = true
    this.connection?.schedule()
  }

  reset(): void {
    this.sentReset = true
    this.connection?.schedule()
  }

  stop(): void {
    this.window = 0
  }

  read(bytes = Infinity): void {
    this.window += bytes
    this.connection?.schedule()
  }

  // ---- the connection's side

  /** Puts what fits into the fifo; whether anything did. */
  fill(rx: Fifo.FifoProducer): boolean {
    let moved = false
    for (let chunk; (chunk = this.#outgoing[0]) !== undefined;) {
      const taken = rx.enqueue(chunk, this.#taken)
      if (taken === 0) return moved
      moved = true
      this.unsent -= taken
      this.#taken += taken
      if (this.#taken < chunk.length) continue
      this.#outgoing.shift()
      this.#taken = 0
    }
    return moved
  }

  /** Forgets what the host does not want. */
  discard(): void {
    this.#outgoing.length = 0
    this.#taken = 0
    this.unsent = 0
  }

  take(bytes: Uint8Array): void {
    this.#received.push(Buffer.from(bytes))
    this.receivedBytes += bytes.length
    this.window -= bytes.length
    this.tell()
  }

  over(broken: string | undefined): void {
    if (this.closed) return
    this.closed = true
    this.broken = broken
    this.onOver?.()
    this.discard()
    this.tell()
  }

  tell(): void {
    if (this.#telling || this.changed === undefined) return
    this.#telling = true
    queueMicrotask(() => {
      this.#telling = false
      this.changed?.()
    })
  }
}

class MemoryConnection implements SharedConnection {
  readonly _tag = "Shared"
  readonly about = undefined
  readonly dropped = 0
  readonly remote: string
  readonly local: string
  onGone: (() => void) | undefined
  readonly #peer: ScriptedPeer
  #rx: Fifo.FifoProducer | undefined
  #end: ConnectionEnd | undefined
  #events = noEvents
  /** The rx fifo has no room, or there is no memory for it. */
  #paused = false
  #ending = false
  #closing = false
  #aborted = false
  #rxEnded = false
  #txEnded = false
  #gone: { readonly reset: string | undefined } | undefined
  #scheduled = false

  constructor(peer: ScriptedPeer) {
    this.remote = peer.local
    this.local = peer.remote
    this.#peer = peer
    peer.connection = this
  }

  /** Asked for each time: a session that is joined with another changes it. */
  get #tx(): Fifo.FifoConsumer | undefined {
    return this.#end?.tx
  }

  open(end: ConnectionEnd): void {
    this.#events = end
    if (this.#gone !== undefined) return queueMicrotask(() => this.#sayClosed())
    this.#rx = end.rx
    this.#end = end
    this.#peer.opened = true
    this.schedule()
  }

  resume(): void {
    if (!this.#paused || this.#closing) return
    this.#paused = false
    this.schedule()
  }

  send(): void {
    this.#tx?.clearEvent()
    this.schedule()
  }

  end(): void {
    this.#ending = true
    this.schedule()
  }

  close(): void {
    this.#closing = true
    this.end()
  }

  drain(): void {}

  abort(): void {
    this.#closing = true
    this.#aborted = true
    this.schedule()
  }

  schedule(): void {
    if (this.#scheduled || this.#gone !== undefined) return
    this.#scheduled = true
    queueMicrotask(this.#run)
  }

  /** All that happens on the connection happens here. */
  readonly #run = (): void => {
    this.#scheduled = false
    try {
      if (!this.#broken()) this.#receive()
      if (!this.#broken()) this.#transmit()
      if (!this.#broken() && this.#rxEnded && this.#txEnded) this.#over(undefined, undefined)
    } catch (error) {
      if (!(error instanceof Fifo.FifoCorrupt)) throw error
      const events = this.#events
      this.abort()
      events.corrupt(error)
    }
  }

  /** Whether the connection is gone, or goes now: either side may have broken it in what it was just told. */
  #broken(): boolean {
    if (this.#gone !== undefined) return true
    if (this.#aborted) this.#over(GIVEN_UP, HOST_RESET)
    else if (this.#peer.sentReset) this.#over(PEER_RESET, PEER_RESET)
    else return false
    return true
  }

  #receive(): void {
    const peer = this.#peer
    const rx = this.#rx
    if (this.#closing) peer.discard()
    else if (rx !== undefined) this.#fill(rx)
    if (this.#closing ? !peer.sentEnd : rx === undefined || !peer.sentEnd || peer.unsent > 0) return
    if (this.#rxEnded) return
    this.#rxEnded = true
    if (!this.#closing) this.#events.ended()
  }

  #fill(rx: Fifo.FifoProducer): void {
    const peer = this.#peer
    let moved = false
    let starved = false
    while (!this.#paused && peer.unsent > 0) {
      moved = peer.fill(rx) || moved
      if (peer.unsent === 0) break
      const wait = rx.wait()
      this.#paused = wait !== "ready"
      starved = wait === "memory"
    }
    if (moved) this.#events.received()
    if (starved && !this.#closing) this.#events.starved()
  }

  #transmit(): void {
    const peer = this.#peer
    let room = false
    for (let bytes; peer.window > 0 && (bytes = this.#tx?.peek(peer.window)) !== undefined;) {
      peer.take(bytes)
      room = this.#tx!.drop(bytes.length) || room
    }
    if (room) this.#events.room()
    if (!this.#ending || this.#txEnded || this.#aborted || (this.#tx?.size ?? 0) > 0) return
    this.#txEnded = true
    peer.ended = true
    peer.tell()
  }

  #over(reset: string | undefined, broken: string | undefined): void {
    this.#gone = { reset }
    this.#peer.over(broken)
    this.onGone?.()
    this.onGone = undefined
    this.#sayClosed()
  }

  #sayClosed(): void {
    const events = this.#events
    this.#events = noEvents
    this.#rx = undefined
    this.#end = undefined
    events.closed(this.#gone?.reset)
  }
}

/** A listener of either side. */
interface Bound {
  readonly endpoint: Tcp
  readonly ipv6Only: boolean
  /** Takes a peer that dials, or answers the host's connect. */
  readonly connect: (dialled: Dialled) => void
}

/** Why an attempt to connect failed. */
interface Fault {
  readonly reason: TransportError["reason"]
  readonly detail: string
}

/** One attempt to connect. */
interface Dialled {
  readonly peer: ScriptedPeer
  /** The connection is there. */
  readonly answer: (connection: MemoryConnection) => void
  readonly fail: (fault: Fault) => void
}

const refused: Fault = { reason: "ConnectionRefused", detail: NOBODY }

const failures: Readonly<Record<ConnectFailure, Fault>> = {
  Reset: { reason: "Reset", detail: PEER_RESET },
  TimedOut: { reason: "TimedOut", detail: "the host did not answer" },
  Unreachable: { reason: "Unreachable", detail: "there is no way to that host" }
}

const sourceInUse = (source: Endpoint.InetEndpoint): Fault => ({
  reason: "AddressInUse",
  detail: `source ${Endpoint.format(source)} is in use; choose another port, or port 0 for a free one`
})

const isAny = (host: string): boolean => host === "0.0.0.0" || host === "::"

const loopback = (host: string): string => isIPv6(host) ? "::1" : "127.0.0.1"

/** Where a connection to any address goes, and which address comes from there. */
const reached = (host: string): string => isAny(host) ? loopback(host) : host

type Tcp = TransportEndpointOf<"tcp">

const parse = (text: string): Tcp => {
  const endpoint = Result.getOrThrow(Endpoint.parseTransport(text))
  if (endpoint._tag !== "tcp") throw new Error(`the network in memory carries TCP only, not ${text}`)
  return named(endpoint)
}

/** With an address for the name that every machine has. */
const named = (endpoint: Tcp): Tcp => endpoint.host === "localhost" ? { ...endpoint, host: "127.0.0.1" } : endpoint

/** Whether a listener hears of connections to `to`. */
const covers = ({ endpoint: { host }, ipv6Only }: Pick<Bound, "endpoint" | "ipv6Only">, to: string): boolean =>
  host === to || (host === "::" && (!ipv6Only || isIPv6(to))) || (host === "0.0.0.0" && !isIPv6(to))

/**
 * Where hosts and scripted peers meet.
 *
 * @category models
 * @since 0.1.0
 */
export class Network {
  readonly #host: Array<Bound> = []
  readonly #scripted: Array<Bound> = []
  readonly #unreachable = new Set<string>()
  /** Where the host's connections come from and go to, half-open ones too. */
  readonly #sources = new Set<string>()
  #port = FIRST_PORT - 1

  /** Endpoint URIs that the host listens on. */
  get listening(): ReadonlyArray<string> {
    return this.#host.map(({ endpoint }) => Endpoint.format(endpoint))
  }

  /**
   * Connects to a listener of the host. The peer may send at once: what it sends is read when the host opens the
   * connection. Where nobody listens it is refused. Throws for a text that is no endpoint.
   */
  dial(endpoint: string): Peer {
    const asked = parse(endpoint)
    const to = { ...asked, host: reached(asked.host) }
    const peer = new ScriptedPeer(
      Endpoint.format({ ...to, host: loopback(to.host), port: this.#freePort() }),
      Endpoint.format(to)
    )
    queueMicrotask(() =>
      this.#reach(this.#host, to, {
        peer,
        answer: (connection) => connection.schedule(),
        fail: ({ detail }) => peer.over(detail)
      })
    )
    return peer
  }

  /**
   * Takes the host's connects to an endpoint: `onPeer` is given the other end of each. `[::]` takes those to IPv4
   * addresses too. Throws for a text that is no endpoint, and for an endpoint that is taken.
   */
  listen(endpoint: string, onPeer: (peer: Peer) => void): PeerListener {
    const waiting: Array<Dialled> = []
    let held = false
    const answer = (dialled: Dialled): void => {
      const connection = new MemoryConnection(dialled.peer)
      onPeer(dialled.peer)
      dialled.answer(connection)
    }
    const bound = this.#bind(this.#scripted, parse(endpoint), false, (dialled) => {
      if (held) waiting.push(dialled)
      else answer(dialled)
    })
    if (bound === undefined) throw new Error(`${endpoint} is taken`)
    const { endpoint: local } = bound
    const unbind = (): void => this.#unbind(this.#scripted, bound)
    const failAll = (fault: Fault): void => {
      for (const { fail } of waiting.splice(0)) queueMicrotask(() => fail(fault))
    }
    return {
      local: Endpoint.format(local),
      get waiting() {
        return waiting.filter(({ peer }) => !peer.sentReset).length
      },
      hold: () => {
        held = true
      },
      answer: () => {
        held = false
        for (const dialled of waiting.splice(0)) {
          queueMicrotask(() => dialled.peer.sentReset || answer(dialled))
        }
      },
      fail: (reason) => failAll(failures[reason]),
      close: () => {
        unbind()
        failAll(refused)
      }
    }
  }

  /**
   * Has no way to an endpoint, or with port 0 to all of a host, for the host's connects. Returns what ends that. Throws
   * for a text that is no endpoint.
   */
  unreachable(endpoint: string): () => void {
    const key = Endpoint.format(parse(endpoint))
    this.#unreachable.add(key)
    return () => void this.#unreachable.delete(key)
  }

  // ---- the host's side

  /** Listens for the host; `undefined` when the endpoint is taken. Returns the endpoint, and how to end it. */
  bind(
    endpoint: Tcp,
    options: TransportListenOptions
  ): { readonly endpoint: Tcp; readonly close: () => void } | undefined {
    const bound = this.#bind(this.#host, named(endpoint), options.ipv6Only, (dialled) => {
      const connection = new MemoryConnection(dialled.peer)
      options.accept(connection)
      dialled.answer(connection)
    })
    return bound === undefined ? undefined : { endpoint: bound.endpoint, close: () => this.#unbind(this.#host, bound) }
  }

  /** Connects for the host. Returns how to cancel it. */
  connect(
    asked: Tcp,
    { source }: TransportConnectOptions,
    done: (result: Result.Result<SharedConnection, Fault>) => void
  ): () => void {
    const endpoint = named(asked)
    const to = { ...endpoint, host: reached(endpoint.host) }
    const from = (port: number): string =>
      Endpoint.format({ ...to, host: source === undefined ? loopback(to.host) : reached(source.host), port })
    const key = (port: number): string => `${from(port)} > ${Endpoint.format(to)}`
    let port = source?.port ?? 0
    if (port === 0) {
      do port = this.#freePort()
      while (this.#sources.has(key(port)))
    }
    const peer = new ScriptedPeer(Endpoint.format(to), from(port))
    const attempt = key(port)
    if (source !== undefined && source.port !== 0 && this.#isUsed(source, attempt)) {
      queueMicrotask(() => done(Result.fail(sourceInUse(source))))
    } else {
      this.#sources.add(attempt)
      peer.onOver = () => void this.#sources.delete(attempt)
      const fail = (fault: Fault): void => {
        peer.over(fault.detail)
        done(Result.fail(fault))
      }
      queueMicrotask(() => {
        if (peer.sentReset) return
        const why = this.#why(to)
        if (why !== undefined) return fail(why)
        this.#reach(this.#scripted, to, { peer, answer: (connection) => done(Result.succeed(connection)), fail })
      })
    }
    return () => {
      if (peer.connection !== undefined) return peer.connection.abort()
      peer.sentReset = true
      peer.over(GIVEN_UP)
    }
  }

  /** Whether a listener has the source, or another connection that goes the same way. */
  #isUsed({ host, port }: Endpoint.InetEndpoint, attempt: string): boolean {
    return this.#sources.has(attempt) || this.#isTaken({ endpoint: { _tag: "tcp", host, port }, ipv6Only: false })
  }

  /** Why there is no way to an endpoint. */
  #why(to: Tcp): Fault | undefined {
    if (this.#unreachable.has(Endpoint.format(to)) || this.#unreachable.has(Endpoint.format({ ...to, port: 0 }))) {
      return failures.Unreachable
    }
    if (Endpoint.family(to) !== undefined || this.#scripted.some((bound) => covers(bound, to.host))) return undefined
    return { reason: "Unreachable", detail: `no host of the name ${to.host} was found` }
  }

  #reach(listeners: ReadonlyArray<Bound>, to: Tcp, dialled: Dialled): void {
    const bound = listeners.find((bound) => bound.endpoint.port === to.port && covers(bound, to.host))
    if (bound === undefined) dialled.fail(refused)
    else bound.connect(dialled)
  }

  #bind(
    listeners: Array<Bound>,
    asked: Tcp,
    ipv6Only: boolean,
    connect: Bound["connect"]
  ): Bound | undefined {
    const endpoint = asked.port === 0 ? { ...asked, port: this.#freePort() } : asked
    const bound = { endpoint, ipv6Only, connect }
    if (this.#isTaken(bound)) return undefined
    listeners.push(bound)
    return bound
  }

  #unbind(listeners: Array<Bound>, bound: Bound): void {
    const at = listeners.indexOf(bound)
    if (at >= 0) listeners.splice(at, 1)
  }

  #isTaken(wanted: Pick<Bound, "endpoint" | "ipv6Only">): boolean {
    const { host, port } = wanted.endpoint
    return [...this.#host, ...this.#scripted].some((bound) =>
      bound.endpoint.port === port && (covers(bound, host) || covers(wanted, bound.endpoint.host))
    )
  }

  /** The next port that no listener has. */
  #freePort(): number {
    do this.#port = this.#port === LAST_PORT ? FIRST_PORT : this.#port + 1
    while ([...this.#host, ...this.#scripted].some(({ endpoint }) => endpoint.port === this.#port))
    return this.#port
  }
}

const failed = (
  operation: TransportError["operation"],
  endpoint: Tcp,
  reason: TransportError["reason"],
  detail: string
): TransportError => new TransportError({ operation, endpoint: Endpoint.format(endpoint), reason, detail })

/**
 * The host's side of a network.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (network: Network): Layer.Layer<Transport> =>
  Transports.layer({
    tcp: {
      listen: Effect.fnUntraced(function*(endpoint, options) {
        const bound = yield* Effect.acquireRelease(
          Effect.suspend(() => {
            const bound = network.bind(endpoint, options)
            return bound === undefined
              ? Effect.fail(failed("listen", endpoint, "AddressInUse", "another listener has this endpoint"))
              : Effect.succeed(bound)
          }),
          ({ close }) => Effect.sync(close)
        )
        return bound.endpoint
      }),
      connect: (endpoint, options = {}) =>
        Effect.callback<SharedConnection, TransportError>((resume) => {
          const { source } = options
          const fault = source === undefined ? undefined : InetErrors.sourceFault(named(endpoint), source)
          if (fault !== undefined) return resume(Effect.fail(fault))
          const cancel = network.connect(endpoint, options, (result) =>
            resume(
              Result.isFailure(result)
                ? Effect.fail(failed("connect", endpoint, result.failure.reason, result.failure.detail))
                : Effect.succeed(result.success)
            ))
          return Effect.sync(cancel)
        })
    }
  })
