/**
 * What runs on a worker thread: the session client, and the application's layer on it, until the host says stop.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads"
import * as AppModules from "./layers/AppModules.ts"
import type { ThreadData, ThreadStatus } from "./layers/AppWorkerThread.ts"
import * as DoorbellPort from "./layers/DoorbellPort.ts"
import * as SessionClient from "./layers/SessionClient.ts"
import { WorkerExit } from "./services/AppWorker.ts"
import { Sessions } from "./services/Sessions.ts"

const { port, start, url } = workerData as ThreadData

/** A segment as it comes over the port. */
interface HandedOver {
  readonly segment: number
  readonly buffer: SharedArrayBuffer
  readonly hostBytes: number
}

const handedOver = new Map<number, HandedOver>()

const keep = (message: unknown): void => {
  if (Predicate.hasProperty(message, "segment")) handedOver.set(message.segment as number, message as HandedOver)
}

/** The host posts a segment before the message about it is visible, so it is here or still in the port. */
const receive = (segment: number): HandedOver | undefined => {
  for (let next; !handedOver.has(segment) && (next = receiveMessageOnPort(port)) !== undefined;) keep(next.message)
  const handed = handedOver.get(segment)
  handedOver.delete(segment)
  return handed
}

const status = (message: ThreadStatus): Effect.Effect<void> => Effect.sync(() => parentPort!.postMessage(message))

const run = Effect.gen(function*() {
  const stop = yield* Deferred.make<void>()
  const logError = Effect.runForkWith(yield* Effect.context<never>())
  port.on("message", keep)
  const { client, sessions } = yield* SessionClient.make(start, {
    doorbell: DoorbellPort.make(port),
    receive,
    stop: () => void Deferred.doneUnsafe(stop, Effect.void),
    report: (error) => void logError(Effect.logError("an application's session handler threw", error))
  })
  client.wake()
  const app = yield* AppModules.load({ _tag: "Url", url })
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

Effect.runFork(run)
