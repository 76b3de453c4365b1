/**
 * In-process app workers that misbehave on command: the same client and the same application as `AppWorkerInProcess`
 * runs, with a {@link Script} between them and their doorbells. So a test can have congestion, offers that are not
 * claimed, slow workers and crashes, at exact times of the `Clock`.
 *
 * What a script holds back is the worker's look at its queue; fibers and timers of the application go on.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import { AppWorker, WorkerExit } from "../../services/AppWorker.ts"
import type { DoorbellShape } from "../../services/Doorbell.ts"
import type { Session, Sessions } from "../../services/Sessions.ts"
import type { WorkerPlan } from "../../services/WorkerPlan.ts"
import * as AppWorkerInProcess from "../stack/AppWorkerInProcess.ts"
import * as Bells from "../stack/Bells.ts"

/**
 * What a test tells a worker to do wrong. It holds for the worker's present start: the next one begins well-behaved,
 * and what a script is told before the first start, or between two starts, is forgotten. All of it can be combined.
 *
 * @category models
 * @since 0.1.0
 */
export interface WorkerScript {
  /** How many times the worker was started. */
  readonly starts: number
  /** The worker does not look at its queue from now on, for `duration` of the `Clock` or until {@link release}. */
  block(duration?: Duration.Input): void
  /** Ends a {@link block}: the worker looks again, and first at what it has missed. */
  release(): void
  /** A worker that is blocked looks at its queue once, and is blocked again when it is empty. */
  look(): void
  /**
   * Each message takes the worker this much time of the `Clock`: a message that finds it idle is dealt with that much
   * later, and messages that wait are dealt with one after the other. 0: as fast as it can, beginning with what it is
   * at now.
   */
  slow(perMessage: Duration.Input): void
  /**
   * The worker claims what it is offered and keeps it in hand, and its application sees nothing of it: no byte is read,
   * no session is closed, until {@link behave}.
   */
  greedy(): void
  /** The host does not hear the worker: what it says, including claims, stays in its queue until {@link unmute}. */
  mute(): void
  unmute(): void
  /** Ends all of these. The application is given the sessions that were kept from it, and told of what came on them. */
  behave(): void
  /** The worker is gone at once, as if it had crashed. `detail` is the report's `lastFailure`. */
  crash(detail?: string, reason?: WorkerExit["reason"]): void
  /**
   * When the worker ends, its thread does not, as if it were in native code, until the function is called that is
   * returned.
   */
  linger(): () => void
  /** The worker crashes when the next message wakes it, and does not see that message. */
  crashAtNextMessage(detail?: string): void
}

const TOLD_TO = "the worker crashed: it was told to"

/** What a script knows of the worker's present start. */
interface ScriptedStart {
  readonly exit: (exit: WorkerExit) => void
  /** Calls `call` so many milliseconds of the `Clock` later, if the start is still there. */
  readonly after: (millis: number, call: () => void) => void
  /** Gives the application a session that was kept from it. */
  readonly give: (session: Session, accept: (session: Session) => void) => void
}

const noStart: ScriptedStart = { exit() {}, after() {}, give() {} }

/**
 * A script, and the worker's side of it.
 *
 * @category models
 * @since 0.1.0
 */
export class Script implements WorkerScript {
  #start = noStart
  #blocked = false
  /** Counts blocks and releases, so that a block which is over ends no later one. */
  #turn = 0
  #muted = false
  #greedy = false
  #delay = 0
  #crashNext: string | undefined
  /** Looks that a slow worker will come to. */
  readonly #coming = new Set<() => void>()
  /** Looks that the worker has missed. */
  readonly #missed = new Set<() => void>()
  /** What the host has not heard yet. */
  readonly #unheard = new Set<() => void>()
  /** Sessions that were claimed, and the handlers that were to be given them. */
  #kept: Array<readonly [Session, (session: Session) => void]> = []
  starts = 0
  /** Is done when the thread has ended that does not end with the worker. */
  lingering: Promise<void> | undefined

