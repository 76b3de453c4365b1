/** The end of a worker: in which order it is taken apart, and that nothing of it is left (W12). */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import * as Net from "node:net"
import type * as Handle from "../../../src/domain/state/Handle.ts"
import * as Host from "../../../src/layers/Host.ts"
import type { Peer } from "../../../src/layers/testing/TransportMemory.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import type { Session } from "../../../src/services/Sessions.ts"
import type { Config } from "../../fixtures/busy.ts"
import * as HalfOpen from "../../support/halfOpen.ts"
import {
  Actor,
  assertNothingLeft,
  echoing,
  endpoint,
  handleOf,
  recorded,
  scenario,
  Spans,
  type Stage
} from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

const second = "tcp://127.0.0.1:81"
const service = "local://service"
const neighbours = "local://neighbours"
const remote = "tcp://10.0.0.1:443"
const unanswered = "tcp://10.0.0.2:443"
const both = { local: true, global: true } as const

/** Moves the clock and lets what follows happen. */
const adjust = (millis: number) => Effect.andThen(TestClock.adjust(millis), settled)

/** Everything that there is, but for sums and times. */
const inventory = (
  { host, network }: Pick<Stage, "host"> & { readonly network: Pick<Stage["network"], "listening"> }
) =>
  Effect.gen(function*() {
    const { apps, imbalances, ledger, sessions } = yield* host.report
    const locals = yield* host.locals
    assert.deepStrictEqual(imbalances, [])
    return {
      sessions,
      listening: network.listening.toSorted(),
      apps: apps.map(({ listeners, name, workers }) => ({
        name,
        listeners: listeners.map(({ arrivals: { held, offered }, endpoint, handle, managers, sessions, workers }) => ({
          endpoint,
          handle,
          held,
          offered,
          managers,
          sessions,
          workers: workers.toSorted()
        })),
        workers: workers.map(({ congested, handle, offers, postponed, queue, segments, sessions, state }) => ({
          handle,
          state,
          congested,
          sessions,
          segments,
          queue,
          pending: offers.pending,
          postponed: postponed.now
        }))
      })),
      handles: (yield* host.sessions({})).map(({ handle, state }) => `${handle} ${state}`),
      connects: (yield* host.connects).length,
      locals: {
        listeners: locals.listeners.map(({ app, endpoint }) => `${app} ${endpoint}`),
        sessions: locals.sessions.length,
        connects: locals.connects.length
      },
      segments: (yield* host.segments).map(({ app, blocks, bytes, count, kind, manager, users, worker }) => ({
        app,
        worker,
        kind,
        manager,
        users,
        count,
        bytes,
        blocks
      })),
      waiting: { postponed: ledger.messages.postponed, pending: ledger.offers.pending, held: ledger.arrivals.held }
    }
  })

/** Counts of what a worker has in use, besides its memory. */
interface Load {
  readonly sessions: number
  readonly connected: number
  readonly halfOpen: number
  readonly asClient: number
  readonly asServer: number
}

