/**
 * What a worker is started with, from its plan and the layers below it.
 */
import * as Effect from "effect/Effect"
import { MessageQueue } from "../../services/MessageQueue.ts"
import { SegmentManager } from "../../services/SegmentManager.ts"
import { WorkerPlan } from "../../services/WorkerPlan.ts"
import * as TlsStart from "../transport/TlsStart.ts"
import * as SessionTimes from "../worker/SessionTimes.ts"
import type * as WorkerPlace from "../worker/WorkerPlace.ts"

export const make = Effect.gen(function*() {
  const { app, endpoints, info, suggested } = yield* WorkerPlan
  const { first } = yield* SegmentManager
  const { geometry, inbox } = yield* MessageQueue
  const start: WorkerPlace.WorkerStart = {
    info,
    endpoints,
    suggested,
    config: app.config,
    geometry,
    buffer: first.buffer,
    hostBytes: first.hostBytes,
    inbox,
    memoryLimit: app.segment.memoryLimit,
    rxFifoSize: app.segment.rxFifoSize,
    txFifoSize: app.segment.txFifoSize,
    times: SessionTimes.startOf(app),
    tls: TlsStart.startOf(app),
    trimInterval: app.segment.trimInterval
  }
  return start
})
