/**
 * The reading end of a worker's queue, as tests want it: on command, or free-running. The same code reads on a thread and
 * on the host's loop.
 */
import * as Message from "../../src/domain/memory/Message.ts"
import { QueueConsumer, type Sink } from "../../src/domain/memory/QueueConsumer.ts"
import type * as Mq from "../../src/domain/memory/QueueMemory.ts"
import * as Handle from "../../src/domain/state/Handle.ts"

export interface Io {
  readonly _tag: "Io"
  readonly kind: number
  readonly session: Handle.SessionHandle
}

/** A message as it came out of the queue. */
export type Received = Io | Message.Message | { readonly _tag: "unreadable" }

/** What has become of a numbered sequence that should be 0, 1, 2, … */
export class Sequence {
  /** The number that is due. */
  next = 0
  duplicated = 0
  outOfOrder = 0
  readonly #missing = new Set<number>()

  get lost(): number {
    return this.#missing.size
  }

  take(number: number): void {
    if (number < this.next) {
      if (this.#missing.delete(number)) this.outOfOrder++
      else this.duplicated++
      return
    }
    for (; this.next < number; this.next++) this.#missing.add(this.next)
    this.next++
  }
}

/** Message `number` of the numbered traffic: three IO events to one control message. */
export const numbered = (
  number: number
): { readonly io: Handle.SessionHandle } | { readonly message: Message.Message } =>
  number % 4 === 3
    ? { message: { _tag: "deleteSegment", segment: number } }
    : { io: Handle.make<Handle.SessionHandle>(number, 1) }

export interface Report {
  /** In order, when it was kept. */
  readonly received: ReadonlyArray<Received>
  readonly lost: number
  readonly duplicated: number
  readonly outOfOrder: number
  readonly count: number
  /** Messages about a segment that had not been handed over by then. */
  readonly withoutSegment: number
}

export class QueueReader {
  readonly #consumer: QueueConsumer
  readonly #ring: () => void
  readonly #receive: (segment: number) => boolean
  #received: Array<Received> = []
  #sequence = new Sequence()
  #count = 0
  #withoutSegment = 0
  #keep = true
  #pause: (() => number) | undefined

  /** `receive`: takes a segment that was handed over; `false` when it has not been. */
  constructor(
    memory: Mq.QueueMemory,
    geometry: Mq.Geometry,
    ring: () => void,
    receive: (segment: number) => boolean
  ) {
    this.#consumer = new QueueConsumer(memory, geometry)
    this.#ring = ring
    this.#receive = receive
  }

  readonly #sink: Sink = {
    io: (kind, index, generation) => {
      this.#count++
      this.#sequence.take(index)
      if (this.#keep) this.#received.push({ _tag: "Io", kind, session: Handle.make(index, generation) })
    },
    control: (words, start, length) => {
      this.#count++
      const message = Message.decode(words, start, length)
      if (message?._tag === "deleteSegment") this.#sequence.take(message.segment)
      if (message?._tag === "addSegment" && !this.#receive(message.segment)) this.#withoutSegment++
      if (this.#keep) this.#received.push(message ?? { _tag: "unreadable" })
    }
  }

  /** Reads at most `max` messages and returns them; `quiet`: without a word to a producer that wants room. */
  read(max: number, quiet: boolean): ReadonlyArray<Received> {
    const before = this.#received.length
    this.#consumer.drain(max, this.#sink)
    if (!quiet && this.#consumer.grantRoom()) this.#ring()
    return this.#received.slice(before)
  }

  /** From now on {@link wake} reads: `pause` answers how much at most, and may take its time over it. */
  run(pause: () => number, keep: boolean): void {
    this.#keep = keep
    this.#pause = pause
    this.wake()
  }

  /** Reads until the queue is empty, then sleeps. Called for every ring. */
  readonly wake = (): void => {
    const pause = this.#pause
    if (pause === undefined) return
    for (;;) {
      const drained = this.#consumer.drain(pause(), this.#sink)
      if (this.#consumer.grantRoom()) this.#ring()
      if (drained === 0 && this.#consumer.sleep()) return
    }
  }

  report(): Report {
    const { duplicated, lost, outOfOrder } = this.#sequence
    return {
      received: this.#received,
      lost,
      duplicated,
      outOfOrder,
      count: this.#count,
      withoutSegment: this.#withoutSegment
    }
  }
}