/** An application under load, and a neighbour that has sessions with it and of its own. */
const busy = Effect.fnUntraced(function*(stage: Stage, load: Load) {
  const { network } = stage
  const outside: Array<Peer> = []
  const actor = new Actor({
    accept: (session) => session.cutThrough ? echoing(session) : (session.handler = {}),
    start: (run) =>
      Effect.forEach(run.sessions.endpoints, (uri) =>
        // the last one is the first worker's alone
        uri === second && run.info.worker > 0
          ? Effect.void
          : run.sessions.listen(uri, (session) => {
            run.accepted.push(session)
            if (session.cutThrough) echoing(session)
            else recorded(session, run)
          }), { discard: true })
  })
  const neighbour = new Actor({ accept: echoing })
  const remotely = network.listen(remote, (peer) => outside.push(peer))
  const silent = network.listen(unanswered, () => {})
  silent.hold()
  yield* stage.attach(neighbour, { name: "neighbour", listen: ["tcp://127.0.0.1:90", neighbours], scope: both })
  const quiet = yield* inventory(stage)
  const own = yield* stage.dialOpen("tcp://127.0.0.1:90")
  const theirs = yield* neighbour.run().sessions.connect(neighbours)
  yield* settled
  const before = yield* inventory(stage)
  const app = yield* stage.attach(actor, {
    listen: [endpoint, second, service],
    scope: both,
    queue: { indexQueue: 8, ioRing: 8, controlRing: 8 },
    segment: { rxFifoSize: "64KiB", txFifoSize: "64KiB" },
    workers: 2
  })
  const attached = yield* inventory(stage)

  const run = actor.run(0)
  const peers: Array<Peer> = []
  const clients: Array<Session> = []
  // the rotor of the first gives every other one to the other worker, the second is the first worker's alone
  for (let i = 0; i < load.sessions; i++) peers.push(yield* stage.dialOpen(i % 3 < 2 ? endpoint : second))
  for (let i = 0; i < load.connected; i++) clients.push(yield* run.sessions.connect(remote))
  const half = yield* Effect.forEach(
    Array(load.halfOpen),
    () => Effect.forkChild(Effect.exit(run.sessions.connect(unanswered)))
  )
  for (let i = 0; i < load.asClient; i++) clients.push(yield* run.sessions.connect(neighbours))
  const served = yield* Effect.forEach(Array(load.asServer), () => neighbour.run().sessions.connect(service))
  yield* until("all to be half-open", () => silent.waiting === load.halfOpen)
  // some bytes on the way, and memory in use for them
  for (const peer of peers.slice(0, 50)) peer.send(Buffer.alloc(5000))
  for (const session of [...clients, ...run.accepted.slice(0, 50)]) session.write(Buffer.alloc(3000))
  yield* settled

  /** What must still work whatever becomes of the application. */
  const neighbourIsWell = Effect.gen(function*() {
    for (const text of ["one", "two"]) {
      own.send(text)
      yield* until("the echo", () => own.received().toString().endsWith(text))
    }
    theirs.write(Buffer.from("hello"))
    yield* until("the echo", () => theirs.available === 5)
    theirs.read()
    yield* settled
  })
  /** Postpones messages to the first worker, until the bound is near. */
  const congest = Effect.gen(function*() {
    stage.script(0).block()
    for (const peer of peers) if (!peer.closed) peer.send("x")
    yield* settled
    assert.isTrue((yield* stage.worker(0)).congested)
    assert.isAbove((yield* stage.worker(0)).postponed.now, 10)
  })
  return {
    actor,
    app,
    attached,
    before,
    congest,
    half,
    neighbour,
    neighbourIsWell,
    outside,
    peers,
    quiet,
    remotely,
    served,
    silent
  }
})

const steps = [
  "notifications",
  "listeners",
  "half-open",
  "connects",
  "sessions",
  "local-listeners",
  "local-sessions",
  "messages"
] as const

