/**
 * Congestion, backed by an Effect `Queue` of postponed messages.
 *
 * **How a message goes** Not congested: into the worker's queue at once. Otherwise, or when it does not fit, to the
 * end of the postponed messages, and the worker is congested until the last of them has been delivered. A fiber
 * delivers them: at most a batch at a time, from the head, up to the first that does not fit. Then it sleeps until the
 * worker has made room or the retry interval has passed, whichever is first.
 *
 * **Why nothing is lost** The head that did not fit stays beside the queue, not in the fiber: a fiber that dies is
 * started again and goes on with it. The fiber asks for room, then tries once more before it sleeps; and it sleeps on
 * the queue itself while nothing is postponed, so no count has to reach any particular value to wake it.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as Message from "../../domain/memory/Message.ts"
import * as Mq from "../../domain/memory/QueueMemory.ts"
import type { QueueOptions } from "../../domain/options/QueueOptions.ts"
import * as Handle from "../../domain/state/Handle.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import {
  type Attachment,
  Congestion,
  CongestionState,
  type Outgoing,
  type Sent,
  Unresponsive
} from "../../services/Congestion.ts"
import { MessageQueue } from "../../services/MessageQueue.ts"
import * as MonotonicTime from "../../services/MonotonicTime.ts"

interface PostponedIo {
  readonly _tag: "Io"
  readonly kind: Message.IoKind
  readonly session: Handle.SessionHandle
  readonly live: () => boolean
  readonly bytes: number
}

interface PostponedControl extends Pick<Outgoing, "attachment" | "live" | "cleanUp"> {
  readonly _tag: "Control"
  /** The message as it goes into the queue: whatever the sender does with its own afterwards, this one stays (M3). */
  readonly words: Int32Array
  readonly bytes: number
}

type Postponed = PostponedIo | PostponedControl

const IO_BYTES = 16

export interface CongestionOptions {
  readonly queue: Pick<QueueOptions, "retryInterval" | "batch" | "postponedMessages" | "postponedBytes">
  /** Gives a segment or a link to the worker before the message about it is visible; `false` when it can't be reached. */
  readonly handOver: (attachment: Attachment) => boolean
  /** The ledger to count in; it outlives the layer, so that a worker's restarts add up. */
  readonly ledger: Ledger.Messages
}

