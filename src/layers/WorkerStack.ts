/**
 * The layers of one worker, from its memory up: `SegmentManager → MessageQueue → Congestion → AppWorker`. Building the
 * stack starts the worker; closing its scope is the teardown, in reverse order.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { MessageChannel } from "node:worker_threads"
import type * as Ledger from "../domain/Ledger.ts"
import type { Geometry } from "../domain/MessageQueue.ts"
import type { AppOptions } from "../domain/Options.ts"
import type * as Segment from "../domain/Segment.ts"
import type { AppModule, AppWorker } from "../services/AppWorker.ts"
import type { Congestion } from "../services/Congestion.ts"
import { Doorbell } from "../services/Doorbell.ts"
import type { MessageQueue } from "../services/MessageQueue.ts"
import { SegmentManager } from "../services/SegmentManager.ts"
import type { WorkerInfo } from "../services/Sessions.ts"
import * as AppWorkerInProcess from "./AppWorkerInProcess.ts"
import * as AppWorkerThread from "./AppWorkerThread.ts"
import * as CongestionQueue from "./CongestionQueue.ts"
import * as DoorbellLatch from "./DoorbellLatch.ts"
import * as DoorbellPort from "./DoorbellPort.ts"
import * as MessageQueueSegment from "./MessageQueueSegment.ts"
import * as SegmentManagerMemory from "./SegmentManagerMemory.ts"
import type * as SessionClient from "./SessionClient.ts"

export type WorkerServices = SegmentManager | MessageQueue | Congestion | AppWorker

export interface Options {
  readonly info: WorkerInfo
  readonly app: AppOptions
  readonly endpoints: ReadonlyArray<string>
  readonly module: AppModule
  readonly ledger: Ledger.Messages
}

const geometryOf = ({ controlRing, indexQueue, ioRing }: AppOptions["queue"]): Geometry => ({
  indexQueue,
  ioRing,
  controlRing
})

const startOf = ({ app, endpoints, info }: Options, first: Segment.Segment): SessionClient.Start => ({
  info,
  endpoints,
  geometry: geometryOf(app.queue),
  buffer: first.buffer,
  hostBytes: first.hostBytes,
  rxFifoSize: app.segment.rxFifoSize,
  txFifoSize: app.segment.txFifoSize,
  trimInterval: app.segment.trimInterval
})

const thread = (options: Options, url: string): Layer.Layer<WorkerServices> => {
  const { app, ledger } = options
  return Layer.unwrap(Effect.sync(() => {
    const { port1, port2 } = new MessageChannel()
    // a port to a thread that is gone swallows what is posted; the thread's exit is seen by its worker's layer
    const handOver = ({ buffer, hostBytes, index }: Segment.Segment): boolean => {
      port1.postMessage({ segment: index, buffer, hostBytes })
      return true
    }
    const closePort = Layer.effectDiscard(Effect.addFinalizer(() => Effect.sync(() => port1.close())))
    const worker = Layer.unwrap(Effect.map(SegmentManager, ({ first }) =>
      AppWorkerThread.layer({
        start: startOf(options, first),
        url,
        port: port2,
        heapLimit: app.worker.heapLimitMiB
      })))
    return worker.pipe(
      Layer.provideMerge(CongestionQueue.layer({ queue: app.queue, handOver, ledger })),
      Layer.provideMerge(MessageQueueSegment.layer(app.queue)),
      Layer.provideMerge(SegmentManagerMemory.layerShared(app.segment, app.queue)),
      Layer.provide(Layer.succeed(Doorbell, DoorbellPort.make(port1))),
      Layer.provideMerge(closePort)
    )
  }))
}

/** Runs an in-process worker, given its start, its module and its place. */
export type InProcess = (options: AppWorkerInProcess.Options) => Layer.Layer<AppWorker>

/** The stack of a worker on the host's own loop. */
export const layerInProcess = (
  options: Options,
  appWorker: InProcess = AppWorkerInProcess.layer
): Layer.Layer<WorkerServices> => {
  const { app, ledger, module } = options
  return Layer.unwrap(Effect.map(DoorbellLatch.makePair, ([hostSide, workerSide]) => {
    const handedOver = new Map<number, Segment.Segment>()
    const handOver = (segment: Segment.Segment): boolean => {
      handedOver.set(segment.index, segment)
      return true
    }
    const receive = (index: number): Segment.Segment | undefined => {
      const segment = handedOver.get(index)
      handedOver.delete(index)
      return segment
    }
    const worker = Layer.unwrap(Effect.map(SegmentManager, ({ first }) =>
      appWorker({
        start: startOf(options, first),
        module,
        place: { doorbell: workerSide, receive }
      })))
    return worker.pipe(
      Layer.provideMerge(CongestionQueue.layer({ queue: app.queue, handOver, ledger })),
      Layer.provideMerge(MessageQueueSegment.layer(app.queue)),
      Layer.provideMerge(SegmentManagerMemory.layerPrivate(app.segment, app.queue)),
      Layer.provide(Layer.succeed(Doorbell, hostSide))
    )
  }))
}

/** The stack of a worker of the kind that its application asks for. */
export const layer = (options: Options): Layer.Layer<WorkerServices> =>
  options.info.kind === "thread" && options.module._tag === "Url"
    ? thread(options, options.module.url)
    : layerInProcess(options)