describe("the order", () => {
  const ends = [
    ["crashes", false],
    ["is detached", true]
  ] as const

  for (const [how, forGood] of ends) {
    scenario(
      `W12 of a worker that ${how}: what is gone after each step, and what is not`,
      (stage) =>
        Effect.gen(function*() {
          const spans = new Spans()
          const { app, congest, half, neighbourIsWell, silent } = yield* spans.record(busy(stage, {
            sessions: 30,
            connected: 3,
            halfOpen: 4,
            asClient: 3,
            asServer: 4
          }))
          yield* congest
          const { host, network } = stage
          const [first] = (yield* stage.app()).workers
          assert.strictEqual(first!.sessions, 15 + 5 + 3 + 3 + 2)
          const kept = { ...first!.messages.released }
          const seen: Record<string, unknown> = {}
          spans.watch = (what, name, { attributes }) => {
            const step = name.replace("SessionLayer.teardown/", "")
            if (what === "begin" || step === name || attributes.get("worker") !== first!.workerIndex) return
            const [mine, locals, report] = Effect.runSync(
              Effect.all([host.sessions({ worker: first!.handle }), host.locals, host.report])
            )
            const it = report.apps.find(({ name }) => name === "app")
            const kinds = (...of: ReadonlyArray<string>) => mine.filter(({ kind }) => of.includes(kind)).length
            const worker = it?.workers.find(({ mapIndex }) => mapIndex === 0)
            seen[step] = [
              worker?.state === "RUNNING",
              network.listening.includes(second),
              silent.waiting,
              kinds("connected"),
              kinds("accepted"),
              locals.listeners.some(({ app, endpoint }) => app === "app" && endpoint === second),
              kinds("cut-through client", "cut-through server"),
              worker === undefined ? 0 : worker.messages.postponed > 0,
              worker !== undefined
            ]
          }
          if (forGood) {
            const detaching = yield* Effect.forkChild(spans.record(
              host.deleteWorker(
                handleOf((yield* stage.app()).workers[1]!.handle),
                { drain: false }
              ).pipe(Effect.andThen(host.detach(app.handle)))
            ))
            // who is blocked does not hear that it is to stop
            yield* settled
            yield* adjust(2000)
            yield* Fiber.join(detaching)
          } else {
            stage.script(0).crash()
            yield* settled
          }
          // a listener with nobody to come back goes with its last worker; one that is kept holds what comes
          const listens = !forGood
          assert.deepStrictEqual(Object.entries(seen), [
            //                 runs  listens  half  connected accepted in the table  local postponed there
            ["notifications", [false, true, 4, 3, 20, true, 5, true, true]],
            ["listeners", [false, listens, 4, 3, 20, listens, 5, true, true]],
            ["half-open", [false, listens, 0, 3, 20, listens, 5, true, true]],
            ["connects", [false, listens, 0, 0, 20, listens, 5, true, true]],
            ["sessions", [false, listens, 0, 0, 0, listens, 5, true, true]],
            ["local-listeners", [false, listens, 0, 0, 0, listens, 5, true, true]],
            ["local-sessions", [false, listens, 0, 0, 0, listens, 0, true, true]],
            ["messages", [false, listens, 0, 0, 0, listens, 0, false, true]],
            ...(forGood ? [["slot", [false, false, 0, 0, 0, false, 0, 0, false]]] : [])
          ] as never)
          if (!forGood) {
            assert.isAbove((yield* stage.worker(0)).messages.released["worker-gone"], kept["worker-gone"])
          }
          // every half-open connect was told of its end
          yield* until("all to be told", () => half.every((fiber) => fiber.pollUnsafe() !== undefined))
          yield* neighbourIsWell
        })
    )
  }

  scenario(
    "W12 every worker of an application goes through all of the steps, each once, and its slot last",
    (stage) =>
      Effect.gen(function*() {
        const spans = new Spans()
        const names = new Map<number, Array<string>>()
        spans.watch = (what, name, { attributes }) => {
          if (what === "begin" || !name.startsWith("SessionLayer.teardown/")) return
          const worker = attributes.get("worker") as number
          names.set(worker, [...names.get(worker) ?? [], name.slice("SessionLayer.teardown/".length)])
        }
        yield* spans.record(Effect.gen(function*() {
          const { handle } = yield* stage.attach(new Actor(), { workers: 3 })
          stage.script(2).crash()
          yield* settled
          yield* adjust(100)
          yield* stage.host.detach(handle)
        }))
        assert.deepStrictEqual([...names].toSorted(([a], [b]) => a - b), [
          [0, [...steps, "slot"]],
          [1, [...steps, "slot"]],
          [2, [...steps, ...steps, "slot"]]
        ])
      })
  )
})

