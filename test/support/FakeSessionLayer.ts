/** A session layer that does what a test says; what it does not say is a defect. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Handle from "../../src/domain/state/Handle.ts"
import { type Application, NoSuchApp, SessionLayer } from "../../src/services/SessionLayer.ts"

type Service = SessionLayer["Service"]

const unused = (name: string) => () => Effect.die(new Error(`${name} was not to be called`))

export const layer = (does: Partial<Service> = {}): Layer.Layer<SessionLayer> =>
  Layer.succeed(SessionLayer, {
    attach: unused("attach"),
    find: unused("find"),
    detach: unused("detach"),
    addWorker: unused("addWorker"),
    deleteWorker: unused("deleteWorker"),
    restartWorker: unused("restartWorker"),
    reload: unused("reload"),
    unlisten: unused("unlisten"),
    endSession: unused("endSession"),
    drain: unused("drain")(),
    readiness: unused("readiness")(),
    events: () => Stream.die(new Error("events was not to be called")),
    overview: unused("overview")(),
    report: unused("report")(),
    sessions: unused("sessions"),
    sessionPage: unused("sessionPage"),
    connects: unused("connects")(),
    locals: unused("locals")(),
    segments: unused("segments")(),
    queues: unused("queues")(),
    connectPage: unused("connectPage"),
    localPage: unused("localPage"),
    segmentPage: unused("segmentPage"),
    queuePage: unused("queuePage"),
    listenerPage: unused("listenerPage"),
    ...does
  })

export const application = (index: number, name: string): Application => ({
  handle: Handle.make(index, 5),
  index: Handle.AppIndex(index),
  name,
  gone: Effect.never,
  firstSegmentBytes: 4096,
  eventQueueBytes: 1024
})

/** Finds applications by name and by index. */
export const finds = (...apps: ReadonlyArray<Application>): Service["find"] => (wanted) => {
  const found = apps.find(({ index, name }) => wanted === name || wanted === index)
  return found === undefined ? Effect.fail(new NoSuchApp({ wanted: String(wanted) })) : Effect.succeed(found)
}