  block(duration?: Duration.Input): void {
    this.#blocked = true
    const turn = ++this.#turn
    if (duration === undefined) return
    this.#start.after(Duration.toMillis(duration), () => {
      if (turn === this.#turn) this.release()
    })
  }

  release(): void {
    this.#turn++
    this.#blocked = false
    this.look()
  }

  look(): void {
    const missed = [...this.#missed]
    this.#missed.clear()
    for (const look of missed) queueMicrotask(() => this.#meet(look))
  }

  slow(perMessage: Duration.Input): void {
    this.#delay = Duration.toMillis(perMessage)
    if (this.#delay > 0) return
    const coming = [...this.#coming]
    this.#coming.clear()
    for (const look of coming) queueMicrotask(() => this.#hear(look))
  }

  greedy(): void {
    this.#greedy = true
  }

  mute(): void {
    this.#muted = true
  }

  unmute(): void {
    this.#muted = false
    const unheard = [...this.#unheard]
    this.#unheard.clear()
    for (const ring of unheard) ring()
  }

  behave(): void {
    this.slow(0)
    this.#greedy = false
    this.#crashNext = undefined
    const { give } = this.#start
    for (const [session, accept] of this.#kept.splice(0)) give(session, accept)
    this.unmute()
    this.release()
  }

  crash(detail = TOLD_TO, reason: WorkerExit["reason"] = "Crashed"): void {
    this.#start.exit(new WorkerExit({ reason, detail }))
  }

  linger(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.lingering = promise
    return resolve
  }

  crashAtNextMessage(detail = TOLD_TO): void {
    this.#crashNext = detail
  }

  // ---- the worker's side

  /** A start of the worker begins. */
  begin(start: ScriptedStart): void {
    this.#start = start
    this.#turn++
    this.#blocked = false
    this.#muted = false
    this.#greedy = false
    this.#delay = 0
    this.#crashNext = undefined
    this.lingering = undefined
    this.#coming.clear()
    this.#missed.clear()
    this.#unheard.clear()
    this.#kept = []
    this.starts++
  }

  /** Something wakes the worker, or it comes to its next message. */
  readonly #hear = (look: () => void): void => {
    if (this.#blocked) this.#missed.add(look)
    else this.#meet(look)
  }

  #meet(look: () => void): void {
    if (this.#crashNext === undefined) return look()
    this.crash(this.#crashNext)
    // until it is taken apart it is as good as gone
    this.#blocked = true
  }

  /** See `WorkerPlace`. */
  readonly pace = (): ((look: () => void) => void) | undefined => this.#delay > 0 ? this.#next : undefined

  readonly #next = (look: () => void): void => {
    this.#coming.add(look)
    // it may have been slow until this message
    if (this.#delay === 0) return this.slow(0)
    this.#start.after(this.#delay, () => {
      if (this.#coming.delete(look)) this.#hear(look)
    })
  }

  /** See `WorkerPlace`. A slow worker is at a message, or waits for one. */
  readonly looks = (look: () => void): void => {
    if (this.#delay === 0) this.#hear(look)
  }

  /** The session client as the application sees it. */
  readonly between = (sessions: Sessions["Service"]): Sessions["Service"] => ({
    ...sessions,
    listen: (endpoint, accept, options) =>
      sessions.listen(endpoint, (session) => {
        if (!this.#greedy) return accept(session)
        this.#kept.push([session, accept])
        // what reads takes the session in hand, even nothing: it does not go on with another worker
        session.drop(0)
      }, options)
  })

  /** The worker's end of its doorbell, with the script in between. */
  doorbell(doorbell: DoorbellShape): DoorbellShape {
    return {
      ...this.bell(doorbell),
      ring: () => {
        if (this.#muted) this.#unheard.add(doorbell.ring)
        else doorbell.ring()
      }
    }
  }

  /** The same for the worker's end of a link to another worker: the other worker hears of it at once. */
  bell(doorbell: DoorbellShape): DoorbellShape {
    return {
      soon: doorbell.soon,
      ring: doorbell.ring,
      listen: (wake) =>
        doorbell.listen(() => {
          if (this.#delay > 0) this.#next(wake)
          else this.#hear(wake)
        })
    }
  }
}

/** Gives a session late: nobody has been told of what came on it meanwhile. */
const give = (session: Session, accept: (session: Session) => void): void => {
  accept(session)
  if (session.available > 0) session.handler?.readable?.(session)
  if (session.ended) session.handler?.ended?.(session)
  if (session.closed) session.handler?.closed?.(session, session.reset)
}

/**
 * Runs in-process workers by a script.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer =
  (script: Script, lingers?: WorkerPlan["Service"]["lingers"]) =>
  (options: AppWorkerInProcess.InProcessOptions): Layer.Layer<AppWorker> =>
    Layer.effect(
      AppWorker,
      Effect.gen(function*() {
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            if (script.lingering !== undefined) lingers?.(script.lingering)
          })
        )
        const crashed = yield* Deferred.make<never, WorkerExit>()
        const run = yield* FiberSet.makeRuntime<never, void, never>()
        script.begin({
          exit: (exit) => void Deferred.doneUnsafe(crashed, Exit.fail(exit)),
          after: (millis, call) => void run(Effect.delay(Effect.sync(call), millis)),
          give: (session, accept) =>
            void run(Effect.catchDefect(Effect.sync(() => give(session, accept)), (error) => {
              // as with any other edge: one that throws costs its session
              session.abort()
              return Effect.logError("an application's session handler threw", error)
            }))
        })
        const { doorbell, link, receive, receiveCertificates, receiveSocket, returnSocket } = options.place
        const scripted: AppWorkerInProcess.InProcessOptions = {
          ...options,
          place: {
            receive,
            receiveCertificates,
            receiveSocket,
            returnSocket,
            doorbell: script.doorbell(doorbell),
            pace: script.pace,
            looks: script.looks,
            link: (number) => {
              const handed = link(number)
              return handed && { inbox: handed.inbox, bell: script.bell(Bells.ofLink(handed.bell)) }
            }
          },
          between: script.between
        }
        const services = yield* Layer.build(AppWorkerInProcess.layerFrom(scripted))
        const worker = Context.get(services, AppWorker)
        return AppWorker.of({
          ready: Effect.raceFirst(worker.ready, Deferred.await(crashed)),
          exit: Effect.raceFirst(worker.exit, Deferred.await(crashed))
        })
      })
    )
