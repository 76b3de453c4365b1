/** A host whose sessions are datagrams, on the sockets of this machine. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { BroadcastChannel } from "node:worker_threads"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import * as Host from "../../../src/layers/Host.ts"
import * as SessionDatagrams from "../../../src/layers/worker/SessionDatagrams.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import type { Session } from "../../../src/services/Sessions.ts"
import { channelName } from "../../fixtures/datagrams.ts"
import { accepting, Actor, optionsOf } from "../../support/Stage.ts"
import * as UdpPeer from "../../support/UdpPeer.ts"
import { settled, turn, until } from "../../support/until.ts"

const received = (session: Session): Array<string> => {
  const all: Array<string> = []
  for (let one = SessionDatagrams.receive(session); one !== undefined; one = SessionDatagrams.receive(session)) {
    all.push(Buffer.from(one).toString())
  }
  return all
}

/** Sends datagrams back, with the number of the worker. */
const answering = (session: Session, worker: number): void => {
  session.handler = {
    readable: () => {
      for (const text of received(session)) SessionDatagrams.send(session, Buffer.from(`${text} from ${worker}`))
    },
    ended: () => session.close()
  }
}

const attach = Effect.fnUntraced(function*(
  options: AppOptionsInput = {},
  accept: (session: Session, worker: number) => void = answering
) {
  const host = yield* SessionLayer
  const actor = new Actor({ accept: (session, run) => accept(session, run.info.worker) })
  yield* host.attach(optionsOf({ listen: ["udp://127.0.0.1:0"], ...options }), actor.module)
  const listener = Effect.map(host.report, ({ apps }) => apps[0]!.listeners[0]!)
  return { host, actor, listener, local: (yield* listener).endpoint }
})

const test = (title: string, body: () => Effect.Effect<void, unknown, SessionLayer | Scope.Scope>): void =>
  it.live(title, () => body().pipe(Effect.scoped, Effect.provide(Host.layer)))

const peers = (count: number, local: string) => Effect.all(Array.from({ length: count }, () => UdpPeer.make(local)))

