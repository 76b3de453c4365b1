/**
 * The way into a worker's queue: what goes with a message is handed over before the message is visible (M5).
 *
 * Hot path: plain synchronous code.
 */
import type { IoKind } from "../../domain/memory/Message.ts"
import * as Mq from "../../domain/memory/QueueMemory.ts"
import type { QueueOutlet, QueueWriter } from "../../domain/memory/QueueProducer.ts"
import * as Handle from "../../domain/state/Handle.ts"
import type { Attachment, HandOver } from "../../services/Attachment.ts"
import type { MessageQueue } from "../../services/MessageQueue.ts"

/**
 * What became of a control message: `handed-over` is one that did not fit after its attachment had been handed over,
 * which happens where others write to the queue too.
 */
export type ControlResult = Mq.EnqueueResult | "hand-over-failed" | "handed-over"

export class QueueEntrance {
  readonly #queue: QueueOutlet
  readonly #writer: QueueWriter
  readonly #handOver: HandOver["Service"]

  /** Takes the queue's writing end. */
  constructor({ takeWriter, toWorker }: MessageQueue["Service"], handOver: HandOver["Service"]) {
    this.#queue = toWorker
    this.#writer = takeWriter()
    this.#handOver = handOver
    toWorker.beforeVisible = handOver.flush
  }

  io(kind: IoKind, session: Handle.SessionHandle): Mq.EnqueueResult {
    return this.#writer.io(kind, Handle.index(session), Handle.generation(session), 0)
  }

  /** Hands over what goes with the message, then enqueues it. */
  control(words: Int32Array, length: number, attachment: Attachment | undefined): ControlResult {
    if (attachment === undefined) return this.#writer.control(words, length)
    // once, and only together with its message: otherwise the worker would keep a segment that it is told nothing of
    if (!this.fits("Control")) return Mq.Full
    if (!this.#handOver.give(attachment)) return "hand-over-failed"
    const result = this.#writer.control(words, length)
    return result === Mq.Full || result === Mq.Locked ? "handed-over" : result
  }

  /** Whether such a message fits. Where nobody else writes to the queue, it still fits at the next step. */
  fits(kind: "Control" | "Io"): boolean {
    const { controlDepth, depth, geometry, ioDepth } = this.#queue
    if (depth >= geometry.indexQueue) return false
    return kind === "Io" ? ioDepth < geometry.ioRing : controlDepth < geometry.controlRing
  }

  /** Asks the worker for room. Try once more afterwards: room that was made before is not signalled. */
  wantRoom(): void {
    this.#queue.wantRoom()
  }

  /** Whether the worker has not answered {@link wantRoom} yet. */
  get roomWanted(): boolean {
    return this.#queue.roomWanted
  }
}
