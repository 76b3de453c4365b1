/**
 * A worker that speaks to its queues directly: it records what comes and sends only what a test tells it to, sense or
 * nonsense.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { FifoConsumer } from "../../src/domain/memory/FifoConsumer.ts"
import * as Message from "../../src/domain/memory/Message.ts"
import { QueueConsumer, type Sink } from "../../src/domain/memory/QueueConsumer.ts"
import * as Mq from "../../src/domain/memory/QueueMemory.ts"
import { QueueProducer } from "../../src/domain/memory/QueueProducer.ts"
import * as Segment from "../../src/domain/memory/Segment.ts"
import * as SessionBlock from "../../src/domain/memory/SessionBlock.ts"
import * as Handle from "../../src/domain/state/Handle.ts"
import type * as AppWorkerInProcess from "../../src/layers/stack/AppWorkerInProcess.ts"
import { AppWorker, WorkerExit } from "../../src/services/AppWorker.ts"
import type { ReturnedSocket } from "../../src/services/Attachment.ts"

export interface Heard {
  readonly kind: number
  readonly session: Handle.SessionHandle
}

/** Where a session is. */
export type Offered = Pick<Message.Of<"accepted">, "session" | "segment" | "offset">

export class RawWorker {
  /** Control messages and IO events, in the order in which they came. */
  readonly control: Array<Message.Message> = []
  readonly io: Array<Heard> = []
  /** The same as words: tags, and `io <kind>`. */
  readonly said: Array<string> = []
  readonly segments = new Map<number, Segment.Segment>()
  /** While it is set, the worker does not look at its queue. */
  held = false
  rxFifoSize = 0
  starts = 0
  #options: AppWorkerInProcess.InProcessOptions | undefined
  #inbound: QueueConsumer | undefined
  #outbound: QueueProducer | undefined
  readonly #words = new Int32Array(Mq.CONTROL_WORDS)

  begin(options: AppWorkerInProcess.InProcessOptions): void {
    const { buffer, geometry, hostBytes, rxFifoSize } = options.start
    const { toHost, toWorker } = Segment.queues(buffer, geometry)
    this.#options = options
    this.#inbound = new QueueConsumer(toWorker, geometry)
    this.#outbound = new QueueProducer(toHost, geometry, options.place.doorbell.ring)
    this.rxFifoSize = rxFifoSize
    this.starts++
    this.segments.clear()
    this.segments.set(0, Segment.make(0, buffer, hostBytes))
  }

  /** Takes what is in the queue. */
  readonly look = (): void => {
    const inbound = this.#inbound
    if (inbound === undefined) return
    do {
      while (inbound.drain(32, this.#sink) > 0);
      if (inbound.grantRoom()) this.#options!.place.doorbell.ring()
    } while (!inbound.sleep())
  }

  readonly hear = (): void => {
    if (!this.held) this.look()
  }

  readonly #sink: Sink = {
    io: (kind, index, generation) => {
      this.io.push({ kind, session: Handle.make(index, generation) })
      this.said.push(`io ${kind}`)
    },
    control: (words, start, length) => {
      const message = Message.decode(words, start, length)!
      this.control.push(message)
      this.said.push(message._tag)
      if (message._tag === "addSegment") {
        const handed = this.#options!.place.receive(message.segment)
        if (handed !== undefined) {
          this.segments.set(message.segment, Segment.make(message.segment, handed.buffer, handed.hostBytes))
        }
      }
      if (message._tag === "deleteSegment") this.segments.delete(message.segment)
      if (message._tag === "stop") this.onStop()
    }
  }

  onStop: () => void = () => {}

  send(message: Message.Message): void {
    this.#outbound!.control(this.#words, Message.encode(message, this.#words))
  }

  sendIo(kind: number, session: Handle.SessionHandle, argument = 0): void {
    this.#outbound!.io(kind, Handle.index(session), Handle.generation(session), argument)
  }

  /** The messages of one kind. */
  all<K extends Message.Tag>(tag: K): ReadonlyArray<Message.Of<K>> {
    return this.control.filter((message) => message._tag === tag) as unknown as ReadonlyArray<Message.Of<K>>
  }

  /** The session's rx fifo. */
  rx({ offset, segment }: Offered): FifoConsumer {
    return new FifoConsumer(
      SessionBlock.rx(this.segments.get(segment)!, offset),
      this.rxFifoSize,
      (index) => this.segments.get(index)?.bytes
    )
  }

  /** Claims the offer, without telling the host. */
  take({ offset, segment }: Offered): boolean {
    return SessionBlock.endOffer(this.segments.get(segment)!, offset, SessionBlock.CLAIMED)
  }

  /** Gives a socket back to the host, without a word. */
  giveBack(session: Handle.SessionHandle, returned: ReturnedSocket): void {
    this.#options!.place.returnSocket(session, returned)
  }

  /** Claims the offer and says so. */
  claim(offer: Offered): boolean {
    const claimed = this.take(offer)
    this.sendIo(claimed ? Message.Claimed : Message.Passed, offer.session)
    return claimed
  }
}

/** Runs the worker: it is ready at once, and stops when it is told to. */
export const layer = (raw: RawWorker) => (options: AppWorkerInProcess.InProcessOptions): Layer.Layer<AppWorker> =>
  Layer.effect(
    AppWorker,
    Effect.gen(function*() {
      const exit = yield* Deferred.make<never, WorkerExit>()
      raw.onStop = () =>
        Deferred.doneUnsafe(exit, Exit.fail(new WorkerExit({ reason: "Exited", detail: "the worker has stopped" })))
      raw.begin(options)
      yield* options.place.doorbell.listen(raw.hear)
      raw.hear()
      return AppWorker.of({ ready: Effect.void, exit: Deferred.await(exit) })
    })
  )
