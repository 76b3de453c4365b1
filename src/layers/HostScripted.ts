/**
 * A host for tests: in-process workers that follow scripts, on a network in memory. Under `TestClock` everything that
 * depends on time happens when the test says so, and the same test does the same every time.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AppWorkerScripted from "./AppWorkerScripted.ts"
import * as Host from "./Host.ts"
import * as SessionLayerHost from "./SessionLayerHost.ts"
import * as TransportMemory from "./TransportMemory.ts"
import * as WorkerStack from "./WorkerStack.ts"

/** Turns of the loop in which all that needs neither time nor another thread has happened. */
const TURNS = 20

/**
 * What a test holds of the host: its network, and its workers' scripts.
 *
 * @category services
 * @since 0.1.0
 */
export class HostScripted extends Context.Service<HostScripted, {
  readonly network: TransportMemory.Network
  /** The script of a worker, by its number and its application's name; the first application's when none is given. */
  readonly script: (worker: number, app?: string) => AppWorkerScripted.Script
  /** Lets happen what needs no time. */
  readonly settled: Effect.Effect<void>
}>()("sluice/layers/HostScripted") {}

const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

/**
 * The host and its scripts. Its applications' workers must be in-process.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Host.Services | HostScripted> = Layer.unwrap(Effect.sync(() => {
  const network = new TransportMemory.Network()
  const scripts = new Map<string, AppWorkerScripted.Script>()
  let first: string | undefined
  const script = (worker: number, app = first): AppWorkerScripted.Script => {
    const key = `${app}/${worker}`
    const known = scripts.get(key)
    if (known !== undefined) return known
    const made = new AppWorkerScripted.Script()
    scripts.set(key, made)
    return made
  }
  const stack: SessionLayerHost.Stack = (options) => {
    first ??= options.info.app
    return WorkerStack.layerInProcess(options, AppWorkerScripted.layer(script(options.info.worker, options.info.app)))
  }
  return SessionLayerHost.layerStack(stack).pipe(
    Layer.provide(TransportMemory.layer(network)),
    Layer.provideMerge(Host.layerSettings),
    Layer.merge(Layer.succeed(HostScripted, {
      network,
      script,
      settled: Effect.forEach(Array(TURNS), () => turn, { discard: true })
    }))
  )
}))