describe("nothing leaks", () => {
  const load: Load = { sessions: 1000, connected: 20, halfOpen: 100, asClient: 50, asServer: 50 }
  const what = "1000 sessions, 100 connects half-open, 50 local sessions each way, messages postponed"

  scenario(`W12 a detach with ${what}: everything is as it was before the attach`, (stage) =>
    Effect.gen(function*() {
      const { app, before, congest, half, neighbour, neighbourIsWell, outside, peers, served, silent } = yield* busy(
        stage,
        load
      )
      yield* congest
      const full = yield* inventory(stage)
      assert.strictEqual(full.connects, 100)
      assert.strictEqual(full.locals.sessions, 101)
      assert.isAbove(full.waiting.postponed, 10)
      assert.strictEqual(full.sessions, 1000 + 20 + 2 * 100 + before.sessions)
      const detaching = yield* Effect.forkChild(stage.host.detach(app.handle))
      yield* settled
      yield* adjust(2000)
      yield* Fiber.join(detaching)
      yield* settled
      for (const session of served) assert.isTrue(session.closed && session.reset !== undefined)
      for (const peer of peers) assert.isDefined(peer.broken)
      for (const peer of outside) assert.isDefined(peer.broken)
      assert.strictEqual(silent.waiting, 0)
      assert.isTrue(half.every((fiber) => fiber.pollUnsafe() !== undefined))
      assert.deepStrictEqual(yield* inventory(stage), before)
      yield* neighbourIsWell
      assert.strictEqual(yield* neighbour.run().sessions.open, 3)
    }))

  scenario(
    `W12 a worker that is deleted with ${what}: the others' are as they were`,
    (stage) =>
      Effect.gen(function*() {
        const { actor, app, attached, half, neighbourIsWell, peers, silent } = yield* busy(stage, {
          ...load,
          sessions: 300
        })
        // one more, which gets its share
        const added = yield* stage.host.addWorker(app.handle)
        const run = actor.run(2)
        const more: Array<Peer> = []
        for (let i = 0; i < 300; i++) more.push(yield* stage.dialOpen())
        assert.strictEqual(run.accepted.length, 100)
        const own = yield* Effect.forEach(Array(50), () => run.sessions.connect(neighbours))
        const connects = yield* Effect.forEach(
          Array(20),
          () => Effect.forkChild(Effect.exit(run.sessions.connect(unanswered)))
        )
        yield* settled
        assert.strictEqual((yield* stage.host.connects).length, 120)
        const lost = run.accepted.map(({ remote }) => remote)
        stage.script(2).block()
        for (const peer of more) peer.send("x")
        yield* settled
        assert.isAbove((yield* stage.worker(2)).postponed.now, 10)
        const deleting = yield* Effect.forkChild(stage.host.deleteWorker(added.handle, { drain: false }))
        yield* settled
        yield* adjust(2000)
        yield* Fiber.join(deleting)
        yield* settled
        assert.isTrue(own.every(({ closed }) => closed))
        assert.isTrue(connects.every((fiber) => fiber.pollUnsafe() !== undefined))
        assert.deepStrictEqual(
          more.filter(({ broken }) => broken !== undefined).map(({ local }) => local).toSorted(),
          lost.toSorted()
        )
        assert.isTrue(peers.every(({ closed }) => !closed))
        assert.isTrue(half.every((fiber) => fiber.pollUnsafe() === undefined))
        assert.strictEqual(silent.waiting, 100)
        const now = yield* inventory(stage)
        assert.deepStrictEqual(
          now.apps.map(({ workers }) => workers.map(({ handle }) => handle)),
          attached.apps.map(({ workers }) => workers.map(({ handle }) => handle))
        )
        assert.strictEqual(now.connects, 100)
        assert.strictEqual(now.locals.sessions, 101)
        assert.deepStrictEqual(now.apps[1]!.listeners.map(({ workers }) => workers), [[0, 1], [0], [0, 1]])
        yield* neighbourIsWell
      })
  )

  scenario(
    `W12 a worker that crashes with ${what}: its next start is like its first`,
    (stage) =>
      Effect.gen(function*() {
        const { attached, congest, neighbourIsWell, peers, silent } = yield* busy(stage, load)
        yield* congest
        const [handle] = (yield* stage.app()).workers.map(({ handle }) => handle)
        const mine = (yield* stage.host.sessions({ worker: handle! })).length
        assert.isAbove(mine, 700)
        stage.script(0).crash()
        // a few of them in each turn of the loop
        yield* until("its end", () => Effect.runSync(stage.worker(0)).state === "BACKOFF")
        yield* settled
        assert.deepStrictEqual(yield* stage.host.sessions({ worker: handle! }), [])
        assert.strictEqual(silent.waiting, 0)
        yield* adjust(100)
        // the other worker's sessions are there, and end
        for (const peer of peers) if (!peer.closed) peer.reset()
        yield* until("their end", () => peers.every(({ closed }) => closed))
        yield* settled
        for (const { app, handle } of yield* stage.host.sessions({ transport: "local" })) {
          if (app === "app") yield* stage.host.endSession(handleOf<Handle.SessionHandle>(handle), "reset")
        }
        // through a queue of eight
        yield* until("all to be let go of", () => Effect.runSync(stage.report).sessions === attached.sessions)
        yield* settled
        const now = yield* inventory(stage)
        const [, app] = now.apps
        assert.deepStrictEqual(app!.workers.map(({ segments, sessions, state }) => [state, sessions, segments.used]), [
          ["RUNNING", 0, 0],
          ["RUNNING", 0, 0]
        ])
        assert.deepStrictEqual(app!.workers[0]!.segments, attached.apps[1]!.workers[0]!.segments)
        assert.deepStrictEqual(
          app!.listeners.map((
            { handle, held, offered, sessions, workers }
          ) => [handle, held, offered, sessions, workers]),
          attached.apps[1]!.listeners.map(({ handle, held, offered, sessions, workers }) => [
            handle,
            held,
            offered,
            sessions,
            workers
          ])
        )
        assert.strictEqual(now.connects, 0)
        yield* neighbourIsWell
      })
  )
})

