/** A worker that does nothing for a while, and nothing wrong: what looks for lost words does not find any. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import * as Net from "node:net"
import * as Host from "../../../src/layers/Host.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import type { Session } from "../../../src/services/Sessions.ts"
import * as Long from "../../support/long.ts"
import { Actor, echoing, optionsOf, scenario } from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

const service = "local://service"
const both = { local: true, global: true }

/** What has come of a session, as text. */
class Heard {
  text = ""
  closed: string | undefined
  readonly session: Session

  constructor(session: Session) {
    this.session = session
    session.handler = {
      readable: () => {
        for (let bytes; (bytes = session.read()) !== undefined;) this.text += Buffer.from(bytes).toString()
      },
      closed: (_, reset) => this.closed = reset ?? "in order"
    }
  }

  say(text: string): void {
    this.session.write(Buffer.from(text))
  }
}

describe("a worker that blocks", () => {
  scenario("W1 M9 for 5 s is not given up, and serves what has come meanwhile", (stage) =>
    Effect.gen(function*() {
      yield* stage.attach(new Actor({ accept: echoing }), {
        listen: ["tcp://127.0.0.1:80", service],
        scope: both,
        // full within the first look
        queue: { indexQueue: 4, ioRing: 2, controlRing: 2 },
        segment: { rxFifoSize: "4KiB", txFifoSize: "4KiB", trimInterval: 100 },
        admission: { holdTime: 60_000 }
      })
      const client = new Actor()
      yield* stage.attach(client, { name: "client", listen: [], scope: { local: true } })
      const peers = yield* Effect.forEach(Array(8), () => stage.dialOpen())
      const { sessions } = client.run()
      const locals = (yield* Effect.forEach(Array(4), () => sessions.connect(service))).map((it) => new Heard(it))
      stage.script().block()
      for (const peer of peers) peer.send(new Uint8Array(8192))
      for (const local of locals) local.say("hello")
      peers[0]!.end()
      locals[0]!.session.end()
      const late = yield* stage.dial()
      late.send("late")
      for (let looks = 0; looks < 50; looks++) {
        yield* TestClock.adjust(100)
        yield* settled
      }
      assert.strictEqual(late.receivedBytes, 0)
      stage.script().release()
      yield* settled
      for (let looks = 0; looks < 20; looks++) {
        yield* TestClock.adjust(100)
        yield* settled
      }
      assert.deepStrictEqual(
        peers.map(({ broken, receivedBytes }) => [broken, receivedBytes]),
        peers.map(() => [undefined, 8192])
      )
      assert.deepStrictEqual(locals.map(({ text }) => text), locals.map(() => "hello"))
      assert.deepStrictEqual(locals.map(({ closed }) => closed), ["in order", undefined, undefined, undefined])
      assert.strictEqual(late.received().toString(), "late")
      const { lastFailure, restarts, state } = yield* stage.worker()
      assert.deepStrictEqual([restarts, lastFailure, state], [0, null, "RUNNING"])
    }))

  const millis = Long.steps({ short: 600, long: 2500 })
  it.live(
    `W1 M9 on its thread for ${millis} ms: no session is broken, not even at its other end`,
    () =>
      Effect.gen(function*() {
        const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
        yield* host.attach(
          { name: "app", workers: 1, listen: ["tcp://127.0.0.1:0", service], scope: both },
          AppWorker.fromUrl(new URL("../../fixtures/blocks.ts", import.meta.url))
        )
        const client = new Actor()
        yield* host.attach(optionsOf({ name: "client", listen: [], scope: { local: true } }), client.module)
        const { apps } = yield* host.report
        const { endpoint } = apps[0]!.listeners.find(({ endpoint }) => endpoint.startsWith("tcp"))!
        const socket = Net.connect(Number(endpoint.split(":").at(-1)), "127.0.0.1").setEncoding("utf8").on(
          "error",
          () => {}
        )
        let answer = ""
        socket.on("data", (text) => answer += text)
        const { sessions } = client.run()
        const ends = new Heard(yield* sessions.connect(service))
        const stays = new Heard(yield* sessions.connect(service))
        yield* until("a connection", () => !socket.connecting)
        socket.write("1")
        stays.say("1")
        yield* until("answers", () => answer === "1" && stays.text === "1")
        ends.say(`block ${millis}`)
        yield* until("the thread to be blocked", () => ends.text !== "")
        socket.write("2")
        stays.say("2")
        // the other end sees that the session takes no more, and hears of the end when the worker goes on
        yield* until("an end to writing", () => !ends.session.writable)
        yield* until("the end", () => ends.closed !== undefined)
        assert.strictEqual(ends.closed, "in order")
        yield* until("answers", () => answer === "12" && stays.text === "12")
        const { lastFailure, restarts, state } = (yield* host.report).apps[0]!.workers[0]!
        assert.deepStrictEqual([restarts, lastFailure, state], [0, null, "RUNNING"])
        assert.isUndefined(stays.closed)
        socket.destroy()
      }).pipe(Effect.scoped),
    30_000
  )

  it.live("X1 on its thread: what it answered in the same turn before goes out first", () =>
    Effect.gen(function*() {
      const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
      yield* host.attach(
        { name: "app", workers: 1, listen: ["tcp://127.0.0.1:0"] },
        AppWorker.fromUrl(new URL("../../fixtures/blocks.ts", import.meta.url))
      )
      const { apps } = yield* host.report
      const port = Number(apps[0]!.listeners[0]!.endpoint.split(":").at(-1))
      const answers: Array<{ readonly text: string; readonly at: number }> = []
      const dial = (): Net.Socket =>
        Net.connect(port, "127.0.0.1").setEncoding("utf8").on("error", () => {})
          .on("data", (text: string) => answers.push({ text, at: performance.now() }))
      const [first, second, third] = [dial(), dial(), dial()]
      yield* until("connections", () => [first, second, third].every(({ connecting }) => !connecting))
      for (const socket of [first, second, third]) socket.write("1")
      yield* until("answers", () => answers.length === 3)
      // while the first one blocks the thread, both others come to its queue
      first.write("block 300")
      yield* Effect.sleep(100)
      second.write("2")
      yield* Effect.sleep(50)
      third.write("block 1000")
      yield* until("all answers", () => answers.length === 6)
      const [early, late] = answers.slice(4)
      assert.deepStrictEqual([early!.text, late!.text], ["2", "block 1000"])
      // both would come after the second block if they went out together
      assert.isAbove(late!.at - early!.at, 500)
      for (const socket of [first, second, third]) socket.destroy()
    }).pipe(Effect.scoped))
})
