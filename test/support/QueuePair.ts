/**
 * Both ends of a worker's queue with congestion between them, over either layer: in-process (private memory, latches, a
 * reader on this loop) or a thread (shared memory, ports, a reader on a thread of its own).
 *
 * Under `TestClock` the retry interval of both passes only when it is told to: what happens without is a signal's work.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { MessageChannel, Worker } from "node:worker_threads"
import * as Message from "../../src/domain/memory/Message.ts"
import type * as Mq from "../../src/domain/memory/QueueMemory.ts"
import type { QueueWriter } from "../../src/domain/memory/QueueProducer.ts"
import * as Segment from "../../src/domain/memory/Segment.ts"
import { defaults } from "../../src/domain/options/Options.ts"
import * as Ledger from "../../src/domain/state/Ledger.ts"
import * as Bells from "../../src/layers/stack/Bells.ts"
import * as CongestionQueue from "../../src/layers/stack/CongestionQueue.ts"
import * as MessageQueueSegment from "../../src/layers/stack/MessageQueueSegment.ts"
import * as SegmentManagerMemory from "../../src/layers/stack/SegmentManagerMemory.ts"
import { type Attachment, HandOver } from "../../src/services/Attachment.ts"
import { Congestion, type Sent } from "../../src/services/Congestion.ts"
import { Doorbell, type DoorbellShape } from "../../src/services/Doorbell.ts"
import { MessageQueue } from "../../src/services/MessageQueue.ts"
import { SegmentManager } from "../../src/services/SegmentManager.ts"
import * as Reader from "./QueueReader.ts"
import type { Command, Stall } from "./queueReaderThread.ts"

export type Form = "in-process" | "thread"
export const forms: ReadonlyArray<Form> = ["in-process", "thread"]

export interface Options {
  readonly geometry?: Partial<Mq.Geometry>
  readonly queue?: Partial<CongestionQueue.CongestionOptions["queue"]>
  /** How often the host tries a held lock: the queue has other producers too. */
  readonly lockTries?: number
  /** Whether a segment can be handed over. */
  readonly reachable?: () => boolean
  /** Whether the steps of the host are kept; `true` unless said. */
  readonly trace?: boolean
}

/** What the host did towards the queue. `turn` moves on whenever control goes back to the loop. */
export type Step =
  & { readonly turn: number }
  & (
    | { readonly _tag: "hand-over"; readonly segment: number }
    | { readonly _tag: "enqueue"; readonly what: number | Message.Tag | undefined; readonly result: Mq.EnqueueResult }
  )

export interface QueuePair {
  readonly congestion: Congestion["Service"]
  readonly queue: MessageQueue["Service"]
  /** What congestion writes with. */
  readonly writer: QueueWriter
  /** The memory of the queue. */
  readonly memory: Mq.QueueMemory
  readonly ledger: Ledger.MessageLedger
  readonly steps: ReadonlyArray<Step>
  /** Reads at most this many messages. */
  readonly read: (max: number, quiet?: "quiet") => Effect.Effect<ReadonlyArray<Reader.Received>>
  /** From now on the reader reads whatever comes, at most `max` at a time. */
  readonly run: (options: {
    readonly max: number
    readonly keep?: boolean
    readonly stall?: Stall
  }) => Effect.Effect<void>
  /** What the reader has seen so far. `unused`: segments that were handed over and never spoken of. */
  readonly report: Effect.Effect<{ readonly report: Reader.Report; readonly unused: number }>
  /** Closes the layers. */
  readonly end: Effect.Effect<void>
}

/** The thread that reads for all pairs of a file, one after the other. */
let worker: Worker | undefined
const waiting: Array<(answer: unknown) => void> = []

const started = (): Worker => {
  if (worker !== undefined) return worker
  worker = new Worker(new URL("./queueReaderThread.ts", import.meta.url), { execArgv: [] })
  worker.on("message", (answer) => waiting.shift()!(answer))
  worker.on("error", (error) => {
    throw error
  })
  return worker
}

const ask = <A = void>(command: Command): Effect.Effect<A> =>
  Effect.callback((resume) => {
    waiting.push((answer) => resume(Effect.succeed(answer as A)))
    started().postMessage(command, command._tag === "attach" ? [command.port] : [])
  })

/** Ends the thread. */
export const stop = async (): Promise<void> => {
  await worker?.terminate()
  worker = undefined
}

type Ends = Pick<QueuePair, "read" | "run" | "report">

const geometryOf = (options: Options): Mq.Geometry => ({
  indexQueue: 64,
  ioRing: 64,
  controlRing: 64,
  ...options.geometry
})

const inProcess = (memory: Mq.QueueMemory, geometry: Mq.Geometry, doorbell: DoorbellShape, handedOver: Set<number>) =>
  Effect.gen(function*() {
    const reader = new Reader.QueueReader(memory, geometry, doorbell.ring, (segment) => handedOver.delete(segment))
    yield* doorbell.listen(reader.wake)
    const ends: Ends = {
      read: (max, quiet) => Effect.sync(() => reader.read(max, quiet !== undefined)),
      run: ({ keep, max }) => Effect.sync(() => reader.run(() => max, keep ?? true)),
      report: Effect.sync(() => ({ report: reader.report(), unused: handedOver.size }))
    }
    return ends
  })

const onThread = (memory: Mq.QueueMemory, geometry: Mq.Geometry, port: Extract<Command, { _tag: "attach" }>["port"]) =>
  Effect.gen(function*() {
    yield* ask({ _tag: "attach", memory, geometry, port })
    const ends: Ends = {
      read: (max, quiet) => ask({ _tag: "read", max, quiet: quiet !== undefined }),
      run: ({ keep, max, stall }) => ask({ _tag: "run", max, keep: keep ?? true, stall }),
      report: ask({ _tag: "report" })
    }
    return ends
  })

