/** The other end of a connection whose near end is tested: one of the system's sockets, and what it has seen. */
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import { setTimeout as sleep } from "node:timers/promises"
import * as Tls from "node:tls"
import type { Wire } from "./Wire.ts"

export class SocketPeer {
  readonly socket: Net.Socket
  readonly wire: Wire
  ended = false
  closed = false
  error: NodeJS.ErrnoException | undefined
  bytes = 0
  #received: Array<Buffer> = []
  #onChange: Array<() => void> = []

  constructor(socket: Net.Socket, wire: Wire) {
    this.socket = socket
    this.wire = wire
    this.#watch(socket)
  }

  #watch(stream: Duplex): void {
    const changed = (): void => this.#onChange.splice(0).forEach((resume) => resume())
    stream.on("data", (bytes: Buffer) => {
      this.#received.push(bytes)
      this.bytes += bytes.length
      changed()
    })
    stream.on("end", () => {
      this.ended = true
      changed()
    })
    stream.on("error", (error) => {
      this.error = error
      changed()
    })
    stream.on("close", () => {
      this.closed = true
      changed()
    })
  }

  get received(): Buffer {
    return Buffer.concat(this.#received)
  }

  get text(): string {
    return this.received.toString()
  }

  /** Waits until it holds, at most 10 seconds. */
  async until(what: string, holds: () => boolean): Promise<void> {
    const end = performance.now() + 10_000
    while (!holds()) {
      if (performance.now() > end) throw new Error(`this did not happen: ${what}`)
      await Promise.race([new Promise<void>((resolve) => this.#onChange.push(resolve)), sleep(100)])
    }
  }

  untilText(text: string): Promise<void> {
    return this.until(`"${text}" received, not "${this.text.slice(0, 100)}"`, () => this.text === text)
  }

  untilEnded(): Promise<void> {
    return this.until("an end", () => this.ended)
  }

  untilClosedOrEnded(): Promise<void> {
    return this.until("closed, or an end", () => this.closed || this.ended)
  }

  untilClosed(): Promise<void> {
    return this.until("closed", () => this.closed)
  }

  /** Waits until nothing more of what was sent leaves this end. */
  async untilStopped(): Promise<void> {
    for (let unsent = -1; unsent !== this.socket.writableLength;) {
      unsent = this.socket.writableLength
      await sleep(100)
    }
    if (this.socket.writableLength === 0) throw new Error("all of it went out")
  }

  reset(): void {
    this.socket.resetAndDestroy()
  }

  /** From here on the connection is TLS; this end is its client, or, with a certificate, its server. */
  async secure(options: Tls.TLSSocketOptions & Tls.ConnectionOptions): Promise<Tls.TLSSocket> {
    this.socket.removeAllListeners("data")
    this.socket.pause()
    const secured = options.isServer === true
      ? new Tls.TLSSocket(this.socket, options)
      : Tls.connect({ ...options, socket: this.socket })
    this.#received = []
    this.ended = false
    this.#watch(secured)
    await new Promise<void>((resolve, reject) => {
      secured.once(options.isServer === true ? "secure" : "secureConnect", resolve)
      secured.once("error", reject)
      // the other end did not want to
      secured.once("end", resolve)
      secured.once("close", resolve)
    })
    return secured
  }
}

export const connected = (port: number): Promise<Net.Socket> =>
  new Promise((resolve, reject) => {
    const socket = Net.connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true })
    socket.once("error", reject)
    socket.once("connect", () => {
      socket.off("error", reject)
      resolve(socket)
    })
  })
