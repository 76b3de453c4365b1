/**
 * What a worker says to the host: straight into the queue, or, while the queue is full, in order behind what waits.
 *
 * Sessions bound what waits: each has few messages to say. This module is a hot path: plain synchronous code.
 */
import * as Message from "../../domain/memory/Message.ts"
import * as Mq from "../../domain/memory/QueueMemory.ts"
import type { QueueProducer } from "../../domain/memory/QueueProducer.ts"
import * as Handle from "../../domain/state/Handle.ts"

/** An IO event that did not fit into the queue. */
interface WaitingIo {
  readonly _tag: "Io"
  readonly kind: Message.IoKind
  readonly session: Handle.SessionHandle
  readonly argument: number
}

export class Outbox {
  readonly #queue: QueueProducer
  readonly #waiting: Array<WaitingIo | Message.Message> = []
  readonly #words = new Int32Array(Mq.CONTROL_WORDS)
  #closed = false

  constructor(queue: QueueProducer) {
    this.#queue = queue
  }

  /** Says that there is something to look at in a session. */
  io(kind: Message.IoKind, session: Handle.SessionHandle, argument = 0): void {
    if (this.#closed) return
    if (this.#waiting.length === 0 && this.#enqueueIo(kind, session, argument) !== Mq.Full) return
    this.#postpone({ _tag: "Io", kind, session, argument })
  }

  control(message: Message.Message): void {
    if (this.#closed) return
    if (this.#waiting.length === 0 && this.#enqueue(message) !== Mq.Full) return
    this.#postpone(message)
  }

  /** What is said from here to {@link uncork} becomes visible, and rings, together. */
  cork(): void {
    this.#queue.cork()
    this.#flush()
  }

  uncork(): void {
    this.#queue.uncork()
  }

  /**
   * Sends what waits, as far as it fits, and looks after the queue; to be called at intervals. Throws `QueueCorrupt` when
   * the host's positions in it make no sense.
   */
  look(): void {
    this.#flush()
    this.#queue.look()
  }

  /** Makes visible what was said so far, corked or not. */
  publish(): void {
    this.#queue.flush()
  }

  /** From here on nothing is said to the host. */
  close(): void {
    this.#closed = true
    this.#waiting.length = 0
  }

  #enqueueIo(kind: Message.IoKind, session: Handle.SessionHandle, argument: number): Mq.EnqueueResult {
    return this.#queue.io(kind, Handle.index(session), Handle.generation(session), argument)
  }

  #enqueue(message: WaitingIo | Message.Message): Mq.EnqueueResult {
    return message._tag === "Io"
      ? this.#enqueueIo(message.kind, message.session, message.argument)
      : this.#queue.control(this.#words, Message.encode(message, this.#words))
  }

  #postpone(message: WaitingIo | Message.Message): void {
    this.#waiting.push(message)
    this.#flush()
  }

  /** Sends what waits, as far as it fits; asks for room, then looks again, since room made before is not signalled. */
  #flush(): void {
    if (this.#waiting.length === 0) return
    for (let asked = false;; asked = true) {
      let sent = 0
      while (sent < this.#waiting.length && this.#enqueue(this.#waiting[sent]!) !== Mq.Full) sent++
      if (sent > 0) this.#waiting.splice(0, sent)
      if (this.#waiting.length === 0 || asked) return
      // the host can only make room of messages that it sees
      this.#queue.flush()
      this.#queue.wantRoom()
    }
  }
}
