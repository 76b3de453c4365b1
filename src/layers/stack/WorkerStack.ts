/**
 * The layers of one worker, from its memory up: `SegmentManager → MessageQueue → Congestion → AppWorker`. Building the
 * stack starts the worker; closing its scope is the teardown, in reverse order.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { MessageChannel, MessagePort } from "node:worker_threads"
import type { Geometry } from "../../domain/memory/QueueMemory.ts"
import type * as Segment from "../../domain/memory/Segment.ts"
import type { AppOptions } from "../../domain/options/AppOptions.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import type { AppModule, AppWorker } from "../../services/AppWorker.ts"
import type { Attachment, Congestion, Link, PostedCertificate } from "../../services/Congestion.ts"
import { Doorbell } from "../../services/Doorbell.ts"
import { MessageQueue } from "../../services/MessageQueue.ts"
import { SegmentManager } from "../../services/SegmentManager.ts"
import type { WorkerInfo } from "../../services/Sessions.ts"
import type { Moving } from "../../services/Transport.ts"
import type * as WorkerLoop from "../worker/WorkerLoop.ts"
import * as WorkerTls from "../worker/WorkerTls.ts"
import * as AppWorkerInProcess from "./AppWorkerInProcess.ts"
import * as AppWorkerThread from "./AppWorkerThread.ts"
import * as CongestionQueue from "./CongestionQueue.ts"
import * as DoorbellLatch from "./DoorbellLatch.ts"
import * as DoorbellPort from "./DoorbellPort.ts"
import { SocketPost } from "./HandOver.ts"
import * as Links from "./Links.ts"
import * as MessageQueueSegment from "./MessageQueueSegment.ts"
import * as SegmentManagerMemory from "./SegmentManagerMemory.ts"

export type WorkerServices = SegmentManager | MessageQueue | Congestion | AppWorker

export interface StackOptions {
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

const startOf = Effect.fnUntraced(function*({ app, endpoints, info }: StackOptions) {
  const { first } = yield* SegmentManager
  const { inbox } = yield* MessageQueue
  return {
    info,
    endpoints,
    config: app.config,
    geometry: geometryOf(app.queue),
    buffer: first.buffer,
    hostBytes: first.hostBytes,
    inbox,
    rxFifoSize: app.segment.rxFifoSize,
    txFifoSize: app.segment.txFifoSize,
    tls: WorkerTls.startOf(app),
    trimInterval: app.segment.trimInterval
  } satisfies WorkerLoop.WorkerStart
})

/** Posts it to the thread. A port to a thread that is gone swallows what is posted. */
const post = (port: MessagePort, attachment: Exclude<Attachment, { readonly _tag: "Socket" }>): boolean => {
  if (attachment._tag === "Certificates") {
    port.postMessage({ certificates: attachment.certificates } satisfies AppWorkerThread.HandedOver)
    return true
  }
  const send = (handed: AppWorkerThread.HandedOver, transferred: ReadonlyArray<MessagePort>): void =>
    port.postMessage(handed, [...transferred])
  if (attachment._tag === "Segment") {
    const { buffer, hostBytes, index } = attachment.segment
    send({ segment: index, buffer, hostBytes }, [])
    return true
  }
  const { bell, inbox, number } = attachment.link
  if (!(bell instanceof MessagePort)) return false
  try {
    send({ link: number, inbox, bell }, [bell])
  } catch {
    // the worker at the other end has gone just now, and its end of the doorbell with it: there is nobody to ring for
    send({ link: number, inbox, bell: undefined }, [])
  }
  return true
}

const thread = (options: StackOptions, url: string): Layer.Layer<WorkerServices> => {
  const { app, ledger } = options
  return Layer.unwrap(Effect.sync(() => {
    const { port1, port2 } = new MessageChannel()
    // the thread's exit is seen by its worker's layer
    const sockets = new SocketPost(port1)
    const handOver = (attachment: Attachment): boolean => {
      if (attachment._tag !== "Socket") return post(port1, attachment)
      sockets.add(attachment.session, attachment.socket)
      return true
    }
    const postSockets = Layer.effectDiscard(Effect.map(MessageQueue, ({ toWorker }) => {
      toWorker.beforeVisible = sockets.flush
    }))
    const closePort = Layer.effectDiscard(Effect.addFinalizer(() => Effect.sync(() => port1.close())))
    const worker = Layer.unwrap(
      Effect.map(
        startOf(options),
        (start) => AppWorkerThread.layer({ start, url, port: port2, heapLimit: app.worker.heapLimitMiB })
      )
    )
    return worker.pipe(
      Layer.provideMerge(postSockets),
      Layer.provideMerge(CongestionQueue.layer({ queue: app.queue, handOver, ledger })),
      Layer.provideMerge(MessageQueueSegment.layer(app.queue)),
      Layer.provideMerge(SegmentManagerMemory.layerShared(app.segment, app.queue)),
      Layer.provide(Layer.succeed(Doorbell, DoorbellPort.make(port1))),
      Layer.provideMerge(closePort)
    )
  }))
}

/** Runs an in-process worker, given its start, its module and its place. */
export type InProcess = (options: AppWorkerInProcess.InProcessOptions) => Layer.Layer<AppWorker>

/** The stack of a worker on the host's own loop. */
export const layerInProcess = (
  options: StackOptions,
  appWorker: InProcess = AppWorkerInProcess.layer
): Layer.Layer<WorkerServices> => {
  const { app, ledger, module } = options
  return Layer.unwrap(Effect.map(DoorbellLatch.makePair, ([hostSide, workerSide]) => {
    const segments = new Map<number, Segment.Segment>()
    const links = new Map<number, Link>()
    const sockets = new Map<number, Moving>()
    let certificates: ReadonlyArray<PostedCertificate> = []
    const handOver = (attachment: Attachment): boolean => {
      if (attachment._tag === "Segment") segments.set(attachment.segment.index, attachment.segment)
      else if (attachment._tag === "Link") links.set(attachment.link.number, attachment.link)
      else if (attachment._tag === "Certificates") certificates = attachment.certificates
      else sockets.set(attachment.session, attachment.socket)
      return true
    }
    const take = <A>(handedOver: Map<number, A>) => (number: number): A | undefined => {
      const handed = handedOver.get(number)
      handedOver.delete(number)
      return handed
    }
    const closeHanded = Layer.effectDiscard(Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const { bell } of links.values()) Links.close(bell)
        for (const socket of sockets.values()) socket.destroy()
      })
    ))
    const worker = Layer.unwrap(
      Effect.map(startOf(options), (start) =>
        appWorker({
          start,
          module,
          place: {
            doorbell: workerSide,
            receive: take(segments),
            link: take(links),
            receiveCertificates: () => certificates,
            receiveSocket: (session) => take(sockets)(session)?.take()
          }
        }))
    )
    return worker.pipe(
      Layer.provideMerge(CongestionQueue.layer({ queue: app.queue, handOver, ledger })),
      Layer.provideMerge(MessageQueueSegment.layer(app.queue)),
      Layer.provideMerge(SegmentManagerMemory.layerPrivate(app.segment, app.queue)),
      Layer.provide(Layer.succeed(Doorbell, hostSide)),
      Layer.provideMerge(closeHanded)
    )
  }))
}

/** The stack of a worker of the kind that its application asks for. */
export const layer = (options: StackOptions): Layer.Layer<WorkerServices> =>
  options.info.kind === "thread" && options.module._tag === "Url"
    ? thread(options, options.module.url)
    : layerInProcess(options)
