/**
 * In-process app workers that misbehave on command: the same client and the same application as
 * `AppWorkerInProcess` runs, with a {@link Script} between them and their doorbells. Congestion, offers that are not
 * claimed, slow workers and crashes can so be had in a test, at exact times of the `Clock`.
 *
 * What a script holds back is the worker's looking at its queue; fibers and timers of the application go on.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import { AppWorker, WorkerExit } from "../services/AppWorker.ts"
import type { DoorbellShape } from "../services/Doorbell.ts"
import * as AppWorkerInProcess from "./AppWorkerInProcess.ts"
import * as Links from "./Links.ts"

/**
 * What a worker is told to do wrong. It holds for the worker's present start: the next one begins well-behaved.
 *
 * @category models
 * @since 0.1.0
 */
export class Script {
  #blocked = false
  #muted = false
  #delay = 0
  /** What the worker has not heard yet. */
  #missed: (() => void) | undefined
  /** What the host has not heard yet. */
  #unheard: (() => void) | undefined
  #crash: (exit: WorkerExit) => void = () => {}
  /** How often the worker was started. */
  starts = 0

  /** The worker does not look at its queue from now on. */
  block(): void {
    this.#blocked = true
  }

  /** The worker looks again, at what it has missed first. */
  release(): void {
    this.#blocked = false
    this.look()
  }

  /** A worker that is blocked looks once, until its queue is empty. */
  look(): void {
    const missed = this.#missed
    this.#missed = undefined
    if (missed !== undefined) queueMicrotask(missed)
  }

  /** Every look comes `millis` of the `Clock` after its ring; 0: at once. */
  slow(millis: number): void {
    this.#delay = millis
  }

  /** The host does not hear the worker: what it writes stays in its queue. */
  mute(): void {
    this.#muted = true
  }

  unmute(): void {
    this.#muted = false
    const unheard = this.#unheard
    this.#unheard = undefined
    unheard?.()
  }

  /** The worker is gone, as one that crashed. */
  crash(detail = "the worker crashed: it was told to", reason: WorkerExit["reason"] = "Crashed"): void {
    this.#crash(new WorkerExit({ reason, detail }))
  }

  /** A start of the worker begins. */
  begin(crash: (exit: WorkerExit) => void): void {
    this.#blocked = false
    this.#muted = false
    this.#delay = 0
    this.#missed = undefined
    this.#unheard = undefined
    this.#crash = crash
    this.starts++
  }

  /** The worker's end of its doorbell, with the script in between. */
  doorbell(doorbell: DoorbellShape): DoorbellShape {
    return {
      ...this.bell(doorbell),
      ring: () => {
        if (this.#muted) this.#unheard = doorbell.ring
        else doorbell.ring()
      }
    }
  }

  /** The same for its end of a link to another worker: that one hears of it at once. */
  bell(doorbell: DoorbellShape): DoorbellShape {
    return {
      soon: doorbell.soon,
      ring: doorbell.ring,
      listen: Effect.fnUntraced({ self: this }, function*(wake) {
        const run = yield* FiberSet.makeRuntime<never, void, never>()
        const hear = (): void => {
          if (this.#blocked) this.#missed = wake
          else wake()
        }
        yield* doorbell.listen(() => {
          if (this.#delay > 0) run(Effect.delay(Effect.sync(hear), this.#delay))
          else hear()
        })
      })
    }
  }
}

/**
 * Runs in-process workers by a script.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (script: Script) => (options: AppWorkerInProcess.Options): Layer.Layer<AppWorker> =>
  Layer.effect(
    AppWorker,
    Effect.gen(function*() {
      const crashed = yield* Deferred.make<never, WorkerExit>()
      script.begin((exit) => void Deferred.doneUnsafe(crashed, Exit.fail(exit)))
      const { doorbell, link, receive, receiveCertificates, receiveSocket } = options.place
      const scripted: AppWorkerInProcess.Options["place"] = {
        receive,
        receiveCertificates,
        receiveSocket,
        doorbell: script.doorbell(doorbell),
        link: (number) => {
          const handed = link(number)
          return handed && { inbox: handed.inbox, bell: script.bell(Links.doorbellOf(handed.bell)) }
        }
      }
      const services = yield* Layer.build(AppWorkerInProcess.layer({ ...options, place: scripted }))
      const worker = Context.get(services, AppWorker)
      return AppWorker.of({
        ready: Effect.raceFirst(worker.ready, Deferred.await(crashed)),
        exit: Effect.raceFirst(worker.exit, Deferred.await(crashed))
      })
    })
  )
