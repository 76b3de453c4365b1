/**
 * A network in memory: who listens where, and which peers meet which connections.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as ConnectionLoss from "../../domain/net/ConnectionLoss.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import type {
  SharedConnection,
  TransportConnectOptions,
  TransportError,
  TransportListenOptions
} from "../../services/Transport.ts"
import { type Bindable, covers, loopback, type MemoryEndpoint, named, parse, reached } from "./MemoryAddress.ts"
import { MemoryConnection, PEER_RESET } from "./MemoryConnection.ts"
import { type Peer, ScriptedPeer } from "./MemoryPeer.ts"

/** The first and the last of the ports that are given where any port is asked for. */
const FIRST_PORT = 49_152
const LAST_PORT = 65_535

/**
 * What becomes of a connect that nobody answers: it is reset while half-open, it times out as the system would have it,
 * or its endpoint is unreachable.
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

/** A listener of either side. */
interface Bound extends Bindable {
  /** Takes a peer that dials, or answers the host's connect. */
  readonly connect: (dialled: Dialled) => void
}

/** A listener of the host. */
export interface HostBound {
  readonly endpoint: MemoryEndpoint
  /** So many milliseconds have passed for its connections. */
  readonly passed: (millis: number) => void
  readonly close: () => void
}

/** Why an attempt to connect failed. */
export interface ConnectFault {
  readonly reason: TransportError["reason"]
  readonly detail: string
}

/** One attempt to connect. */
interface Dialled {
  readonly peer: ScriptedPeer
  /** The connection is there. */
  readonly answer: (connection: MemoryConnection) => void
  readonly fail: (fault: ConnectFault) => void
}

const refused: ConnectFault = { reason: "ConnectionRefused", detail: "nobody listens there" }

const failures: Readonly<Record<ConnectFailure, ConnectFault>> = {
  Reset: { reason: "Reset", detail: PEER_RESET },
  TimedOut: { reason: "TimedOut", detail: "the host did not answer" },
  Unreachable: { reason: "Unreachable", detail: "there is no route to that host" }
}

const sourceInUse = (source: Endpoint.InetEndpoint): ConnectFault => ({
  reason: "AddressInUse",
  detail: `source ${Endpoint.format(source)} is in use; choose another port, or port 0 for a free one`
})

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
   * connection. Where nobody listens it is refused. `from`: the peer's address, on this machine unless given. Throws for a
   * text that is not an endpoint.
   */
  dial(endpoint: string, from?: string): Peer {
    const asked = parse(endpoint)
    const to = { ...asked, host: reached(asked.host) }
    const peer = new ScriptedPeer(
      Endpoint.format({ ...to, host: from ?? loopback(to.host), port: this.#freePort() }),
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
   * addresses too. Throws for a text that is not an endpoint, and for an endpoint that is taken.
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
    const failAll = (fault: ConnectFault): void => {
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
   * Makes an endpoint, or with port 0 all endpoints of a machine, unreachable for the host's connects. Returns a
   * function that ends this. Throws for a text that is not an endpoint.
   */
  unreachable(endpoint: string): () => void {
    const key = Endpoint.format(parse(endpoint))
    this.#unreachable.add(key)
    return () => void this.#unreachable.delete(key)
  }

  // ---- the host's side

  /** Listens for the host; `undefined` when the endpoint is taken. */
  bind(endpoint: MemoryEndpoint, options: TransportListenOptions): HostBound | undefined {
    const connections = new Set<MemoryConnection>()
    const bound = this.#bind(this.#host, named(endpoint), options.ipv6Only, (dialled) => {
      const connection = new MemoryConnection(dialled.peer, options.listener)
      connections.add(connection)
      dialled.peer.onOver = () => void connections.delete(connection)
      options.accept(connection)
      dialled.answer(connection)
    })
    if (bound === undefined) return undefined
    return {
      endpoint: bound.endpoint,
      passed: (millis) => {
        for (const connection of connections) connection.passed(millis)
      },
      close: () => this.#unbind(this.#host, bound)
    }
  }

  /** Connects for the host. Returns how to cancel it. */
  connect(
    asked: MemoryEndpoint,
    { source }: TransportConnectOptions,
    done: (result: Result.Result<SharedConnection, ConnectFault>) => void
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
      const fail = (fault: ConnectFault): void => {
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
      peer.over(ConnectionLoss.GIVEN_UP)
    }
  }

  /** Whether a listener has the source, or another connection that goes the same way. */
  #isUsed({ host, port }: Endpoint.InetEndpoint, attempt: string): boolean {
    return this.#sources.has(attempt) || this.#isTaken({ endpoint: { _tag: "tcp", host, port }, ipv6Only: false })
  }

  /** Why there is no route to an endpoint. */
  #why(to: MemoryEndpoint): ConnectFault | undefined {
    if (this.#unreachable.has(Endpoint.format(to)) || this.#unreachable.has(Endpoint.format({ ...to, port: 0 }))) {
      return failures.Unreachable
    }
    if (Endpoint.family(to) !== undefined || this.#scripted.some((bound) => covers(bound, to.host))) return undefined
    return { reason: "Unreachable", detail: `no host named ${to.host} was found` }
  }

  #reach(listeners: ReadonlyArray<Bound>, to: MemoryEndpoint, dialled: Dialled): void {
    const bound = listeners.find((bound) => bound.endpoint.port === to.port && covers(bound, to.host))
    if (bound === undefined) dialled.fail(refused)
    else bound.connect(dialled)
  }

  #bind(
    listeners: Array<Bound>,
    asked: MemoryEndpoint,
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

  #isTaken(wanted: Bindable): boolean {
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
