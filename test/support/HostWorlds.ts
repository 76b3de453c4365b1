/**
 * The world that the random test of the host runs in: in memory, with scripted workers, so that the test decides when
 * everything happens. All that needs no time has happened when things have settled.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Host from "../../src/layers/Host.ts"
import * as SessionLayerHost from "../../src/layers/host/SessionLayerHost.ts"
import * as AppWorkerInProcess from "../../src/layers/stack/AppWorkerInProcess.ts"
import * as WorkerStack from "../../src/layers/stack/WorkerStack.ts"
import * as AppWorkerScripted from "../../src/layers/testing/AppWorkerScripted.ts"
import * as TransportMemory from "../../src/layers/testing/TransportMemory.ts"
import * as AppWorker from "../../src/services/AppWorker.ts"
import { Namespaces } from "../../src/services/Namespaces.ts"
import { SessionLayer } from "../../src/services/SessionLayer.ts"
import { SessionRules } from "../../src/services/SessionRules.ts"
import { Sessions } from "../../src/services/Sessions.ts"
import { WorkerPlan } from "../../src/services/WorkerPlan.ts"
import type { AppSpec, Far, Life, Worker } from "./HostModel.ts"
import * as Pattern from "./pattern.ts"
import * as Puppet from "./Puppet.ts"
import { settled } from "./until.ts"

/** Where workers connect to, outside of the host. */
export interface Targets {
  /** Takes connections. */
  readonly answers: string
  /** Leaves connects half-open. */
  readonly holds: string
  /** Refuses, and can't be reached; where there are such. */
  readonly nobody: string
  readonly unreachable: string | undefined
}

export interface World {
  readonly host: SessionLayer["Service"]
  readonly rules: SessionRules["Service"]
  readonly module: AppWorker.AppModule
  readonly config: unknown
  readonly specs: ReadonlyArray<AppSpec>
  readonly targets: Targets
  /** Starts of workers, words, and far ends of the host's connects, since they were last asked for. */
  readonly lives: () => ReadonlyArray<Life>
  readonly words: () => ReadonlyArray<readonly [Life, Puppet.Word]>
  readonly fars: () => ReadonlyArray<Far>
  readonly dial: (endpoint: string) => Far
  readonly block: (worker: Worker) => void
  readonly release: (worker: Worker) => void
  readonly crash: (worker: Worker) => void
  /** The worker's next start listens, and fails. */
  readonly failStart: (worker: Worker) => void
  /** Connects to {@link Targets.holds} that are half-open are answered, or fail. */
  readonly answer: (failure: TransportMemory.ConnectFailure | undefined) => void
  /** Endpoints that the host listens on, where they can be known. */
  readonly listening: () => ReadonlyArray<string> | undefined
  /** A little of what is to happen happens. */
  readonly turn: Effect.Effect<void>
  readonly settled: Effect.Effect<void>
  readonly pass: (millis: number) => Effect.Effect<void>
}

const drained = <A>(items: Array<A>) => (): ReadonlyArray<A> => items.splice(0)

// ---------------------------------------------------------------------------------------------------------------------
// In memory
// ---------------------------------------------------------------------------------------------------------------------

class MemoryFar implements Far {
  sent = 0
  sentEnd = false
  sentReset = false
  readonly #peer: TransportMemory.Peer
  /** Bytes that were looked at. */
  #looked = 0
  #right = true

  constructor(peer: TransportMemory.Peer) {
    this.#peer = peer
  }
  get local(): string {
    return this.#peer.local
  }
  get remote(): string {
    return this.#peer.remote
  }
  get unsent(): number {
    return this.#peer.unsent
  }
  get received(): number {
    return this.#peer.receivedBytes
  }
  get closed(): boolean {
    return this.#peer.closed
  }
  isRight(base: number): boolean {
    if (this.received > this.#looked) {
      const fresh = this.#peer.received().subarray(this.#looked)
      this.#right &&= Pattern.isAt(fresh, base + this.#looked)
      this.#looked = this.received
    }
    return this.#right
  }
  send(bytes: number, base: number): void {
    this.#peer.send(Pattern.at(base + this.sent, bytes))
    this.sent += bytes
  }
  end(): void {
    this.sentEnd = true
    this.#peer.end()
  }
  reset(): void {
    this.sentReset = true
    this.#peer.reset()
  }
  stop(): void {
    this.#peer.stop()
  }
  read(): void {
    this.#peer.read()
  }
}

const small: Omit<AppSpec, "name" | "namespace" | "scope" | "workers" | "listen" | "extra" | "policy"> = {
  holdMax: 3,
  holdTime: 200,
  revokeAfter: 5,
  maxSessionsPerWorker: 6,
  maxSessionsPerListener: 9,
  maxSessions: 14,
  maxHalfOpen: 3,
  connectTimeout: 300,
  backoff: 100,
  drainTimeout: 250,
  slots: 64,
  postponedMessages: 512
}

const both = { global: true, local: true }

