/**
 * What comes before a session: the connections of one listener whose PROXY header or TLS handshake is under way.
 *
 * ```
 * accepted ─ denied? ─ PROXY header, of a trusted peer ─ denied? ─ TLS ─ a connection for a worker
 *                │                │                         │       │
 *                └────────────────┴── reset, counted once ──┴───────┘
 * ```
 *
 * They are bounded in number, and each in its time as a whole, however it is spent: a peer that sends a byte now and
 * then gets no more of it. Whatever ends one early ends it alone: its socket is destroyed, its timer cleared, and it is
 * counted by one reason.
 *
 * The source deny list is asked for the socket's own address before anything is read. A proxy can be denied like anyone
 * else; after its header it is asked for the source that the proxy names, which spares that one the handshake.
 */
import type * as Net from "node:net"
import type * as Tls from "node:tls"
import type { SessionAbout } from "../../domain/memory/SessionAbout.ts"
import * as Address from "../../domain/net/Address.ts"
import * as Prefix from "../../domain/net/Prefix.ts"
import * as ProxyHeader from "../../domain/net/ProxyHeader.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import type { TransportListenOptions } from "../../services/Transport.ts"
import * as TlsContexts from "./TlsContexts.ts"

/** A connection that has all behind it that comes before its session. */
export interface Arrived {
  /** To be read from, paused. */
  readonly socket: Net.Socket
  /** The socket below, where `socket` is one of TLS. */
  readonly below: Net.Socket | undefined
  readonly remote: string
  readonly local: string
  readonly about: SessionAbout | undefined
}

export interface HandshakeOptions {
  readonly listen: TransportListenOptions
  readonly transport: "tcp" | "tls"
  /** Does the handshakes, where there are any to be done here. */
  readonly acceptor: TlsContexts.Acceptor | undefined
  readonly arrived: (arrived: Arrived) => void
}

/** Errors are told by the close that follows them. */
const ignore = (): void => {}

export class Handshakes {
  readonly options: HandshakeOptions
  readonly #trusted: Prefix.PrefixSet
  readonly #underWay = new Set<Handshake>()

  constructor(options: HandshakeOptions) {
    this.options = options
    this.#trusted = new Prefix.PrefixSet(options.listen.listener.proxyTrust)
  }

  /** Takes a socket that has just been accepted: paused, and nothing has been read from it. */
  take(socket: Net.Socket): void {
    const { acceptor, arrived, listen, transport } = this.options
    socket.on("error", ignore)
    const { localAddress, localPort, remoteAddress, remotePort } = socket
    const isProxy = remoteAddress !== undefined && this.#trusted.has(Prefix.address(remoteAddress))
    const remote = Address.uri(transport, remoteAddress, remotePort)
    const local = Address.uri(transport, localAddress, localPort)
    if (!isProxy && acceptor === undefined) {
      socket.off("error", ignore)
      return arrived({ socket, below: undefined, remote, local, about: undefined })
    }
    if (listen.isDenied(remote, local)) return void socket.resetAndDestroy()
    const handshake = new Handshake(this, socket, remote, local)
    if (this.#underWay.size >= listen.listener.maxHandshakes) return handshake.fail("handshake-limit")
    this.#underWay.add(handshake)
    if (isProxy) handshake.readHeader()
    else handshake.secure()
  }

  over(handshake: Handshake): void {
    this.#underWay.delete(handshake)
  }

  /** Ends all that are under way: there is nobody to count them. */
  close(): void {
    for (const handshake of this.#underWay) handshake.end()
  }
}

class Handshake {
  readonly #all: Handshakes
  readonly #socket: Net.Socket
  #remote: string
  #local: string
  #proxy: SessionAbout["proxy"]
  readonly #timer: NodeJS.Timeout
  readonly #onClose: () => void
  /** What a socket that closes now counts as. */
  #stage: Ledger.RefuseReason = "tls-failed"
  #over = false

  constructor(all: Handshakes, socket: Net.Socket, remote: string, local: string) {
    this.#all = all
    this.#socket = socket
    this.#remote = remote
    this.#local = local
    this.#timer = setTimeout(() => this.fail("handshake-time"), all.options.listen.listener.handshakeTimeout)
    this.#onClose = () => this.fail(this.#stage)
    socket.on("close", this.#onClose)
  }

  /** `false` when it is over already. */
  #finish(): boolean {
    if (this.#over) return false
    this.#over = true
    clearTimeout(this.#timer)
    this.#socket.off("close", this.#onClose)
    this.#all.over(this)
    return true
  }

  end(): void {
    if (this.#finish() && !this.#socket.destroyed) this.#socket.resetAndDestroy()
  }

  fail(reason: Ledger.RefuseReason): void {
    if (this.#over) return
    this.#all.options.listen.refused(reason)
    this.end()
  }

  // ---- the PROXY header

  readHeader(): void {
    this.#stage = "proxy-header"
    let bytes: Buffer = Buffer.alloc(0)
    let waiting: Array<Buffer> = []
    let size = 0
    let needed = 0
    const onEnd = (): void => this.fail("proxy-header")
    const onData = (chunk: Buffer): void => {
      waiting.push(chunk)
      size += chunk.length
      if (size < needed) return
      bytes = Buffer.concat([bytes, ...waiting])
      waiting = []
      const parsed = ProxyHeader.parse(bytes)
      if (parsed._tag === "Invalid") return this.fail("proxy-header")
      if (parsed._tag === "Incomplete") {
        needed = parsed.needed
        return
      }
      const socket = this.#socket.off("data", onData).off("end", onEnd).pause()
      // what comes after it belongs to what comes after it
      const rest = bytes.subarray(parsed.bytes)
      if (rest.length > 0) socket.unshift(rest)
      this.#proceed(parsed.ends)
    }
    this.#socket.on("data", onData).on("end", onEnd).resume()
  }

  #proceed(ends: ProxyHeader.ProxyEnds | undefined): void {
    const { acceptor, listen, transport } = this.#all.options
    if (ends !== undefined) {
      this.#proxy = { remote: this.#remote, local: this.#local }
      this.#remote = Address.uri(transport, ends.source.host, ends.source.port)
      this.#local = Address.uri(transport, ends.destination.host, ends.destination.port)
    }
    if (acceptor === undefined) return this.#arrive(this.#socket, undefined)
    if (ends !== undefined && listen.isDenied(this.#remote, this.#local)) return this.end()
    this.secure()
  }

  // ---- TLS

  secure(): void {
    this.#stage = "tls-failed"
    const began = this.#all.options.acceptor?.accept(this.#socket, (socket) => this.#arrive(socket, socket))
    if (began !== true) this.fail("tls-failed")
  }

  #arrive(socket: Net.Socket, secure: Tls.TLSSocket | undefined): void {
    if (!this.#finish()) return
    const proxy = this.#proxy
    const about = secure === undefined && proxy === undefined ? undefined : {
      ...(secure !== undefined && { tls: TlsContexts.aboutOf(secure) }),
      ...(proxy !== undefined && { proxy })
    }
    if (secure === undefined) socket.off("error", ignore)
    this.#all.options.arrived({
      socket,
      below: secure === undefined ? undefined : this.#socket,
      remote: this.#remote,
      local: this.#local,
      about
    })
  }
}
