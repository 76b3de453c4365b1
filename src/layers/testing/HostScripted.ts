/**
 * A host for tests: in-process workers that follow scripts, on a network in memory. Under `TestClock` everything that
 * depends on time happens when the test says so, and the same test does the same every time.
 *
 * When the scope of an attach closes, the workers of that application behave again and time passes until it is
 * detached: so a test that ends, or fails, while a worker is blocked does not hang.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import type { AppModule } from "../../services/AppWorker.ts"
import { SessionLayer } from "../../services/SessionLayer.ts"
import { WorkerPlan } from "../../services/WorkerPlan.ts"
import * as AppModules from "../adapters/node/AppModules.ts"
import * as Host from "../Host.ts"
import * as SessionLayerHost from "../host/SessionLayerHost.ts"
import * as AppWorkerInProcess from "../stack/AppWorkerInProcess.ts"
import * as WorkerStack from "../stack/WorkerStack.ts"
import * as AppWorkerScripted from "./AppWorkerScripted.ts"
import * as TransportMemory from "./TransportMemory.ts"

/** Turns of the loop after which everything that needs neither time nor another thread has happened. */
const TURNS = 20

/** Milliseconds that pass at once while an application is detached. */
const LAST_STEP = 100

/**
 * What a test holds of the host: its network, its workers' scripts, and its time.
 *
 * @category services
 * @since 0.1.0
 */
export class HostScripted extends Context.Service<HostScripted, {
  /** Where the test connects to the host's listeners, and listens for its connects. */
  readonly network: TransportMemory.Network
  /**
   * The script of a worker, by its number (0 to the number of workers - 1) and its application's name; without a name,
   * the application that was attached first is meant. Throws when no name is given and no application was attached.
   */
  readonly script: (worker: number, app?: string) => AppWorkerScripted.WorkerScript
  /** Lets everything happen that needs no time: twenty turns of the loop. */
  readonly settled: Effect.Effect<void>
  /**
   * Moves the `TestClock` on and lets everything happen that follows from that, in order of time: it stops wherever the
   * host or a worker has something to do. `TestClock.adjust` alone does not wait for what goes through queues and
   * fifos.
   */
  readonly advance: (duration: Duration.Input) => Effect.Effect<void>
}>()("sluice/layers/HostScripted") {}

const settled = Effect.callback<void>((resume) => {
  let left = TURNS
  const turn = (): void => {
    if (--left === 0) resume(Effect.void)
    else setImmediate(turn)
  }
  setImmediate(turn)
})

/** A clock that remembers the times at which its sleepers wake up. */
const remembering = (clock: Clock.Clock, times: Set<number>): Clock.Clock => ({
  ...clock,
  sleep: (duration) =>
    Effect.suspend(() => {
      times.add(clock.currentTimeMillisUnsafe() + Duration.toMillis(duration))
      return clock.sleep(duration)
    })
})

const advance = (clock: Clock.Clock, times: Set<number>) =>
  Effect.fnUntraced(function*(duration: Duration.Input) {
    const end = clock.currentTimeMillisUnsafe() + Duration.toMillis(duration)
    yield* settled
    for (let now; (now = clock.currentTimeMillisUnsafe()) < end;) {
      let next = end
      for (const time of times) {
        if (time <= now) times.delete(time)
        else if (time < next) next = time
      }
      yield* TestClock.adjust(next - now)
      yield* settled
    }
  })

/** Loads each module once, so that a start of a worker takes no longer than the loop's turns. */
const makeLoad = () => {
  const loaded = new Map<string, AppModule>()
  return (module: AppModule): Effect.Effect<AppModule> => {
    if (module._tag === "Layer") return Effect.succeed(module)
    const known = loaded.get(module.url)
    if (known !== undefined) return Effect.succeed(known)
    return AppModules.load(module).pipe(
      Effect.map((layer): AppModule => ({ _tag: "Layer", layer })),
      Effect.tap((found) => Effect.sync(() => loaded.set(module.url, found))),
      // the worker finds out for itself, and says so
      Effect.orElseSucceed(() => module)
    )
  }
}

/**
 * The host and its scripts, with these layers in the stacks of its workers; see `WorkerStack.layer` of `sluice/stack`.
 * All workers run in-process, also those that their options would put on threads, and the layer that runs them is the
 * script's.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStack = <const Layers extends Omit<WorkerStack.Replacements, "appWorker">>(
  layers: Layers & WorkerStack.Fits<Layers>
): Layer.Layer<Host.Services | HostScripted, never, WorkerStack.Outside<Layers>> =>
  Layer.unwrap(Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const network = new TransportMemory.Network()
    const times = new Set<number>()
    const scripts = new Map<string, Map<number, AppWorkerScripted.Script>>()
    const load = makeLoad()
    let first: string | undefined

    const scriptsOf = (app: string): Map<number, AppWorkerScripted.Script> => {
      const known = scripts.get(app) ?? new Map<number, AppWorkerScripted.Script>()
      scripts.set(app, known)
      return known
    }
    const script = (worker: number, app = first): AppWorkerScripted.Script => {
      if (app === undefined) throw new Error("there are no workers yet: attach an application first, or name it")
      const known = scriptsOf(app).get(worker) ?? new AppWorkerScripted.Script()
      scriptsOf(app).set(worker, known)
      return known
    }
    /** The worker's script, and its module, which is loaded only once. */
    const appWorker = Layer.unwrap(Effect.gen(function*() {
      const { info: { app, worker }, lingers, module } = yield* WorkerPlan
      first ??= app
      const loaded = yield* load(module)
      return AppWorkerInProcess.layerWith((options) =>
        AppWorkerScripted.layer(script(worker, app), lingers)({ ...options, module: loaded })
      )
    }))

    /** Lets time pass while an application is detached: what it waits for must not wait for the test. */
    const passTime = Effect.gen(function*() {
      if (!("adjust" in clock)) return yield* Effect.never
      return yield* Effect.forever(Effect.andThen(TestClock.adjust(LAST_STEP), settled))
    })
    const attach = (host: SessionLayer["Service"]): SessionLayer["Service"]["attach"] =>
      Effect.fnUntraced(function*(options, module) {
        let time: Fiber.Fiber<void> | undefined
        // the last of the three to run
        yield* Effect.addFinalizer(() => time === undefined ? Effect.void : Fiber.interrupt(time))
        const app = yield* host.attach(options, module)
        yield* Effect.addFinalizer(() =>
          Effect.gen(function*() {
            for (const script of scriptsOf(app.name).values()) script.behave()
            time = yield* Effect.forkDetach(passTime)
          })
        )
        return app
      })

    return Layer.effect(SessionLayer, Effect.map(SessionLayer, (host) => ({ ...host, attach: attach(host) }))).pipe(
      Layer.provide(SessionLayerHost.layerStack),
      Layer.provide(WorkerStack.layerInProcessUnsafe({ ...layers, appWorker })),
      Layer.provide(TransportMemory.layer(network)),
      Layer.provideMerge(Host.layerSettings),
      Layer.provide(Layer.succeed(Clock.Clock, remembering(clock, times))),
      Layer.merge(Layer.succeed(HostScripted, { network, script, settled, advance: advance(clock, times) }))
    )
  }))

/**
 * The host and its scripts, with the default layers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Host.Services | HostScripted> = layerStack({})