describe("a host with UDP sessions", () => {
  test("W10 is fair over its workers, and a session stays with its worker", () =>
    Effect.gen(function*() {
      // an offer that runs out on a busy machine would give somebody a turn more
      const { actor, listener, local } = yield* attach({ workers: 3, admission: { revokeAfter: 10_000 } })
      const some = yield* peers(9, local)
      for (const round of [1, 2]) {
        for (const peer of some) {
          peer.send(`${round}`)
          yield* until("the answer", () => peer.received.length === round)
        }
      }
      assert.deepStrictEqual(actor.counts(3), [3, 3, 3])
      for (const { received: [first, second] } of some) {
        assert.strictEqual(first!.toString().slice(1), second!.toString().slice(1))
      }
      assert.deepInclude((yield* listener).arrivals, { arrived: 9, claimed: 9, held: 0, offered: 0 })
    }))

  for (const [rxFifoSize, kept] of [["512KiB", 600], ["64KiB", 385]] as const) {
    test(`600 datagrams of 200 bytes to a worker that blocks: ${kept} are kept in fifos of ${rxFifoSize}, the others are counted`, () =>
      Effect.gen(function*() {
        const host = yield* SessionLayer
        const app = yield* host.attach(
          optionsOf({ listen: ["udp://127.0.0.1:0"], worker: { kind: "thread" }, segment: { rxFifoSize } }),
          AppWorker.fromUrl(new URL("../../fixtures/datagrams.ts", import.meta.url))
        )
        const listener = Effect.map(host.report, ({ apps }) => apps[0]!.listeners[0]!)
        const peer = yield* UdpPeer.make((yield* listener).endpoint)
        const words: Array<Int32Array> = []
        const channel = yield* Effect.acquireRelease(
          Effect.sync(() => new BroadcastChannel(channelName)),
          (channel) => Effect.sync(() => channel.close())
        )
        channel.addEventListener("message", (event) => void words.push((event as { readonly data: Int32Array }).data))
        peer.send("block")
        yield* until("the thread to be blocked", () => words.length === 1)
        for (let i = 0; i < 600; i++) {
          peer.send(new Uint8Array(200))
          if (i % 20 === 19) yield* turn
        }
        const used = Effect.map(host.sessions({}), ([session]) => session!.rx!.used)
        const dropped = Effect.map(listener, ({ arrivals }) => arrivals.dropped)
        const waiting = kept === 600 ? 0 : 64
        yield* until("as many to be kept", () => Effect.runSync(used) === 204 * (kept - waiting))
        yield* until("the others to be counted", () => Effect.runSync(dropped)["no-room"] === 600 - kept)
        assert.deepInclude(yield* dropped, { "no-room": 600 - kept, oversized: 0, "not-claimed": 0 })
        Atomics.store(words[0]!, 0, 1)
        Atomics.notify(words[0]!, 0)
        const counts = Effect.gen(function*() {
          // it may be lost, as datagrams may be
          peer.send("count")
          yield* Effect.sleep(20)
          return peer.received.at(-1)?.toString()
        })
        assert.strictEqual(
          yield* Effect.repeat(counts, { until: (count) => count === `${kept}`, times: 300 }),
          `${kept}`
        )
        yield* host.detach(app.handle)
      }))
  }

  test("a drain does not wait for peers that may never say anything again", () =>
    Effect.gen(function*() {
      const { host, local } = yield* attach({ workers: 2, worker: { drainTimeout: "1 minute" } })
      const some = yield* peers(4, local)
      for (const peer of some) peer.send("a")
      yield* until("the answers", () => some.every((peer) => peer.received.length === 1))
      yield* host.drain.pipe(Effect.timeout("20 seconds"))
      yield* settled
      assert.strictEqual((yield* host.report).apps[0]!.workers.reduce((sum, { sessions }) => sum + sessions, 0), 0)
    }))

  test("M14 a flood of sources is bounded by the limits of sessions and of what is held, and all of it is accounted for", () =>
    Effect.gen(function*() {
      const { host, listener, local } = yield* attach({
        admission: { maxSessionsPerListener: 5, holdMax: 7, holdTime: 60_000 },
        listener: { udpPending: 2 }
      })
      const [first, ...flood] = yield* peers(60, local)
      first!.send("before")
      yield* until("the answer", () => first!.received.length === 1)
      for (const peer of flood) for (const text of ["a", "b", "c"]) peer.send(text)
      // at least one of each source, since what is refused comes again with its next datagram
      while ((yield* listener).arrivals.arrived < 60) yield* settled
      const { arrivals, sessions } = yield* listener
      assert.strictEqual(sessions, 5)
      assert.isAtMost(arrivals.held, 7)
      assert.isAbove(arrivals.refused["hold-full"] + arrivals.refused["listener-limit"], 0)
      assert.deepStrictEqual((yield* host.report).imbalances, [])
      // whoever has a session notices nothing
      first!.send("after")
      yield* until("the answer", () => first!.received.length === 2)
    }))

  test("M6 an idle session makes room for one that is held", () =>
    Effect.gen(function*() {
      const { local } = yield* attach({
        admission: { maxSessionsPerWorker: 1 },
        listener: { udpIdleTimeout: 50 }
      })
      const [one, other] = yield* peers(2, local)
      one!.send("one")
      yield* until("the answer", () => one!.received.length === 1)
      other!.send("other")
      yield* until("the other's answer", () => other!.received.length === 1)
    }))

  test("drops are told by reason, of the listener and of the session", () =>
    Effect.gen(function*() {
      const { host, listener, local } = yield* attach({ segment: { rxFifoSize: 4096 } })
      const [peer] = yield* peers(1, local)
      peer!.send("small")
      yield* until("the answer", () => peer!.received.length === 1)
      peer!.send(Buffer.alloc(5000))
      peer!.send("again")
      yield* until("the next answer", () => peer!.received.length === 2)
      assert.strictEqual((yield* listener).arrivals.dropped.oversized, 1)
      const sessions = yield* host.sessions({})
      assert.deepStrictEqual(sessions.map(({ dropped, transport }) => [transport, dropped]), [["udp", 1]])
      assert.strictEqual((yield* host.report).ledger.arrivals.dropped.oversized, 1)
    }))

  test("a worker that writes something else than datagrams breaks its session, and runs on", () =>
    Effect.gen(function*() {
      const resets: Array<string | undefined> = []
      const { host, local } = yield* attach({}, (session, worker) => {
        answering(session, worker)
        const { handler } = session
        session.handler = {
          ...handler,
          readable: (session) => {
            if (SessionDatagrams.isDatagrams(session) && resets.length === 0) {
              session.write(Buffer.from("HTTP/1.1 200 OK"))
            } else handler?.readable?.(session)
          },
          closed: (_, reset) => resets.push(reset)
        }
      })
      const [one, other] = yield* peers(2, local)
      one!.send("a request")
      yield* until("the reset", () => resets.length === 1)
      assert.match(resets[0]!, /something other than datagrams; see SessionDatagrams/)
      other!.send("fine")
      yield* until("the answer", () => other!.received.length === 1)
      const [worker] = (yield* host.report).apps[0]!.workers
      assert.deepInclude(worker, { state: "RUNNING", restarts: 0 })
    }))

  test("W14 a worker connects, and hears when nobody listens there", () =>
    Effect.gen(function*() {
      const { local } = yield* attach()
      const client = new Actor({ start: () => Effect.void })
      const host = yield* SessionLayer
      yield* host.attach(optionsOf({ name: "client", listen: [] }), client.module)
      const run = client.run()
      const session = yield* run.sessions.connect(local)
      accepting(run, (session) => session.handler = {})(session)
      assert.isTrue(SessionDatagrams.isDatagrams(session))
      assert.strictEqual(session.remote, local)
      assert.strictEqual(SessionDatagrams.largest(session), 65507)
      assert.strictEqual(SessionDatagrams.send(session, Buffer.from("hello")), "sent")
      const texts: Array<string> = []
      yield* until("the answer", () => {
        texts.push(...received(session))
        return texts.length === 1
      })
      assert.deepStrictEqual(texts, ["hello from 0"])
      session.close()

      const gone = yield* Effect.scoped(Effect.map(UdpPeer.make(local), ({ local }) => local))
      const lost = yield* run.sessions.connect(gone)
      yield* until("the reset", () => {
        SessionDatagrams.send(lost, Buffer.from("anybody?"))
        return lost.closed
      })
      assert.strictEqual(lost.reset, "nobody listens there")
    }))
})
