/**
 * Congestion, backed by a queue of postponed messages.
 *
 * **How a message goes** While the worker is not congested, into the worker's queue at once. Otherwise, or when it does
 * not fit, to the end of the postponed messages; the worker is then congested until the last of them is delivered. A
 * fiber delivers them, at most one batch at a time, from the head up to the first that does not fit. Then it sleeps
 * until the worker has made room or the retry interval has passed, whichever is first. If what did not fit is wanted no
 * longer, and is released, the worker stays congested until it has made room all the same.
 *
 * **Why nothing is lost** A head that did not fit stays with the postponed messages, not in the fiber: if the fiber
 * dies, it is started again and goes on with that head. The fiber asks for room, then tries once more before it sleeps;
 * while nothing is postponed, it sleeps on the messages themselves, so no count has to reach any particular value to
 * wake it.
 *
 * Sending and delivering are one class, though it is long: they share the order of the messages. What can stand by
 * itself does: `CongestionFlag`, `PostponedMessages`, and `QueueEntrance`, the way into the queue.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Message from "../../domain/memory/Message.ts"
import * as Mq from "../../domain/memory/QueueMemory.ts"
import type { QueueOptions } from "../../domain/options/QueueOptions.ts"
import type * as Handle from "../../domain/state/Handle.ts"
import type { Histogram } from "../../domain/state/Histogram.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import { HandOver } from "../../services/Attachment.ts"
import { Congestion, type Outgoing, type Sent, Unresponsive } from "../../services/Congestion.ts"
import { MessageQueue } from "../../services/MessageQueue.ts"
import * as MonotonicTime from "../../services/MonotonicTime.ts"
import { WorkerPlan } from "../../services/WorkerPlan.ts"
import { CongestionFlag } from "./CongestionFlag.ts"
import { type Postponed, PostponedMessages } from "./PostponedMessages.ts"
import { type ControlResult, QueueEntrance } from "./QueueEntrance.ts"

type CongestionShape = Congestion["Service"]

/**
 * What congestion is made of, besides the services below it.
 *
 * @category models
 * @since 0.1.0
 */
export interface CongestionOptions {
  readonly queue: Pick<QueueOptions, "retryInterval" | "batch" | "postponedMessages" | "postponedBytes">
  /** The ledger to count in. */
  readonly ledger: Ledger.MessageLedger
  /** Counts for how long messages are postponed, whatever becomes of them then. */
  readonly ages?: Histogram | undefined
}

/** Bytes of an IO event. */
const IO_BYTES = 16

/** How a batch ended. */
type BatchEnd = "empty" | "more" | "full" | "given-up"

/** The congestion of one worker. The service's members are own properties, so that a wrapper can spread the object. */
class CongestionQueue implements CongestionShape {
  readonly ledger: Ledger.MessageLedger
  readonly state: CongestionShape["state"]
  readonly #queue: QueueEntrance
  readonly #options: CongestionOptions["queue"]
  readonly #flag: CongestionFlag
  readonly #postponed: PostponedMessages
  readonly #ages: Histogram | undefined
  readonly #now: () => number
  readonly #unresponsive = Deferred.makeUnsafe<never, Unresponsive>()
  readonly #roomMade = Latch.makeUnsafe(false)
  readonly #words = new Int32Array(Mq.CONTROL_WORDS)
  #closed = false
  /** Of which kind the message is that was tried last and did not fit. */
  #lacking: Postponed["_tag"] | undefined
  /** A segment could not be handed over. Messages behind it may be about the segment: they wait for `close`. */
  #cut = false
  #wantsRoom = false

  constructor(
    { ages, ledger, queue: options }: CongestionOptions,
    queue: QueueEntrance,
    flag: CongestionFlag,
    postponed: PostponedMessages,
    now: () => number
  ) {
    this.#ages = ages
    this.#now = now
    this.ledger = ledger
    this.state = flag.state
    this.#queue = queue
    this.#options = options
    this.#flag = flag
    this.#postponed = postponed
  }

  // ---- sending

