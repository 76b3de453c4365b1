/** X1 with the placement `transfer`: a worker that drains gives the sockets of parked sessions back, and they go on. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as AboutText from "../../../src/domain/memory/AboutText.ts"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import * as Options from "../../../src/domain/options/Options.ts"
import type * as Report from "../../../src/domain/report/Report.ts"
import * as Handle from "../../../src/domain/state/Handle.ts"
import * as Host from "../../../src/layers/Host.ts"
import { SocketSession } from "../../../src/layers/worker/SocketSession.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import type { Session } from "../../../src/services/Sessions.ts"
import * as Parking from "../../support/Parking.ts"
import { Actor, assertNothingLeft, handleOf, type Run } from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

class Peer {
  readonly socket: Net.Socket
  ended = false
  error: string | undefined
  readonly #parts: Array<Buffer> = []

  constructor(port: number) {
    this.socket = Net.connect({ port, host: "127.0.0.1" })
    this.socket.on("data", (bytes: Buffer) => this.#parts.push(bytes))
    this.socket.on("end", () => this.ended = true)
    this.socket.on("error", (error: NodeJS.ErrnoException) => this.error = error.code)
  }

  readonly received = (): Buffer => Buffer.concat(this.#parts)
  readonly send = (bytes: string | Uint8Array): void => void this.socket.write(bytes)
}

interface Stage {
  readonly host: SessionLayer["Service"]
  readonly actor: Actor
  readonly app: () => Report.AppReport
  /** A peer whose session has been claimed, and that session. */
  readonly open: Effect.Effect<readonly [Peer, Session]>
  /** Starts a worker again: it drains first. Succeeds when it is up again. */
  readonly restart: (worker: number) => Effect.Effect<void, unknown>
}

/** Answers with the number of the worker and of messages so far, which it gives along. */
const counting = Parking.answering({
  name: ({ info: { worker } }, given) => `${worker}.${given}`,
  state: ({ edges }) => String(edges.filter((edge) => edge === "parked").length + 1)
})

const scenario = (
  title: string,
  body: (stage: Stage) => Effect.Effect<void, unknown, Scope.Scope>,
  { accept = counting, ...options }: AppOptionsInput & { accept?: (session: Session, run: Run) => void } = {}
): void =>
  it.live(title, () =>
    Effect.gen(function*() {
      const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
      const actor = new Actor({ accept })
      yield* Effect.gen(function*() {
        yield* host.attach({
          name: "app",
          listen: ["tcp://127.0.0.1:0"],
          listener: { placement: "transfer" },
          workers: 2,
          ...options,
          // a busy machine: no offer runs out meanwhile
          admission: { revokeAfter: "1 second", ...options.admission },
          worker: { kind: "in-process", drainTimeout: "20 seconds", ...options.worker }
        }, actor.module)
        const app = () => Effect.runSync(host.report).apps[0]!
        const { listeners: [listener], workers } = app()
        const peers: Array<Peer> = []
        yield* Effect.addFinalizer(() => Effect.sync(() => peers.forEach(({ socket }) => socket.destroy())))
        const open = Effect.gen(function*() {
          const sessions = () => actor.runs.flatMap(({ accepted }) => accepted)
          const count = sessions().length
          const peer = new Peer(Number(new URL(listener!.endpoint).port))
          peers.push(peer)
          yield* until("a session", () => sessions().length > count)
          return [peer, sessions().findLast(({ remote }) => remote.endsWith(`:${peer.socket.localPort}`))!] as const
        })
        const restart = (worker: number) => host.restartWorker(handleOf(workers[worker]!.handle))
        yield* body({ host, actor, app, open, restart })
        assert.deepStrictEqual((yield* host.report).imbalances, [])
      }).pipe(Effect.scoped)
      yield* assertNothingLeft({ host, network: { listening: [] } })
    }).pipe(Effect.scoped), 30_000)

const edgesOf = ({ runs }: Actor): ReadonlyArray<string> => runs.flatMap(({ edges }) => edges)

