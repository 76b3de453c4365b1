/**
 * Connections that are refused before a socket was made of them: reset, or answered and ended, by the handle alone.
 *
 * Under overload most connections end here, so each costs little: no socket, no stream, no timer and no closure.
 *
 * ```
 * refused ──┬── the peer has sent a whole request, or has ended ── the answer ── closed
 *           ├── it has sent something else ──┬── the answer, an end behind it ──┬── the peer has ended too ── closed
 *           └── one or two steps have passed ┘                                  └── one or two steps have passed ── closed
 * ```
 *
 * An answer that comes before its request is taken for a fault by some clients. What the peer sends besides is read and
 * dropped, up to a bound: a connection that is closed with bytes unread, or is sent bytes once it is closed, is reset, and
 * the answer is lost with that. A peer that has sent a whole request has nothing more to send.
 *
 * This module is a hot path.
 */
import { constVoid } from "effect/Function"
import * as HttpRefusal from "../../domain/net/HttpRefusal.ts"
import * as NodeHandle from "./NodeHandle.ts"
import * as SpeakingHandle from "./SpeakingHandle.ts"

/** The most connections of a thread that are on their way out. */
const MOST = 1024

/** Milliseconds of a step. */
const STEP = 1000

/** The most bytes of one connection that are read and dropped. */
const DROPPED = 8 << 20

/** What was read last, from any of them. A longer request is taken for one with more to come. */
const memory = Buffer.alloc(16_384)

const leaving = Symbol("leaving")

interface LeavingHandle extends SpeakingHandle.SpeakingHandle {
  [leaving]?: Leaving
}

function onread(this: LeavingHandle): void {
  this[leaving]?.onRead()
}

/** A connection on its way out. */
class Leaving {
  readonly #all: SentAwayHandles
  readonly #handle: LeavingHandle
  readonly #requests: SpeakingHandle.HandleRequests
  #answer: Uint8Array
  #room = DROPPED
  #isAnswered = false

  constructor(
    all: SentAwayHandles,
    handle: LeavingHandle,
    requests: SpeakingHandle.HandleRequests,
    answer: Uint8Array
  ) {
    this.#all = all
    this.#handle = handle
    this.#requests = requests
    this.#answer = answer
  }

  begin(): void {
    const handle = this.#handle
    handle[leaving] = this
    handle.useUserBuffer(memory)
    handle.onread = onread
    this.#all.begin(this)
    if (handle.readStart() !== 0) this.close()
  }

  onRead(): void {
    const bytes = this.#requests.bytesRead()
    // what there was to read has gone meanwhile
    if (bytes === 0) return
    // the peer has ended, or is gone
    const isEnd = bytes < 0
    if (!this.#isAnswered) {
      this.#answer = HttpRefusal.answerTo(this.#answer, memory, bytes)
      this.#say(isEnd || HttpRefusal.isWhole(memory, bytes))
    } else if (isEnd) this.close()
    else if ((this.#room -= bytes) <= 0) this.#handle.readStop()
  }

  /** The time of its step is over. */
  late(): void {
    if (this.#isAnswered) this.close()
    else this.#say(false)
  }

  /** Another one needs its place. */
  hurry(): void {
    if (this.#isAnswered) this.close()
    else this.#say(true)
  }

  /** Answers. A peer that may have more to send is listened to until it ends. */
  #say(isLast: boolean): void {
    const handle = this.#handle
    this.#isAnswered = true
    if (handle.writeBuffer(this.#requests.write(), this.#answer) !== 0) return this.close()
    if (isLast && handle.writeQueueSize === 0) return this.close()
    this.#all.end(this)
    this.#all.begin(this)
    if (handle.shutdown(this.#requests.shutdown()) !== 0) this.close()
  }

  close(): void {
    this.#all.end(this)
    this.#handle.close()
  }
}

/**
 * The connections of a thread that are on their way out, and the one timer for all of them. Where there are as many as there
 * may be, the one that came to its step first makes room for the next: peers that say nothing take nothing from one that
 * has its request ready.
 */
export class SentAwayHandles {
  readonly #most: number
  readonly #step: number
  /** Those that came to their step since the last tick, and those that came to it before; both in that order. */
  #young = new Set<Leaving>()
  #old = new Set<Leaving>()
  #ticks = false

  /** `step` is in milliseconds. */
  constructor(most: number, step: number) {
    this.#most = most
    this.#step = step
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }

  /**
   * Sends the peer of a handle away that nobody else has: with this answer, or, where there is none, with a reset, which over
   * a Unix socket is an end. `false` where the runtime does not let a handle answer: then the handle is as it was.
   */
  take(handle: NodeHandle.StreamHandle, answer: Uint8Array | undefined): boolean {
    if (answer === undefined) {
      if (!NodeHandle.isTcpHandle(handle) || handle.reset(constVoid) !== 0) handle.close()
      return true
    }
    const requests = SpeakingHandle.requests()
    if (requests === undefined || !SpeakingHandle.canSpeak(handle)) return false
    new Leaving(this, handle, requests, answer).begin()
    return true
  }

  begin(leaving: Leaving): void {
    if (this.size >= this.#most) this.#oldest()?.hurry()
    this.#young.add(leaving)
    if (!this.#ticks) this.#wait()
  }

  end(leaving: Leaving): void {
    if (!this.#young.delete(leaving)) this.#old.delete(leaving)
  }

  #wait(): void {
    this.#ticks = true
    setTimeout(this.#tick, this.#step).unref()
  }

  #oldest(): Leaving | undefined {
    for (const leaving of this.#old) return leaving
    for (const leaving of this.#young) return leaving
    return undefined
  }

  readonly #tick = (): void => {
    this.#ticks = false
    const due = this.#old
    this.#old = this.#young
    this.#young = new Set()
    for (const leaving of due) leaving.late()
    if (this.size > 0 && !this.#ticks) this.#wait()
  }
}

const ofThread = new SentAwayHandles(MOST, STEP)

/** See {@link SentAwayHandles.take}. */
export const take = (handle: NodeHandle.StreamHandle, answer: Uint8Array | undefined): boolean =>
  ofThread.take(handle, answer)
