/**
 * A connection of a host to a peer in memory.
 *
 * There are no timers and no I/O: what either side does is looked at in a microtask, and one microtask carries all that
 * was done until then. Whoever holds the connection says that time has passed.
 */
import * as Fifo from "../../domain/memory/Fifo.ts"
import type { FifoConsumer } from "../../domain/memory/FifoConsumer.ts"
import type { FifoProducer } from "../../domain/memory/FifoProducer.ts"
import * as ConnectionLoss from "../../domain/net/ConnectionLoss.ts"
import { Standstill, type StandstillReason, type StandstillTimes, type Traffic } from "../../domain/net/Standstill.ts"
import type { ConnectionEnd, ConnectionEvents, SharedConnection } from "../../services/Transport.ts"
import type { ScriptedPeer } from "./MemoryPeer.ts"

const HOST_RESET = "the host reset the connection"
export const PEER_RESET = "the peer reset the connection"

const noEvents: ConnectionEvents = {
  received() {},
  sent() {},
  room() {},
  starved() {},
  ended() {},
  closed() {},
  corrupt() {}
}

export class MemoryConnection implements SharedConnection {
  readonly _tag = "Shared"
  readonly about = undefined
  readonly mapped = false
  readonly dropped = 0
  readonly remote: string
  readonly local: string
  onGone: (() => void) | undefined
  readonly #peer: ScriptedPeer
  readonly #times: StandstillTimes
  #standstill: Standstill | undefined
  /** Why it is broken, where that is not because somebody asked for it. */
  #why: StandstillReason | undefined
  #rx: FifoProducer | undefined
  #end: ConnectionEnd | undefined
  #events = noEvents
  /** The rx fifo has no room, or there is no memory for it. */
  #paused = false
  /** How many of the bytes that come next an earlier session was told of. */
  #known = 0
  #ending = false
  #closing = false
  #aborted = false
  #rxEnded = false
  #txEnded = false
  #gone: { readonly reset: string | undefined } | undefined
  #scheduled = false

  constructor(peer: ScriptedPeer, times: StandstillTimes = {}) {
    this.#times = times
    this.remote = peer.local
    this.local = peer.remote
    this.#peer = peer
    peer.connection = this
  }

  /** Asked for each time: a session that is joined with another changes it. */
  get #tx(): FifoConsumer | undefined {
    return this.#end?.tx
  }

  open(end: ConnectionEnd): void {
    this.#events = end
    if (this.#gone !== undefined) return queueMicrotask(() => this.#sayClosed())
    this.#rx = end.rx
    this.#end = end
    this.#peer.opened = true
    this.#standstill = new Standstill(this.#times, this.#traffic)
    this.schedule()
  }

  get #traffic(): Traffic {
    const { receivedBytes, takenBytes } = this.#peer
    return { read: takenBytes, gone: receivedBytes, waiting: this.#tx?.size ?? 0 }
  }

  /** So many milliseconds have passed since the last such call: looks whether it has stood still for too long. */
  passed(millis: number): void {
    if (this.#closing || this.#gone !== undefined) return
    try {
      this.#why = this.#standstill?.look(millis, this.#traffic)
      if (this.#why !== undefined) this.abort()
    } catch (error) {
      this.#broke(error)
    }
  }

  /** What the other side of a fifo wrote makes no sense. */
  #broke(error: unknown): void {
    if (!(error instanceof Fifo.FifoCorrupt)) throw error
    const events = this.#events
    this.abort()
    events.corrupt(error)
  }

  suspend(unread: Uint8Array | undefined): void {
    this.#events = noEvents
    this.#rx = undefined
    this.#paused = false
    // the next session is told again
    this.#rxEnded = false
    this.#peer.opened = false
    if (unread !== undefined) {
      this.#peer.putBack(unread)
      this.#known += unread.length
    }
    this.#takeAll()
    this.#end = undefined
  }

  leave(): void {
    if (!this.#aborted) this.#takeAll()
    this.#events = noEvents
    this.#end = undefined
    this.schedule()
  }

  #takeAll(): void {
    const tx = this.#tx
    for (let bytes; (bytes = tx?.peek()) !== undefined; tx?.drop(bytes.length)) {
      this.#peer.take(bytes)
      this.#events.sent(bytes.length)
    }
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

  setOption(): void {}

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
      // one that was given up is over when all is sent, whatever the peer still has to say
      if (!this.#broken() && (this.#closing || this.#rxEnded) && this.#txEnded) this.#over(undefined, undefined)
    } catch (error) {
      this.#broke(error)
    }
  }

  /**
   * Whether the connection is gone, or goes now: either side may have broken it in response to what it was just told.
   */
  #broken(): boolean {
    if (this.#gone !== undefined) return true
    if (this.#aborted) this.#over(ConnectionLoss.sentence(undefined, this.#why), HOST_RESET)
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

  #fill(rx: FifoProducer): void {
    const peer = this.#peer
    const before = peer.takenBytes
    let moved = false
    while (!this.#paused && peer.unsent > 0) {
      moved = peer.fill(rx) || moved
      if (peer.unsent === 0) break
      this.#paused = rx.wait() === "consumer"
    }
    if (!moved) return
    const bytes = peer.takenBytes - before
    const known = Math.min(this.#known, bytes)
    this.#known -= known
    this.#events.received(bytes - known)
  }

  #transmit(): void {
    const peer = this.#peer
    let room = false
    for (let bytes; peer.window > 0 && (bytes = this.#tx?.peek(peer.window)) !== undefined;) {
      peer.take(bytes)
      this.#events.sent(bytes.length)
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
    events.closed(this.#gone?.reset, this.#why)
  }
}