export const make = Effect.fnUntraced(function*(
  form: Form,
  options: Options = {}
): Effect.fn.Return<QueuePair, never, Scope.Scope> {
  const geometry = geometryOf(options)
  const segment = {
    ...defaults.segment,
    firstSegmentSize: Segment.queues(new ArrayBuffer(0), geometry).bytes + 1024
  }
  const steps: Array<Step> = []
  let turn = 0
  let counting = false
  const step = (made: Step): void => {
    steps.push(made)
    if (counting) return
    counting = true
    // after all that runs now and before anything that runs later: a fiber that yields comes back in a later task
    queueMicrotask(() => {
      counting = false
      turn++
    })
  }

  const ledger = new Ledger.MessageLedger()
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
  const { port1, port2 } = new MessageChannel()
  const handedOver = new Set<number>()
  const [hostSide, readerSide] = Bells.pairUnsafe()
  const handOver = (attachment: Attachment): boolean => {
    if (options.reachable?.() === false || attachment._tag !== "Segment") return false
    const { buffer, hostBytes, index } = attachment.segment
    step({ _tag: "hand-over", turn, segment: index })
    if (form === "thread") port1.postMessage({ segment: index, buffer, hostBytes })
    else handedOver.add(index)
    return true
  }
  yield* Scope.addFinalizer(scope, Effect.sync(() => port1.close()))
  let writer: QueueWriter
  const traced = (queue: QueueWriter): QueueWriter => ({
    io: (kind, index, generation, argument) => {
      const result = queue.io(kind, index, generation, argument)
      step({ _tag: "enqueue", turn, what: kind, result })
      return result
    },
    control: (words, length) => {
      const result = queue.control(words, length)
      step({ _tag: "enqueue", turn, what: Message.decode(words, 0, length)?._tag, result })
      return result
    }
  })

  const services = yield* CongestionQueue.layerFrom({
    queue: { retryInterval: 10, batch: 32, postponedMessages: 65_536, postponedBytes: 1 << 24, ...options.queue },
    ledger
  }).pipe(
    Layer.provideMerge(Layer.effect(
      MessageQueue,
      Effect.map(MessageQueue, (queue) => ({
        ...queue,
        takeWriter: () => {
          writer = options.trace === false ? queue.takeWriter() : traced(queue.takeWriter())
          return writer
        }
      }))
    )),
    Layer.provideMerge(MessageQueueSegment.layerFrom(
      geometry,
      options.lockTries === undefined ? undefined : MessageQueueSegment.shared({ lockTries: options.lockTries })
    )),
    Layer.provideMerge(
      form === "thread"
        ? SegmentManagerMemory.layerShared(segment, geometry)
        : SegmentManagerMemory.layerPrivate(segment, geometry)
    ),
    Layer.provide(Layer.succeed(HandOver, { give: handOver, flush: undefined, takeBack: () => undefined })),
    Layer.provide(Layer.succeed(Doorbell, form === "thread" ? Bells.ofPort(port1) : hostSide)),
    Layer.buildWithScope(scope)
  )
  const congestion = Context.get(services, Congestion)
  const queue = Context.get(services, MessageQueue)
  yield* Scope.provide(queue.doorbell.listen(congestion.room), scope)
  const memory = Context.get(services, SegmentManager).queues.toWorker
  const ends = form === "thread"
    ? yield* onThread(memory, geometry, port2)
    : yield* Scope.provide(inProcess(memory, geometry, readerSide, handedOver), scope)
  return { congestion, queue, writer: writer!, memory, ledger, steps, ...ends, end: Scope.close(scope, Exit.void) }
})

const always = (): boolean => true

/** Sends message `number` of the numbered traffic. */
export const sendNumbered = ({ congestion }: QueuePair, number: number): Sent => {
  const one = Reader.numbered(number)
  return "io" in one ? congestion.sendIo(Message.Rx, one.io, always) : congestion.send(one)
}

/** The numbers of messages of the numbered traffic. */
export const numbers = (received: ReadonlyArray<Reader.Received>): ReadonlyArray<number> =>
  received.map((one) => one._tag === "Io" ? one.session % 2 ** 24 : one._tag === "deleteSegment" ? one.segment : -1)

/** Lets the loop turn. */
export const turns = (count: number): Effect.Effect<void> =>
  count <= 0 ? Effect.void : Effect.andThen(Effect.yieldNow, Effect.suspend(() => turns(count - 1)))

/** Lets the loop turn until it is so; dies when it is not within 10 s. */
export const until = (what: string, is: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => {
    const limit = performance.now() + 10_000
    const look: Effect.Effect<void> = Effect.suspend(() =>
      is()
        ? Effect.void
        : performance.now() > limit
        ? Effect.die(new Error(`it did not come to this: ${what}`))
        : Effect.andThen(Effect.yieldNow, look)
    )
    return look
  })

/** Sends messages of the numbered traffic, and waits for the worker when `high` messages are postponed. */
export const pump = (pair: QueuePair, from: number, to: number, high: number): Effect.Effect<void> => {
  const { congestion } = pair
  const clear = SubscriptionRef.changes(congestion.state).pipe(
    Stream.filter((state) => state._tag === "Clear"),
    Stream.runHead
  )
  const go = (number: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      let next = number
      while (next < to && congestion.statistics().postponed < high) sendNumbered(pair, next++)
      return next === to ? Effect.void : Effect.andThen(clear, go(next))
    })
  return go(from)
}