  readonly send = ({ attachment, cleanUp, live, message }: Outgoing): Sent => {
    this.ledger.sent++
    if (this.#closed) return this.#release(cleanUp, "worker-gone")
    const length = Message.encode(message, this.#words)
    let kept = attachment
    if (!this.#flag.raised) {
      const result = this.#queue.control(this.#words, length, attachment)
      if (result === Mq.Enqueued) return this.#delivered()
      if (result === Mq.Closed || result === Mq.Corrupt) return this.#releaseUnusable(result, cleanUp)
      if (result === "hand-over-failed") {
        this.#giveUp(result, 0)
        return this.#release(cleanUp, result)
      }
      if (result === "handed-over") kept = undefined
    }
    const words = this.#words.slice(0, length)
    const since = this.#now()
    return this.#postpone({ _tag: "Control", words, attachment: kept, live, cleanUp, bytes: 4 * length, since })
  }

  readonly sendIo = (kind: Message.IoKind, session: Handle.SessionHandle, live: () => boolean): Sent => {
    // while an IO event waits, another of the same kind for the same session is the same event
    if (this.#flag.raised && this.#postponed.hasIo(kind, session)) return "postponed"
    this.ledger.sent++
    if (this.#closed) return this.#release(undefined, "worker-gone")
    if (!this.#flag.raised) {
      const result = this.#queue.io(kind, session)
      if (result === Mq.Enqueued) return this.#delivered()
      if (result === Mq.Closed || result === Mq.Corrupt) return this.#releaseUnusable(result, undefined)
    }
    return this.#postpone({ _tag: "Io", kind, session, live, bytes: IO_BYTES, since: this.#now() })
  }

  #delivered(): Sent {
    this.ledger.delivered++
    return "delivered"
  }

  /** If the host has not closed the queue, only the worker can have done so: it is to be offered nothing more. */
  #releaseUnusable(result: Unusable, cleanUp: (() => void) | undefined): Sent {
    this.#giveUp(whyUnusable(result), 0)
    return this.#release(cleanUp, "worker-gone")
  }

  #postpone(entry: Postponed): Sent {
    const over = this.#postponed.over(entry.bytes)
    if (over !== undefined) {
      const { postponedBytes, postponedMessages } = this.#postponed.limits
      this.#giveUp(over, over === "postponed-messages" ? postponedMessages : postponedBytes)
      return this.#release(cleanUpOf(entry), "unresponsive")
    }
    this.ledger.postponed++
    if (!this.#flag.raised) this.#lacking = entry._tag
    this.#postponed.add(entry)
    // last, since whatever hears of it may send at once, and that message goes behind this one
    this.#flag.raise()
    return "postponed"
  }

  #release(cleanUp: (() => void) | undefined, reason: Ledger.ReleaseReason): Sent {
    this.ledger.released[reason]++
    cleanUp?.()
    return "released"
  }

  // ---- delivering what was postponed

  /** Delivers for ever: it sleeps on the messages while nothing is postponed. */
  get deliver(): Effect.Effect<never> {
    // what a fiber that died has left comes first, even if that is only the flag
    return Effect.suspend(() => this.#flag.raised ? Effect.void : this.#postponed.come).pipe(
      Effect.andThen(Effect.suspend(() => {
        const end = this.#deliverBatch()
        return end === "full" ? this.#awaitRoom() : this.#settle(end)
      })),
      Effect.forever
    )
  }

  #awaitRoom(): Effect.Effect<void> {
    this.#wantsRoom = true
    this.#roomMade.closeUnsafe()
    this.#queue.wantRoom()
    // room that was made before it was asked for is not signalled: look again, then sleep
    const again = this.#deliverBatch()
    if (again !== "full") return this.#settle(again)
    return this.#roomMade.await.pipe(Effect.timeoutOption(this.#options.retryInterval), Effect.asVoid)
  }