describe("a parked session whose socket has moved to its worker", () => {
  scenario(
    "X1 goes on with another worker when its own drains, with what was given along, and says why",
    ({ actor, app, host, open, restart }) =>
      Effect.gen(function*() {
        const [peer, session] = yield* open
        yield* Parking.ask(peer, "a", "0.:a;")
        yield* restart(0)
        yield* until("the session to move", () => session.closed)
        yield* Parking.ask(peer, "b", "1.1:b;")
        yield* restart(1)
        yield* Parking.ask(peer, "c", "0.1:c;")
        assert.deepStrictEqual(edgesOf(actor), ["parked", "moved", "parked", "moved", "parked"])
        const [shown] = yield* host.sessions({})
        assert.deepInclude(shown, { placement: "transfer", moves: 2, moved: "restart", remote: session.remote })
        const { listeners: [listener], workers } = app()
        assert.deepInclude(listener!.arrivals, { arrived: 1, claimed: 1, moved: 2 })
        assert.deepStrictEqual(workers.map(({ offers }) => offers.moved), [1, 1])
        assert.isUndefined(peer.error)
      })
  )

  scenario(
    "X1 goes on with another worker before its application has been given a byte",
    ({ actor, open, restart }) =>
      Effect.gen(function*() {
        const [peer, session] = yield* open
        yield* restart(0)
        yield* until("the session to move", () => session.closed)
        yield* Parking.ask(peer, "a", "1.:a;")
        assert.isUndefined(actor.run(1).accepted[0]!.about.state)
      })
  )

  scenario(
    "X1 stays with bytes that were read from it, or are still to be sent, and goes as soon as there are none",
    ({ actor, open, restart }) =>
      Effect.gen(function*() {
        const [peer, session] = yield* open
        yield* Parking.ask(peer, "stay", "0.:stay;")
        const restarted = yield* Effect.forkChild(restart(0))
        yield* settled
        assert.isFalse(session.closed)
        // more than the system takes: it is parked, and goes when that has been sent
        peer.socket.pause()
        const bytes = session.txBound
        assert.strictEqual(session.write(Buffer.alloc(bytes, "x")), bytes)
        for (let taken = 1; taken > 0;) taken = session.write(Buffer.alloc(bytes, "x"))
        assert.strictEqual(session.park(), "unsent")
        peer.socket.resume()
        yield* until("its end here", () => {
          session.park()
          return session.closed
        })
        yield* until("another worker", () => actor.run(1).accepted.length === 1)
        yield* until("all that was sent", () => peer.received().length >= bytes)
        assert.isUndefined(peer.error)
        assert.isUndefined(session.reset)
        assert.include(actor.runs[0]!.edges, "moved")
        yield* Fiber.join(restarted)
      })
  )

  scenario(
    "X1 is not parked with bytes to read, with a write that waits, with too much to give along, or at its end",
    ({ open }) =>
      Effect.gen(function*() {
        const [peer, session] = yield* open
        session.handler = undefined
        assert.strictEqual(session.park(new Uint8Array(4097)), "state-too-large")
        peer.send("a")
        yield* until("bytes", () => session.available === 1)
        assert.strictEqual(session.park(), "unread")
        session.drop(1)
        assert.isUndefined(session.park(new Uint8Array(4096)))
        session.end()
        assert.strictEqual(session.park(), "ended")
        session.close()
        assert.strictEqual(session.park(), "ended")
      })
  )

  scenario(
    "X1 waits where no worker takes it, and goes on with the first one that does",
    ({ app, open, restart }) =>
      Effect.gen(function*() {
        const [peer, session] = yield* open
        const [other] = yield* open
        yield* Parking.ask(other, "stay", "1.:stay;")
        yield* Parking.ask(peer, "a", "0.:a;")
        peer.send("b")
        yield* restart(0)
        assert.isTrue(session.closed)
        yield* until("the answer", () => /^0\.:a;[01]\.1?:b;$/.test(peer.received().toString()) || Boolean(peer.error))
        assert.isUndefined(peer.error)
        yield* until("its claim", () => app().listeners[0]!.arrivals.claimed === 2)
      }),
    { admission: { maxSessionsPerWorker: 1 } }
  )

  scenario(
    "X1 loses nothing of what its peer sends all the time while its workers drain, one after the other",
    ({ app, open, restart }) =>
      Effect.gen(function*() {
        const [peer] = yield* open
        let sent = 0
        const timer = setInterval(() => {
          for (let i = 0; i < 5; i++) peer.send(`${sent++}\n`)
        }, 1)
        const answered = () => peer.received().toString().split("\n").length - 1
        for (const worker of [0, 1, 0, 1]) {
          const before = answered()
          yield* until("answers", () => answered() > before + 20)
          yield* restart(worker)
        }
        clearInterval(timer)
        yield* until("all answers", () => answered() === sent || Boolean(peer.error))
        assert.isUndefined(peer.error)
        assert.strictEqual(
          peer.received().toString(),
          Array.from({ length: sent }, (_, line) => `${line}\n`).join("")
        )
        assert.isAtLeast(app().listeners[0]!.arrivals.moved, 4)
      }),
    {
      accept: (session) => {
        let line = ""
        session.handler = {
          readable: () => {
            const text = line + Buffer.from(session.read() ?? []).toString()
            const end = text.lastIndexOf("\n") + 1
            line = text.slice(end)
            session.write(Buffer.from(text.slice(0, end)))
            if (line === "") session.park()
          },
          ended: () => session.close()
        }
      }
    }
  )
})

