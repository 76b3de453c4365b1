/**
 * What may come before a TCP session: a PROXY header, and a TLS handshake that ends here.
 *
 * ```
 * accepted ─ denied? ─ PROXY header, of a trusted peer ─ denied? ─ TLS ─ a connection for a worker
 *                │                │                         │       │
 *                └────────────────┴── reset, counted once ──┴───────┘
 * ```
 *
 * Both steps share one place and one time in `Handshakes`, which bounds them.
 *
 * The source deny list is asked for the socket's own address before anything is read. A proxy can be denied like anyone
 * else; after its header, the list is asked for the source that the proxy names, and no handshake is done for a denied
 * one.
 */
import { constVoid } from "effect/Function"
import type * as Net from "node:net"
import type * as Tls from "node:tls"
import type { SessionAbout } from "../../domain/memory/SessionAbout.ts"
import * as Address from "../../domain/net/Address.ts"
import * as Prefix from "../../domain/net/Prefix.ts"
import * as ProxyHeader from "../../domain/net/ProxyHeader.ts"
import type { TransportListenOptions } from "../../services/Transport.ts"
import { type Handshake, Handshakes } from "./Handshakes.ts"
import * as TlsContexts from "./TlsContexts.ts"

/** A connection for which everything that comes before its session is done. */
export interface Arrived {
  /** The socket to read from, paused. */
  readonly socket: Net.Socket
  /** The socket below, where `socket` is a TLS socket. */
  readonly below: Net.Socket | undefined
  readonly remote: string
  readonly local: string
  /** Whether these are IPv4 addresses of an IPv6 socket. */
  readonly mapped: boolean
  readonly about: SessionAbout | undefined
}

export interface TcpHandshakesOptions {
  readonly listen: TransportListenOptions
  readonly transport: "tcp" | "tls"
  /** Does the TLS handshakes, where any are done here. */
  readonly acceptor: TlsContexts.Acceptor | undefined
  readonly arrived: (arrived: Arrived) => void
}

/** The connections of one listener. */
export class TcpHandshakes {
  readonly #options: TcpHandshakesOptions
  readonly #trusted: Prefix.PrefixSet
  readonly #handshakes: Handshakes

  constructor(options: TcpHandshakesOptions) {
    const { listener } = options.listen
    this.#options = options
    this.#trusted = new Prefix.PrefixSet(listener.proxyTrust)
    this.#handshakes = new Handshakes(listener)
  }

  /** Takes a socket that has just been accepted: paused, and nothing has been read from it. */
  take(socket: Net.Socket): void {
    const { acceptor, arrived, listen, transport } = this.#options
    const { localAddress, localPort, remoteAddress, remotePort } = socket
    const isProxy = remoteAddress !== undefined && this.#trusted.has(Prefix.address(remoteAddress))
    const remote = Address.uri(transport, remoteAddress, remotePort)
    const local = Address.uri(transport, localAddress, localPort)
    if (!isProxy && acceptor === undefined) {
      return arrived({
        socket,
        below: undefined,
        remote,
        local,
        about: undefined,
        mapped: Address.isMapped(remoteAddress)
      })
    }
    if (listen.isDenied(remote, local, isProxy)) return void socket.on("error", constVoid).resetAndDestroy()
    new TcpHandshake(this.#options, socket, remote, local).begin(this.#handshakes, isProxy)
  }

  /** Ends all handshakes that are under way: there is nobody to count them. */
  close(): void {
    this.#handshakes.close()
  }
}

class TcpHandshake {
  readonly #options: TcpHandshakesOptions
  readonly #socket: Net.Socket
  #remote: string
  #local: string
  #proxy: SessionAbout["proxy"]
  /** The step that is under way, which is counted as failed if it does not succeed. */
  #step: "proxy-header" | "tls-failed" = "tls-failed"

  constructor(options: TcpHandshakesOptions, socket: Net.Socket, remote: string, local: string) {
    this.#options = options
    this.#socket = socket
    this.#remote = remote
    this.#local = local
  }

  begin(handshakes: Handshakes, isProxy: boolean): void {
    const { refused } = this.#options.listen
    const handshake = handshakes.begin(this.#socket, (why) => refused(why === "failed" ? this.#step : why))
    if (handshake.isOver) return
    if (isProxy) this.#readHeader(handshake)
    else this.#secure(handshake)
  }

  // ---- the PROXY header

  #readHeader(handshake: Handshake): void {
    this.#step = "proxy-header"
    let bytes: Buffer = Buffer.alloc(0)
    let waiting: Array<Buffer> = []
    let size = 0
    let needed = 0
    const onEnd = (): void => handshake.fail()
    const onData = (chunk: Buffer): void => {
      waiting.push(chunk)
      size += chunk.length
      if (size < needed) return
      bytes = Buffer.concat([bytes, ...waiting])
      waiting = []
      const parsed = ProxyHeader.parse(bytes)
      if (parsed._tag === "Invalid") return handshake.fail()
      if (parsed._tag === "Incomplete") {
        needed = parsed.needed
        return
      }
      const socket = this.#socket.off("data", onData).off("end", onEnd).pause()
      // what follows the header belongs to the next step
      const rest = bytes.subarray(parsed.bytes)
      if (rest.length > 0) socket.unshift(rest)
      this.#proceed(handshake, parsed.ends)
    }
    this.#socket.on("data", onData).on("end", onEnd).resume()
  }

  #proceed(handshake: Handshake, ends: ProxyHeader.ProxyEnds | undefined): void {
    const { acceptor, listen, transport } = this.#options
    if (ends !== undefined) {
      this.#proxy = { remote: this.#remote, local: this.#local }
      this.#remote = Address.uri(transport, ends.source.host, ends.source.port)
      this.#local = Address.uri(transport, ends.destination.host, ends.destination.port)
    }
    if (acceptor === undefined) return this.#arrive(handshake, undefined)
    if (ends !== undefined && listen.isDenied(this.#remote, this.#local, false)) return handshake.end()
    this.#secure(handshake)
  }

  // ---- TLS

  #secure(handshake: Handshake): void {
    this.#step = "tls-failed"
    const began = this.#options.acceptor?.accept(this.#socket, (secure) => this.#arrive(handshake, secure))
    if (began !== true) handshake.fail()
  }

  #arrive(handshake: Handshake, secure: Tls.TLSSocket | undefined): void {
    if (!handshake.finish()) return
    const proxy = this.#proxy
    const about = secure === undefined && proxy === undefined ? undefined : {
      ...(secure !== undefined && { tls: TlsContexts.aboutOf(secure) }),
      ...(proxy !== undefined && { proxy })
    }
    if (secure === undefined) handshake.release()
    this.#options.arrived({
      socket: secure ?? this.#socket,
      below: secure === undefined ? undefined : this.#socket,
      remote: this.#remote,
      local: this.#local,
      // those that a proxy names are written as it does
      mapped: proxy === undefined && Address.isMapped(this.#socket.remoteAddress),
      about
    })
  }
}