const memorySpecs: ReadonlyArray<AppSpec> = [
  {
    ...small,
    name: "web",
    namespace: "default",
    scope: { global: true, local: false },
    workers: 2,
    listen: ["tcp://127.0.0.1:80", "tcp://127.0.0.1:81"],
    extra: ["tcp://127.0.0.1:82", "tcp://127.0.0.1:90", "tcp://127.0.0.1:0", "local://shop"],
    policy: "hold"
  },
  {
    ...small,
    name: "shop",
    namespace: "default",
    scope: both,
    workers: 3,
    listen: ["tcp://0.0.0.0:90", "local://shop"],
    extra: ["local://more", "tcp://127.0.0.1:0", "tcp://127.0.0.1:80", "tcp://127.0.0.1:83"],
    policy: "hold",
    slots: 8
  },
  {
    ...small,
    name: "back",
    namespace: "default",
    scope: { global: false, local: true },
    workers: 2,
    listen: ["local://back", "tcp://127.0.0.1:70"],
    extra: ["local://more", "local://shop", "tcp://127.0.0.1:80", "tcp://127.0.0.1:0", "tcp://0.0.0.0:71"],
    policy: "refuse"
  },
  {
    ...small,
    name: "aside",
    namespace: "other",
    scope: both,
    workers: 1,
    listen: ["local://shop", "tcp://127.0.0.1:91"],
    extra: ["local://back", "tcp://127.0.0.1:83"],
    policy: "hold",
    slots: 4
  }
]

/** Milliseconds that pass at once while a host closes, and how often they may. */
const CLOSING = { millis: 500, times: 200 }

/**
 * Runs a test in a scope in which its host may be. When the scope closes, time passes: a test that fails leaves workers
 * that look at nothing, and the host waits for each of them until its time is over.
 */
export const scoped = <A, E>(test: Effect.Effect<A, E, Scope.Scope>): Effect.Effect<A, E> =>
  Effect.flatMap(Scope.make(), (scope) =>
    test.pipe(
      Scope.provide(scope),
      Effect.onExit((exit) =>
        Effect.gen(function*() {
          const closing = yield* Effect.forkDetach(Scope.close(scope, exit))
          for (let times = 0; closing.pollUnsafe() === undefined; times++) {
            if (times === CLOSING.times) return yield* Effect.die(new Error("the host does not close"))
            yield* TestClock.adjust(CLOSING.millis)
            yield* settled
          }
        })
      )
    ))

/** Scripted workers on a network in memory. */
export const memory: Effect.Effect<World, never, Scope.Scope> = Effect.gen(function*() {
  const network = new TransportMemory.Network()
  const scripts = new Map<string, AppWorkerScripted.Script>()
  const scriptOf = (app: string, worker: number): AppWorkerScripted.Script => {
    const key = `${app}/${worker}`
    const script = scripts.get(key) ?? new AppWorkerScripted.Script()
    scripts.set(key, script)
    return script
  }
  const lives: Array<Life> = []
  const words: Array<readonly [Life, Puppet.Word]> = []
  const fars: Array<Far> = []
  const born = new Map<Puppet.Puppet, Life>()
  const birth = (puppet: Puppet.Puppet): void => {
    const { app, appIndex, restarts, worker } = puppet.sessions.worker
    const life: Life = { id: born.size, app, appIndex, worker, restarts, tell: (command) => puppet.obey(command) }
    born.set(puppet, life)
    lives.push(life)
  }
  const app = Puppet.app(birth, (puppet) => (word) => void words.push([born.get(puppet())!, word]))
  /** Workers whose next start fails, as `app/number`. */
  const failing = new Set<string>()
  const start = Effect.fnUntraced(function*(sessions: Sessions["Service"]) {
    const { app: name, worker } = sessions.worker
    yield* app(sessions)
    if (failing.delete(`${name}/${worker}`)) return yield* Effect.fail(new Error("the start fails"))
  })
  const appWorker = Layer.unwrap(
    Effect.map(
      WorkerPlan,
      ({ info: { app, worker } }) => AppWorkerInProcess.layerWith(AppWorkerScripted.layer(scriptOf(app, worker)))
    )
  )
  const services = yield* Layer.build(
    SessionLayerHost.layerStack.pipe(
      Layer.provide(WorkerStack.layerInProcess({ appWorker })),
      Layer.provide(TransportMemory.layer(network)),
      Layer.provideMerge(Host.layerSettings)
    )
  )
  yield* Effect.orDie(Context.get(services, Namespaces).add({ name: "other" }))
  const targets: Targets = {
    answers: "tcp://10.0.0.1:443",
    holds: "tcp://10.0.0.2:443",
    nobody: "tcp://10.0.0.3:443",
    unreachable: "tcp://10.0.0.4:443"
  }
  const take = (peer: TransportMemory.Peer): void => void fars.push(new MemoryFar(peer))
  network.listen(targets.answers, take)
  const holds = network.listen(targets.holds, take)
  holds.hold()
  network.unreachable(targets.unreachable!)
  const of = ({ app, number }: Worker) => scriptOf(app.spec.name, number)
  return {
    host: Context.get(services, SessionLayer),
    rules: Context.get(services, SessionRules),
    module: AppWorker.fromLayer(Layer.effectDiscard(Effect.flatMap(Sessions, start))),
    config: null,
    specs: memorySpecs,
    targets,
    lives: drained(lives),
    words: drained(words),
    fars: drained(fars),
    dial: (endpoint) => new MemoryFar(network.dial(endpoint)),
    block: (worker) => of(worker).block(),
    release: (worker) => of(worker).release(),
    crash: (worker) => of(worker).crash(),
    failStart: ({ name }) => void failing.add(name),
    answer: (failure) => {
      if (failure !== undefined) return holds.fail(failure)
      holds.answer()
      holds.hold()
    },
    listening: () => network.listening,
    turn: Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve))),
    settled,
    pass: (millis) => TestClock.adjust(millis)
  }
})
