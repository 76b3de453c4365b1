/**
 * What runs on a worker thread: the session client, and the application's layer on it, until the host says stop.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Predicate from "effect/Predicate"
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads"
import * as AppModules from "./layers/adapters/node/AppModules.ts"
import * as NodeListen from "./layers/adapters/node/NodeListen.ts"
import type { HandedOver, ThreadData, ThreadStatus } from "./layers/stack/AppWorkerThread.ts"
import * as DoorbellPort from "./layers/stack/DoorbellPort.ts"
import type { HandedSockets } from "./layers/stack/HandOver.ts"
import * as TcpMovable from "./layers/transport/TcpMovable.ts"
import * as WorkerLoop from "./layers/worker/WorkerLoop.ts"
import { WorkerExit } from "./services/AppWorker.ts"
import type { PostedCertificate } from "./services/Congestion.ts"
import { Sessions } from "./services/Sessions.ts"

const { port, start, url } = workerData as ThreadData

/** Microseconds for which a worker with cut-through sessions looks for an answer before it sleeps. */
const SPIN = 40

type HandedSegment = Extract<HandedOver, { readonly segment: number }>
type HandedLink = Extract<HandedOver, { readonly link: number }>

const segments = new Map<number, HandedSegment>()
const links = new Map<number, HandedLink>()
const sockets = new Map<number, object>()
/** The last that were handed over, as number 0. */
const certificates = new Map<number, ReadonlyArray<PostedCertificate>>()

const keep = (message: unknown): void => {
  if (Predicate.hasProperty(message, "sockets")) {
    const handed = message as HandedSockets
    for (const [i, session] of handed.sessions.entries()) sockets.set(session, handed.sockets[i]!)
  } else if (Predicate.hasProperty(message, "segment")) {
    segments.set(message.segment as number, message as HandedSegment)
  } else if (Predicate.hasProperty(message, "certificates")) {
    certificates.set(0, message.certificates as ReadonlyArray<PostedCertificate>)
  } else if (Predicate.hasProperty(message, "link")) links.set(message.link as number, message as HandedLink)
}

/** The host posts what goes with a message before the message is visible, so it is here or still in the port. */
const take = <A>(kept: Map<number, A>, number: number): A | undefined => {
  for (let next; !kept.has(number) && (next = receiveMessageOnPort(port)) !== undefined;) keep(next.message)
  const handed = kept.get(number)
  kept.delete(number)
  return handed
}

const receiveLink = (number: number, wake: () => void): WorkerLoop.ReceivedLink | undefined => {
  const handed = take(links, number)
  if (handed === undefined) return undefined
  const { bell, inbox } = handed
  // the port to the host is what keeps this thread going
  bell?.on("message", wake).unref()
  return { inbox, ring: () => bell?.postMessage(0), close: () => bell?.close() }
}

const status = (message: ThreadStatus): Effect.Effect<void> => Effect.sync(() => parentPort!.postMessage(message))

const run = Effect.gen(function*() {
  const stop = yield* Deferred.make<void>()
  const logError = Effect.runForkWith(yield* Effect.context<never>())
  port.on("message", keep)
  const { client, sessions } = yield* WorkerLoop.make(start, {
    doorbell: DoorbellPort.make(port),
    receive: (segment) => take(segments, segment),
    receiveLink,
    receiveCertificates: () => take(certificates, 0),
    tls: start.tls === undefined
      ? undefined
      : new (yield* Effect.promise(() => import("./layers/worker/WorkerTls.ts"))).WorkerTls(start.tls),
    receiveSocket: (session) => TcpMovable.socketOf(take(sockets, session)),
    spin: SPIN,
    stop: () => void Deferred.doneUnsafe(stop, Effect.void),
    report: (error) => void logError(Effect.logError("an application's session handler threw", error))
  })
  client.wake()
  const app = yield* AppModules.load({ _tag: "Url", url }, yield* NodeListen.make(sessions))
  yield* Layer.build(Layer.provide(app, Layer.succeed(Sessions, sessions)))
  yield* status({ _tag: "Ready" })
  yield* Deferred.await(stop)
}).pipe(
  Effect.scoped,
  Effect.catchCause((cause) => {
    const error = Cause.squash(cause)
    return status({
      _tag: "Failed",
      reason: error instanceof WorkerExit ? error.reason : "ModuleFailed",
      detail: error instanceof WorkerExit ? error.detail : `the application failed: ${AppModules.sentence(error)}`
    })
  }),
  Effect.andThen(Effect.sync(() => port.close()))
)

// standard output is the application's and its host's, for what was asked for
Effect.runFork(Effect.provideService(run, Logger.LogToStderr, true))