export const layer = (options: CongestionOptions): Layer.Layer<Congestion, never, MessageQueue> =>
  Layer.effect(
    Congestion,
    Effect.gen(function*() {
      const { batch, postponedBytes, postponedMessages, retryInterval } = options.queue
      const { handOver, ledger } = options
      const { geometry, takeWriter, toWorker } = yield* MessageQueue
      const writer = takeWriter()
      const now = yield* MonotonicTime.reader
      const postponed = yield* Queue.bounded<Postponed>(postponedMessages)
      const state = yield* SubscriptionRef.make<CongestionState>(CongestionState.Clear())
      const unresponsive = yield* Deferred.make<never, Unresponsive>()
      const roomMade = Latch.makeUnsafe(false)
      const words = new Int32Array(Mq.CONTROL_WORDS)
      const waitingIo = new Map<Message.IoKind, Set<Handle.SessionHandle>>()

      /** Taken from the queue and still to be delivered. */
      let head: Postponed | undefined
      let count = 0
      let bytes = 0
      let highest = 0
      let congested = false
      let since = 0
      let timesCongested = 0
      let congestedMillis = 0
      let closed = false
      /** A segment could not be handed over. What is behind may be about it: it waits for `close`. */
      let cut = false
      let wantsRoom = false

      const publish = (next: CongestionState): void => {
        state.value = next
        PubSub.publishUnsafe(state.pubsub, next)
      }

      const enterCongestion = (): void => {
        congested = true
        since = now()
        timesCongested++
        publish(CongestionState.Congested({ since }))
      }

      const leaveCongestion = (): void => {
        congested = false
        congestedMillis += now() - since
        publish(CongestionState.Clear())
      }

      const giveUp = (reason: Unresponsive["reason"], limit: number): void => {
        closed = true
        // not from inside a send or a delivery: whoever hears of it closes all this
        queueMicrotask(() => Deferred.doneUnsafe(unresponsive, Exit.fail(new Unresponsive({ reason, limit }))))
      }

      const release = (cleanUp: (() => void) | undefined, reason: Ledger.ReleaseReason): Sent => {
        ledger.released[reason]++
        cleanUp?.()
        return "released"
      }

      /** Whether a control message fits. Nobody else writes to the queue, so what fits now does so at the next step. */
      const controlFits = (): boolean =>
        toWorker.depth >>> 0 < geometry.indexQueue && toWorker.controlDepth >>> 0 < geometry.controlRing

      /** Hands over what goes with the message, then enqueues it. */
      const enqueueControl = (
        message: Int32Array,
        length: number,
        attachment: Attachment | undefined
      ): Mq.EnqueueResult | "hand-over-failed" => {
        if (attachment !== undefined) {
          // once, and only with its message: the worker would keep a segment that it is told nothing of
          if (!controlFits()) return Mq.Full
          if (!handOver(attachment)) return "hand-over-failed"
        }
        return writer.control(message, length)
      }

      const enqueueIo = (kind: Message.IoKind, session: Handle.SessionHandle): Mq.EnqueueResult =>
        writer.io(kind, Handle.index(session), Handle.generation(session), 0)

      const cleanUpOf = (entry: Postponed): (() => void) | undefined =>
        entry._tag === "Control" ? entry.cleanUp : undefined

      const postpone = (entry: Postponed): Sent => {
        const over = count >= postponedMessages
          ? "postponed-messages" as const
          : bytes + entry.bytes > postponedBytes
          ? "postponed-bytes" as const
          : undefined
        if (over !== undefined) {
          giveUp(over, over === "postponed-messages" ? postponedMessages : postponedBytes)
          return release(cleanUpOf(entry), "unresponsive")
        }
        count++
        bytes += entry.bytes
        highest = Math.max(highest, count)
        ledger.postponed++
        if (entry._tag === "Io") {
          let waiting = waitingIo.get(entry.kind)
          if (waiting === undefined) waitingIo.set(entry.kind, waiting = new Set())
          waiting.add(entry.session)
        }
        Queue.offerUnsafe(postponed, entry)
        // last, since whoever hears of it may send at once, and that goes behind
        if (!congested) enterCongestion()
        return "postponed"
      }

      const send = ({ attachment, cleanUp, live, message }: Outgoing): Sent => {
        ledger.sent++
        if (closed) return release(cleanUp, "worker-gone")
        const length = Message.encode(message, words)
        if (!congested) {
          const result = enqueueControl(words, length, attachment)
          if (result === Mq.Enqueued) {
            ledger.delivered++
            return "delivered"
          }
          if (result === Mq.Closed) return releaseClosed(cleanUp)
          if (result === "hand-over-failed") {
            giveUp(result, 0)
            return release(cleanUp, result)
          }
        }
        return postpone({
          _tag: "Control",
          words: words.slice(0, length),
          attachment,
          live,
          cleanUp,
          bytes: 4 * length
        })
      }

      /** Only the worker can have closed its queue while we have not: it is not to be offered anything more. */
      const releaseClosed = (cleanUp: (() => void) | undefined): Sent => {
        giveUp("queue-closed", 0)
        return release(cleanUp, "worker-gone")
      }

      const sendIo = (kind: Message.IoKind, session: Handle.SessionHandle, live: () => boolean): Sent => {
        if (congested) {
          const waiting = waitingIo.get(kind)
          if (waiting !== undefined && waiting.has(session)) return "postponed"
        }
        ledger.sent++
        if (closed) return release(undefined, "worker-gone")
        if (!congested) {
          const result = enqueueIo(kind, session)
          if (result === Mq.Enqueued) {
            ledger.delivered++
            return "delivered"
          }
          if (result === Mq.Closed) return releaseClosed(undefined)
        }
        return postpone({ _tag: "Io", kind, session, live, bytes: IO_BYTES })
      }

      const takeHead = (): Postponed | undefined => {
        if (head === undefined) {
          const exit = Queue.takeUnsafe(postponed)
          if (exit !== undefined && Exit.isSuccess(exit)) head = exit.value
        }
        return head
      }

      const dropHead = (entry: Postponed): void => {
        head = undefined
        count--
        bytes -= entry.bytes
        ledger.postponed--
        if (entry._tag === "Io") waitingIo.get(entry.kind)?.delete(entry.session)
      }

      const isLive = (entry: Postponed): boolean => entry.live === undefined || entry.live()

      const releaseHead = (entry: Postponed, reason: Ledger.ReleaseReason): void => {
        dropHead(entry)
        release(cleanUpOf(entry), reason)
      }

      /** Releases all that waits, and returns what clean-ups threw: one that does keeps no other from running. */
      const releaseAll = (): Array<unknown> => {
        const thrown: Array<unknown> = []
        for (let entry = takeHead(); entry !== undefined; entry = takeHead()) {
          try {
            releaseHead(entry, "worker-gone")
          } catch (error) {
            thrown.push(error)
          }
        }
        return thrown
      }

      /** Delivers from the head until the batch is done, nothing is left, or one does not fit. */
      const deliverBatch = (): "empty" | "more" | "full" | "given-up" => {
        for (let dealtWith = 0; dealtWith < batch; dealtWith++) {
          if (cut) return "given-up"
          const entry = takeHead()
          if (entry === undefined) return "empty"
          if (!isLive(entry)) {
            releaseHead(
              entry,
              entry._tag === "Control" && entry.attachment?._tag === "Segment" ? "segment-gone" : "session-gone"
            )
            continue
          }
          const result = entry._tag === "Io"
            ? enqueueIo(entry.kind, entry.session)
            : enqueueControl(entry.words, entry.words.length, entry.attachment)
          if (result === Mq.Enqueued) {
            dropHead(entry)
            ledger.delivered++
          } else if (result === Mq.Closed) {
            if (!closed) giveUp("queue-closed", 0)
            releaseHead(entry, "worker-gone")
          } else if (result === "hand-over-failed") {
            cut = true
            giveUp(result, 0)
            releaseHead(entry, result)
          } else return "full"
        }
        return cut ? "given-up" : count === 0 ? "empty" : "more"
      }

      const awaitRoom = Effect.suspend(() => {
        wantsRoom = true
        roomMade.closeUnsafe()
        toWorker.wantRoom()
        // room that was made before it was asked for is not signalled: look again, then sleep
        const again = deliverBatch()
        if (again !== "full") return settle(again)
        return roomMade.await.pipe(Effect.timeoutOption(retryInterval), Effect.asVoid)
      })

      const settle = (result: "empty" | "more" | "given-up"): Effect.Effect<void> => {
        wantsRoom = false
        if (result === "more") return Effect.yieldNow
        if (result === "given-up") return Effect.never
        if (congested) leaveCongestion()
        return Effect.void
      }

      // asleep on the queue while nothing is postponed; what a fiber that died has left comes first, if only the flag
      const deliver = Effect.suspend(() => congested ? Effect.void : Effect.asVoid(Queue.peek(postponed)))
        .pipe(
          Effect.andThen(Effect.suspend(() => {
            const result = deliverBatch()
            return result === "full" ? awaitRoom : settle(result)
          })),
          Effect.forever
        )

      yield* deliver.pipe(
        Effect.catchCauseIf(
          (cause) => !Cause.hasInterruptsOnly(cause),
          (cause) =>
            Effect.logError("postponed delivery failed and is started again", cause).pipe(Effect.delay(retryInterval))
        ),
        Effect.forever,
        Effect.forkScoped
      )

      const close = Effect.suspend(() => {
        closed = true
        const thrown = releaseAll()
        if (congested) leaveCongestion()
        return thrown.length === 0
          ? Effect.void
          : Effect.logError("cleaning up after released messages failed", ...thrown)
      })
      yield* Effect.addFinalizer(() => close)

      return Congestion.of({
        send,
        sendIo,
        // who has been given up, or is gone, takes no sessions either
        congested: () => congested || closed,
        state,
        room: () => {
          if (wantsRoom && !toWorker.roomWanted) {
            wantsRoom = false
            roomMade.openUnsafe()
          }
        },
        roomGranted: () => wantsRoom && !toWorker.roomWanted,
        unresponsive: Deferred.await(unresponsive),
        close,
        statistics: () => ({
          postponed: count,
          postponedBytes: bytes,
          highest,
          timesCongested,
          congestedMillis: congested ? congestedMillis + now() - since : congestedMillis
        }),
        ledger
      })
    })
  )