  #settle(end: Exclude<BatchEnd, "full">): Effect.Effect<void> {
    this.#wantsRoom = false
    if (end === "more") return Effect.yieldNow
    if (end === "given-up") return Effect.never
    this.#flag.lower()
    return Effect.void
  }

  /** Delivers from the head until the batch is done, nothing is left, or a message does not fit. */
  #deliverBatch(): BatchEnd {
    for (let dealtWith = 0; dealtWith < this.#options.batch; dealtWith++) {
      if (this.#cut) return "given-up"
      const entry = this.#postponed.head()
      if (entry === undefined) return this.#emptied()
      if (entry.live !== undefined && !entry.live()) {
        const isSegment = entry._tag === "Control" && entry.attachment?._tag === "Segment"
        this.#releaseHead(entry, isSegment ? "segment-gone" : "session-gone")
        continue
      }
      const result = this.#enqueue(entry)
      if (result === Mq.Enqueued) {
        this.#lacking = undefined
        this.#dropHead(entry)
        this.ledger.delivered++
      } else if (result === Mq.Closed || result === Mq.Corrupt) {
        if (!this.#closed) this.#giveUp(whyUnusable(result), 0)
        this.#releaseHead(entry, "worker-gone")
      } else if (result === "hand-over-failed") {
        this.#cut = true
        this.#giveUp(result, 0)
        this.#releaseHead(entry, result)
      } else {
        if (result === "handed-over" && entry._tag === "Control") entry.attachment = undefined
        this.#lacking = entry._tag
        return "full"
      }
    }
    if (this.#cut) return "given-up"
    return this.#postponed.count === 0 ? this.#emptied() : "more"
  }

  /** Nothing is postponed any longer. A message that was released has left the queue as full as it was. */
  #emptied(): BatchEnd {
    return this.#lacking === undefined || this.#queue.fits(this.#lacking) ? "empty" : "full"
  }

  #enqueue(entry: Postponed): ControlResult {
    return entry._tag === "Io"
      ? this.#queue.io(entry.kind, entry.session)
      : this.#queue.control(entry.words, entry.words.length, entry.attachment)
  }

  #dropHead(entry: Postponed): void {
    this.#postponed.drop(entry)
    this.#ages?.record(this.#now() - entry.since)
    this.ledger.postponed--
  }

  #releaseHead(entry: Postponed, reason: Ledger.ReleaseReason): void {
    this.#dropHead(entry)
    this.#release(cleanUpOf(entry), reason)
  }

  readonly room = (): void => {
    if (!this.roomGranted()) return
    this.#wantsRoom = false
    this.#roomMade.openUnsafe()
  }

  readonly roomGranted = (): boolean => this.#wantsRoom && !this.#queue.roomWanted

  /** A worker that has been given up, or is gone, takes no sessions either. */
  readonly congested = (): boolean => this.#flag.raised || this.#closed

  // ---- the end

  readonly unresponsive = Deferred.await(this.#unresponsive)

  #giveUp(reason: Unresponsive["reason"], limit: number): void {
    this.#closed = true
    // not from inside a send or a delivery: whatever hears of it closes all this
    queueMicrotask(() => Deferred.doneUnsafe(this.#unresponsive, Exit.fail(new Unresponsive({ reason, limit }))))
  }

  readonly close = Effect.suspend(() => {
    this.#closed = true
    const thrown = this.#releaseAll()
    this.#flag.lower()
    return thrown.length === 0
      ? Effect.void
      : Effect.logError("cleaning up after released messages failed", ...thrown)
  })

  /** Releases all that waits, and returns what clean-ups threw: one that throws keeps no other from running. */
  #releaseAll(): Array<unknown> {
    const thrown: Array<unknown> = []
    for (let entry = this.#postponed.head(); entry !== undefined; entry = this.#postponed.head()) {
      try {
        this.#releaseHead(entry, "worker-gone")
      } catch (error) {
        thrown.push(error)
      }
    }
    return thrown
  }

  readonly statistics = (): ReturnType<CongestionShape["statistics"]> => ({
    postponed: this.#postponed.count,
    postponedBytes: this.#postponed.bytes,
    highest: this.#postponed.highest,
    timesCongested: this.#flag.times,
    congestedMillis: this.#flag.millis
  })
}

/** Results after which nothing can be sent any more. */
type Unusable = typeof Mq.Closed | typeof Mq.Corrupt

const whyUnusable = (result: Unusable): Unresponsive["reason"] =>
  result === Mq.Closed ? "queue-closed" : "queue-corrupt"

const cleanUpOf = (entry: Postponed): (() => void) | undefined => entry._tag === "Control" ? entry.cleanUp : undefined

/** Starts a worker's congestion: its fiber delivers until the scope closes, and then all that waits is released. */
const make = Effect.fnUntraced(function*(options: CongestionOptions) {
  const congestion = new CongestionQueue(
    options,
    new QueueEntrance(yield* MessageQueue, yield* HandOver),
    yield* CongestionFlag.make,
    yield* PostponedMessages.make(options.queue),
    yield* MonotonicTime.reader
  )
  yield* congestion.deliver.pipe(
    Effect.catchCauseIf(
      (cause) => !Cause.hasInterruptsOnly(cause),
      (cause) =>
        Effect.logError("postponed delivery failed and is started again", cause).pipe(
          Effect.delay(options.queue.retryInterval)
        )
    ),
    Effect.forever,
    Effect.forkScoped
  )
  yield* Effect.addFinalizer(() => congestion.close)
  return Congestion.of(congestion)
})

/**
 * Congestion with these options.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFrom = (options: CongestionOptions): Layer.Layer<Congestion, never, MessageQueue | HandOver> =>
  Layer.effect(Congestion, make(options))

/**
 * Congestion as the worker's plan says.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Congestion, never, MessageQueue | HandOver | WorkerPlan> = Layer.effect(
  Congestion,
  Effect.flatMap(WorkerPlan, ({ ages, app, ledger }) => make({ queue: app.queue, ledger, ages }))
)
