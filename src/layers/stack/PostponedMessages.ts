/**
 * The messages of one worker that wait to go into its queue, in order: bounded, each a whole copy (M3, M9).
 *
 * The head stays here until it has been dealt with, so the fiber that delivers may die at any point, and the next one
 * goes on with the same head. Waiting for a message is waiting on an Effect `Queue`, so it depends on no count.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import type { IoKind } from "../../domain/memory/Message.ts"
import type { SessionHandle } from "../../domain/state/Handle.ts"
import type { Outgoing } from "../../services/Congestion.ts"

/** An IO event; the limits count the bytes that it has in the queue. */
export interface PostponedIo {
  readonly _tag: "Io"
  readonly kind: IoKind
  readonly session: SessionHandle
  readonly live: () => boolean
  readonly bytes: number
  /** When it was postponed, in milliseconds of `MonotonicTime`. */
  readonly since: number
}

/** A control message. */
export interface PostponedControl extends Pick<Outgoing, "live" | "cleanUp"> {
  readonly _tag: "Control"
  /** The message as it goes into the queue: a copy, whatever the sender does with the original afterwards (M3). */
  readonly words: Int32Array
  readonly bytes: number
  readonly since: number
  /** Cleared once it has been handed over: if the message is tried again, nothing is handed over twice. */
  attachment: Outgoing["attachment"]
}

export type Postponed = PostponedIo | PostponedControl

/** The most messages that may wait, and the most bytes that they may have in total. */
export interface PostponedLimits {
  readonly postponedMessages: number
  readonly postponedBytes: number
}

export class PostponedMessages {
  readonly limits: PostponedLimits
  readonly #queue: Queue.Queue<Postponed>
  readonly #waitingIo = new Map<IoKind, Set<SessionHandle>>()
  /** Taken from the queue and still to be dealt with. */
  #head: Postponed | undefined
  #count = 0
  #bytes = 0
  #highest = 0

  private constructor(limits: PostponedLimits, queue: Queue.Queue<Postponed>) {
    this.limits = limits
    this.#queue = queue
  }

  static readonly make = (limits: PostponedLimits): Effect.Effect<PostponedMessages> =>
    Effect.map(Queue.bounded<Postponed>(limits.postponedMessages), (queue) => new PostponedMessages(limits, queue))

  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The most messages that have waited at once. */
  get highest(): number {
    return this.#highest
  }

  /** Which limit a message of this many bytes would exceed, if any. */
  over(bytes: number): "postponed-messages" | "postponed-bytes" | undefined {
    if (this.#count >= this.limits.postponedMessages) return "postponed-messages"
    return this.#bytes + bytes > this.limits.postponedBytes ? "postponed-bytes" : undefined
  }

  /** Whether an IO event of this kind waits for the session (M8). */
  hasIo(kind: IoKind, session: SessionHandle): boolean {
    return this.#waitingIo.get(kind)?.has(session) === true
  }

  /** Puts a message at the end. The message must not be {@link over} a limit. */
  add(entry: Postponed): void {
    this.#count++
    this.#bytes += entry.bytes
    this.#highest = Math.max(this.#highest, this.#count)
    if (entry._tag === "Io") {
      let waiting = this.#waitingIo.get(entry.kind)
      if (waiting === undefined) this.#waitingIo.set(entry.kind, waiting = new Set())
      waiting.add(entry.session)
    }
    Queue.offerUnsafe(this.#queue, entry)
  }

  /** The message whose turn it is. It stays until it is {@link drop}ped. */
  head(): Postponed | undefined {
    if (this.#head === undefined) {
      const exit = Queue.takeUnsafe(this.#queue)
      if (exit !== undefined && Exit.isSuccess(exit)) this.#head = exit.value
    }
    return this.#head
  }

  /** The head has been dealt with. */
  drop(head: Postponed): void {
    this.#head = undefined
    this.#count--
    this.#bytes -= head.bytes
    if (head._tag === "Io") this.#waitingIo.get(head.kind)?.delete(head.session)
  }

  /** Waits until a message has come. */
  get come(): Effect.Effect<void> {
    return Effect.asVoid(Queue.peek(this.#queue))
  }
}