describe("a socket for whose way back there is no descriptor", () => {
  it.live("X1 stays with its worker, is read from again, and is not tried again", () =>
    Effect.gen(function*() {
      const accepted: Array<Net.Socket> = []
      const server = yield* Effect.acquireRelease(
        Effect.sync(() =>
          Net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => accepted.push(socket))
            .listen(0)
        ),
        (server) => Effect.sync(() => server.close())
      )
      const peer = new Peer((server.address() as Net.AddressInfo).port)
      yield* until("a socket", () => accepted.length === 1)
      let times = 0
      const session = new SocketSession(
        {
          rxFifoSize: 4096,
          txFifoSize: 4096,
          guard: (session, edge) => edge(session),
          handsOver: () => true,
          giveBack: () => {
            times++
            return false
          },
          gone: () => {}
        },
        accepted[0]!,
        {
          handle: Handle.make(0, 0),
          remote: "tcp://127.0.0.1:1",
          local: "tcp://127.0.0.1:2",
          mapped: false,
          about: AboutText.nothing,
          times: Options.defaults.listener,
          comes: true
        }
      )
      assert.isTrue(session.isReturnable)
      session.start()
      assert.deepStrictEqual([times, session.isReturnable], [1, false])
      for (const bytes of [1, 2]) {
        peer.send("a")
        yield* until("bytes", () => session.available === bytes)
      }
      session.drop(2)
      assert.isUndefined(session.park())
      yield* settled
      assert.deepStrictEqual([times, session.closed], [1, false])
      session.close()
      yield* until("the end", () => peer.ended)
      peer.socket.destroy()
    }).pipe(Effect.scoped))
})

/** What is set at the system's sockets from now on, as name and first argument. */
const spying = Effect.gen(function*() {
  const set: Array<readonly [name: string, value: unknown]> = []
  const server = Net.createServer().listen(0)
  const sockets: object = Object.getPrototypeOf(Reflect.get(server, "_handle"))
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      server.close()
      const names = ["setNoDelay", "setKeepAlive", "setTypeOfService"]
      const own = names.map((name) => [name, Reflect.get(sockets, name)] as const)
      for (const [name, method] of own) {
        Reflect.set(sockets, name, function(this: object, ...args: ReadonlyArray<unknown>) {
          set.push([name, args[0]])
          return Reflect.apply(method, this, args)
        })
      }
      return own
    }),
    (own) => Effect.sync(() => own.forEach(([name, method]) => Reflect.set(sockets, name, method)))
  )
  return set
})

for (const placement of ["shared", "transfer"] as const) {
  describe(`a session of placement ${placement} that moves on`, () => {
    scenario(
      "X1 leaves behind what its application has set at its socket",
      ({ actor, open, restart }) =>
        Effect.gen(function*() {
          const set = yield* spying
          const [peer] = yield* open
          yield* Parking.ask(peer, "a", "0.:a;")
          const mine = [["setNoDelay", false], ["setKeepAlive", true], ["setTypeOfService", 16]]
          yield* until("the options", () =>
            mine.every(([name, value]) => set.some(([n, v]) => n === name && v === value)))
          set.splice(0)
          yield* restart(0)
          yield* until("the session to move", () =>
            actor.run(1).accepted.length === 1)
          assert.includeDeepMembers(set, [["setNoDelay", true], ["setKeepAlive", false], ["setTypeOfService", 0]])
          assert.notDeepInclude(set, ["setNoDelay", false])
        }),
      {
        listener: { placement },
        accept: (session, run) => {
          if (run.info.worker === 0) {
            session.setOption({ _tag: "NoDelay", enable: false })
            session.setOption({ _tag: "KeepAlive", enable: true, delay: 600, interval: 0, count: 0 })
            session.setOption({ _tag: "TypeOfService", value: 16 })
          }
          counting(session, run)
        }
      }
    )
  })
}
