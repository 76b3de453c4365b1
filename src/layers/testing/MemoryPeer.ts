/**
 * The peers of a host in memory: what a test has at the other end of a connection.
 *
 * @since 0.1.0
 */
import type { FifoProducer } from "../../domain/memory/FifoProducer.ts"

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

/** The connection of a peer, as the peer has it. */
interface PeerConnection {
  /** Something has changed that the connection is to look at, in a microtask. */
  schedule(): void
  abort(): void
}

/** A peer, and the connection's side of it. */
export class ScriptedPeer implements Peer {
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
  connection: PeerConnection | undefined
  #received: Array<Buffer> = []
  readonly #outgoing: Array<Uint8Array> = []
  /** Hears of its end. */
  onOver: (() => void) | undefined
  /** Bytes of the first outgoing chunk that the host has taken, and of all. */
  #taken = 0
  takenBytes = 0
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

  /** Puts what fits into the fifo; returns whether anything did. */
  fill(rx: FifoProducer): boolean {
    let moved = false
    for (let chunk; (chunk = this.#outgoing[0]) !== undefined;) {
      const taken = rx.enqueue(chunk, this.#taken)
      if (taken === 0) return moved
      moved = true
      this.unsent -= taken
      this.#taken += taken
      this.takenBytes += taken
      if (this.#taken < chunk.length) continue
      this.#outgoing.shift()
      this.#taken = 0
    }
    return moved
  }

  /** What the host has taken, and no worker has read, is sent again before the rest. */
  putBack(bytes: Uint8Array): void {
    const first = this.#outgoing[0]
    if (first !== undefined) this.#outgoing[0] = first.subarray(this.#taken)
    this.#taken = 0
    this.#outgoing.unshift(bytes)
    this.unsent += bytes.length
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
