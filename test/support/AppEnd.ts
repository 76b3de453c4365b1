/**
 * The other side of a connection's fifos, as a worker has it: real producers and consumers over an arena in plain
 * memory. Everything that the connection says is recorded in order.
 */
import { assert } from "@effect/vitest"
import { Arena } from "../../src/domain/memory/Arena.ts"
import type * as Fifo from "../../src/domain/memory/Fifo.ts"
import { FifoConsumer } from "../../src/domain/memory/FifoConsumer.ts"
import { FifoProducer } from "../../src/domain/memory/FifoProducer.ts"
import * as Segment from "../../src/domain/memory/Segment.ts"
import * as SessionBlock from "../../src/domain/memory/SessionBlock.ts"
import type * as Ledger from "../../src/domain/state/Ledger.ts"
import type { Connection, ConnectionEvents, SharedConnection } from "../../src/services/Transport.ts"

/** Bytes for a session's blocks, unless a test says otherwise. */
const MEMORY = 4 << 20

/** The connection, which must be of the kind whose bytes go through fifos. */
export const sharedOf = (connection: Connection): SharedConnection => {
  assert(connection._tag === "Shared", "the connection moves")
  return connection
}

export class AppEnd implements ConnectionEvents {
  readonly connection: SharedConnection
  /** What was said, without repetitions of the same word in a row. */
  readonly said: Array<string> = []
  /** Events that came from inside a call: there must be none. */
  readonly inside: Array<string> = []
  readonly words: Int32Array
  readonly rx: FifoConsumer
  readonly tx: FifoProducer
  readonly #rxHost: FifoProducer
  readonly #txHost: FifoConsumer
  /** Whether there is memory for the rx fifo. */
  refuse = false
  /** Set by the last event. */
  over: { readonly reset: string | undefined } | undefined
  endedFor: Ledger.EndReason | undefined
  error: Fifo.FifoCorrupt | undefined
  /** Bytes, as the connection has counted them. */
  readonly counted = { received: 0, sent: 0 }
  onReceived: (() => void) | undefined
  onRoom: (() => void) | undefined
  #calling = false

  constructor(connection: SharedConnection, bound: number, memory = MEMORY) {
    this.connection = connection
    const segment = Segment.make(0, new ArrayBuffer(memory), memory)
    const arena = new Arena(0, memory)
    const blocks: Fifo.Blocks = {
      allocate: (bytes) => {
        if (this.refuse) return undefined
        const offset = arena.allocate(bytes)
        return offset < 0 ? undefined : { segment: 0, offset }
      },
      free: ({ offset }) => arena.free(offset),
      view: () => segment.bytes
    }
    const block = arena.allocate(SessionBlock.SESSION_BLOCK_BYTES)
    const rings = { segment: 0, offset: arena.allocate(SessionBlock.RINGS_BYTES) }
    SessionBlock.reset(segment, block)
    this.words = segment.words
    const rx = SessionBlock.rx(segment, block)
    const tx = SessionBlock.tx(segment, block)
    const view: Fifo.View = () => segment.bytes
    this.#rxHost = new FifoProducer(rx, bound, SessionBlock.rxRing(rings, segment.bytes, bound), blocks)
    this.rx = new FifoConsumer(rx, bound, view)
    this.tx = new FifoProducer(tx, bound, SessionBlock.txRing(rings, view, bound)!, blocks)
    this.#txHost = new FifoConsumer(tx, bound, view)
  }

  /** Runs a call to the connection; no event may come from inside it. */
  call(make: (connection: SharedConnection) => void): void {
    const outer = this.#calling
    this.#calling = true
    make(this.connection)
    this.#calling = outer
  }

  open(): this {
    this.call((connection) =>
      connection.open({
        rx: this.#rxHost,
        tx: this.#txHost,
        received: (bytes) => this.received(bytes),
        sent: (bytes) => this.sent(bytes),
        room: () => this.room(),
        starved: () => this.starved(),
        ended: () => this.ended(),
        closed: (reset, ended) => this.closed(reset, ended),
        corrupt: (error) => this.corrupt(error)
      })
    )
    return this
  }

  /** Reads at most `max` bytes, and tells the connection of room that it waits for. */
  read(max = Infinity): Buffer {
    const bytes = Buffer.alloc(Math.min(max, this.rx.size))
    if (this.rx.read(bytes).tell) this.call((connection) => connection.resume())
    return bytes
  }

  /** Writes what fits from `from` on; a write that is cut short asks to be told of room. */
  write(bytes: Uint8Array, from = 0): number {
    let at = from
    do at += this.tx.enqueue(bytes, at)
    while (at < bytes.length && this.tx.wait(this.tx.bound / 4) === "ready")
    this.call((connection) => connection.send())
    return at - from
  }

  /** Writes all of it, as there is room. */
  writeAll(bytes: Uint8Array): { readonly written: () => number } {
    let at = 0
    const go = (): void => {
      at += this.write(bytes, at)
      this.onRoom = at < bytes.length ? go : undefined
    }
    go()
    return { written: () => at }
  }

  #say(word: string): void {
    if (this.#calling && !this.inside.includes(word)) this.inside.push(word)
    if (this.said.at(-1) !== word) this.said.push(word)
  }

  received(bytes: number): void {
    this.counted.received += bytes
    this.#say("received")
    this.onReceived?.()
  }
  sent(bytes: number): void {
    this.counted.sent += bytes
  }
  room(): void {
    this.#say("room")
    this.onRoom?.()
  }
  starved(): void {
    this.#say("starved")
  }
  ended(): void {
    this.#say("ended")
  }
  closed(reset: string | undefined, ended?: Ledger.EndReason): void {
    this.endedFor = ended
    this.#say(reset === undefined ? "closed" : `closed: ${reset}`)
    this.over = { reset }
  }
  corrupt(error: Fifo.FifoCorrupt): void {
    this.#say("corrupt")
    this.error = error
  }
}
