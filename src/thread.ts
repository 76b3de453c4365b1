/**
 * What runs on a worker thread: the worker's loop, and the application's layer on it, until the host says stop. No
 * other module imports this one, but a bundler may make a file of it (`ThreadModule`).
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Fs from "node:fs"
import { setSourceMapsSupport } from "node:module"
import { parentPort, workerData } from "node:worker_threads"
import * as Notice from "./domain/report/Notice.ts"
import * as Thrown from "./domain/report/Thrown.ts"
import * as AppModules from "./layers/adapters/node/AppModules.ts"
import * as LoadedFiles from "./layers/adapters/node/LoadedFiles.ts"
import * as NodeListen from "./layers/adapters/node/NodeListen.ts"
import { ServerTickets } from "./layers/adapters/node/ServerTickets.ts"
import * as LogStyle from "./layers/log/LogStyle.ts"
import { NoticeLog } from "./layers/log/NoticeLog.ts"
import * as AppFailure from "./layers/stack/AppFailure.ts"
import * as Bells from "./layers/stack/Bells.ts"
import type { ThreadStatus } from "./layers/stack/ThreadStatus.ts"
import * as WorkerPort from "./layers/stack/WorkerPort.ts"
import * as Garbage from "./layers/system/Garbage.ts"
import * as TcpMovable from "./layers/transport/TcpMovable.ts"
import { ListenNow } from "./layers/worker/ListenNow.ts"
import * as SessionsService from "./layers/worker/SessionsService.ts"
import type { ReceivedLink } from "./layers/worker/WorkerPlace.ts"
import { WorkerExit } from "./services/AppWorker.ts"
import { Sessions } from "./services/Sessions.ts"

const { isMain, log, port, start, tellsHeap, tellsLoaded, tickets, url } = workerData as WorkerPort.ThreadData

/** The longest time, in microseconds, that a worker with cut-through sessions looks for an answer before it sleeps. */
const SPIN = 40

const inlet = new WorkerPort.ThreadInlet(port)

const receiveLink = (number: number, wake: () => void): ReceivedLink | undefined => {
  const handed = inlet.link(number)
  if (handed === undefined) return undefined
  const { bell, inbox } = handed
  // the port to the host is what keeps this thread going
  bell?.on("message", wake).unref()
  const doorbell = bell && Bells.ofPort(bell)
  return { inbox, ring: () => doorbell?.ring(), close: () => bell?.close() }
}

/** It is the port to the host, not a timer, that keeps this thread going. */
const startTimer = (millis: number, step: () => void): NodeJS.Timeout => setInterval(step, millis).unref()

const every = (millis: number, step: () => void) =>
  Effect.asVoid(Effect.acquireRelease(
    Effect.sync(() => startTimer(millis, step)),
    (timer) => Effect.sync(() => clearInterval(timer))
  ))

/** Loaded only by workers that may have to end TLS. */
const loadTls = Effect.promise(() => import("./layers/worker/WorkerTls.ts"))

/** Which of the system's tasks this thread is, where the system has a file of each: the host sees by that when it waits. */
const tellTask = (): void => {
  try {
    parentPort!.postMessage({ _tag: "Runs", task: Fs.readlinkSync("/proc/thread-self") } satisfies ThreadStatus)
  } catch {
    // another system, or no permission to read that
  }
}

const status = (message: ThreadStatus): Effect.Effect<void> => Effect.sync(() => parentPort!.postMessage(message))

const failed = (cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  const error = Cause.squash(cause)
  const { detail, reason, trace } = error instanceof WorkerExit
    ? error
    : AppFailure.exitOf(cause)
  return status({ _tag: "Failed", reason, detail, ...(trace === undefined ? {} : { trace }) })
}

// the errors of what was compiled or bundled name the lines of its sources
setSourceMapsSupport(true)

// whatever calls `process.exit` is on the stack of this listener
process.once("exit", () => {
  const error = new Error("process.exit was called")
  const [, frames] = /process\.exit \([^\n]*\n([^]*)/.exec(error.stack ?? "") ?? []
  if (frames === undefined) return
  error.stack = `${error.message}\n${frames}`
  const { stack } = Thrown.of(error)
  if (stack !== undefined) parentPort!.postMessage({ _tag: "Leaving", trace: stack } satisfies ThreadStatus)
})

tellTask()
if (tellsHeap) {
  Garbage.watch((heapUsed) => parentPort!.postMessage({ _tag: "Collected", heapUsed } satisfies ThreadStatus))
}

const run = Effect.gen(function*() {
  const stop = yield* Deferred.make<void, WorkerExit>()
  const notices = yield* NoticeLog.make
  const { loop, sessions } = yield* SessionsService.make(start, {
    doorbell: Bells.ofPort(port),
    receive: (segment) => inlet.segment(segment),
    receiveLink,
    receiveCertificates: () => inlet.certificates(),
    receiveSocket: (session) => TcpMovable.socketOf(inlet.socket(session)),
    returnSocket: (session, returned) => WorkerPort.giveBack(port, session, returned),
    tls: start.tls === undefined ? undefined : new (yield* loadTls).WorkerTls(start.tls),
    spin: SPIN,
    every,
    stop: () => void Deferred.doneUnsafe(stop, Effect.void),
    report: (error) => notices.tell(Notice.handlerThrew(start.info, Thrown.of(error))),
    fault: (detail) => {
      // at once: the application may take its time to end
      parentPort!.postMessage({ _tag: "Failed", reason: "Crashed", detail } satisfies ThreadStatus)
      Deferred.doneUnsafe(stop, Exit.fail(new WorkerExit({ reason: "Crashed", detail })))
    }
  })
  loop.wake()
  if (tellsLoaded) {
    LoadedFiles.watch((url) => parentPort!.postMessage({ _tag: "Loaded", url } satisfies ThreadStatus), url)
  }
  const app = yield* AppModules.load(
    { _tag: "Url", url },
    yield* NodeListen.make(sessions, new ListenNow(loop), new ServerTickets(tickets), start.suggested === true),
    isMain
  )
  yield* Layer.build(Layer.provide(app, Layer.succeed(Sessions, sessions)))
  yield* status({ _tag: "Ready" })
  yield* Deferred.await(stop)
}).pipe(
  Effect.scoped,
  Effect.catchCause(failed),
  Effect.andThen(Effect.sync(() => port.close()))
)

// standard output belongs to the application and its host, for what the user asked for
Effect.runFork(run.pipe(
  // what an application logs through Effect carries its worker
  Effect.annotateLogs({ app: start.info.app, worker: start.info.worker }),
  Effect.provideService(References.MinimumLogLevel, log.level),
  Effect.provide(LogStyle.layerOf(log.style))
))