describe("with threads and sockets", () => {
  const module = AppWorker.fromUrl(new URL("../../fixtures/busy.ts", import.meta.url))

  for (const how of ["detach", "delete", "crash"] as const) {
    it.live(
      `W12 a ${how} leaves no session, no connect, no segment and no socket, and the neighbour is well`,
      () =>
        Effect.gen(function*() {
          const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
          const silent = yield* HalfOpen.open
          const report = () => Effect.runSync(host.report)
          /** Whether the neighbour has nothing to do. */
          const idle = (): boolean => {
            const { queue, segments } = report().apps[0]!.workers[0]!
            return queue.index.used === 0 && segments.used === 0
          }
          const attach = (name: string, config: Config, workers: number, listen: ReadonlyArray<string>) =>
            host.attach({
              name,
              config,
              listen,
              scope: both,
              workers,
              worker: { kind: "thread", backoffBase: 10 },
              admission: { revokeAfter: 1000, connectTimeout: 60_000 }
            }, module)
          yield* Effect.gen(function*() {
            yield* attach("neighbour", {}, 1, ["tcp://127.0.0.1:0", neighbours])
            const stage = { host, network: { listening: [] } }
            yield* until("its messages to be read", idle)
            const before = yield* inventory(stage)
            const sockets = HalfOpen.sockets()
            const app = yield* attach(
              "app",
              { connects: [[neighbours, 10], [service, 10], [silent.local, 10]] },
              2,
              ["tcp://127.0.0.1:0", service]
            )
            const endpointOf = (name: string): URL =>
              new URL(
                report().apps.find((app) => app.name === name)!.listeners.find(({ endpoint }) =>
                  endpoint.startsWith("tcp:")
                )!
                  .endpoint
              )
            const dial = (name: string) =>
              Effect.callback<{ readonly socket: Net.Socket; readonly over: () => boolean }>((resume) => {
                const socket = Net.connect(Number(endpointOf(name).port), "127.0.0.1", () => socket.write("hello"))
                let over = false
                socket.on("error", () => {})
                socket.on("close", () => over = true)
                socket.once("data", () => resume(Effect.succeed({ socket, over: () => over })))
              })
            const clients = yield* Effect.forEach(Array(40), () => dial("app"))
            const neighbour = yield* dial("neighbour")
            yield* until(
              "all connects",
              () => Effect.runSync(host.connects).length === 20 && Effect.runSync(host.locals).sessions.length === 40
            )
            const [first, other] = report().apps.find(({ name }) => name === "app")!.workers
            if (how === "detach") yield* host.detach(app.handle)
            if (how === "delete") {
              yield* host.deleteWorker(handleOf(other!.handle), { drain: false })
              assert.strictEqual((yield* host.connects).length, 10)
              yield* host.deleteWorker(handleOf(first!.handle), { drain: false })
            }
            if (how === "crash") {
              for (const { socket } of clients) socket.write("throw")
              yield* until("both to be started again", () => {
                const { workers } = report().apps.find(({ name }) => name === "app")!
                return workers.every(({ restarts, state }) => restarts === 1 && state === "RUNNING")
              })
              yield* host.detach(app.handle)
            }
            yield* until("all clients to be told", () => clients.every(({ over }) => over()))
            yield* until("the neighbour's sessions to end", () => report().sessions === 1)
            neighbour.socket.write("still there?")
            yield* until("the echo", () => neighbour.socket.bytesRead === 17)
            neighbour.socket.destroy()
            yield* until("its end", () => report().sessions === 0)
            yield* until("its messages to be read", idle)
            yield* until("every socket to be closed", () => HalfOpen.sockets() <= sockets)
            assert.deepStrictEqual(yield* inventory(stage), before)
          }).pipe(Effect.scoped)
          yield* assertNothingLeft({ host, network: { listening: [] } })
        }).pipe(Effect.scoped),
      60_000
    )
  }
})
