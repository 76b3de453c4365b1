/** Workers that do not come back, on real threads: seen from outside, explained, replaced. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Net from "node:net"
import type { EventKind, EventOf, ToldEvent } from "../../../src/domain/events/HostEvent.ts"
import type { AppOptionsInput } from "../../../src/domain/options/AppOptions.ts"
import * as Host from "../../../src/layers/Host.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import { until } from "../../support/until.ts"

/** A client of the application, which keeps what comes. */
class Client {
  text = ""
  isClosed = false
  readonly #socket: Net.Socket

  constructor(port: number) {
    this.#socket = Net.connect(port, "127.0.0.1").setEncoding("utf8")
      .on("data", (text: string) => this.text += text)
      .on("error", () => {})
      .on("close", () => this.isClosed = true)
  }

  say(text: string): Effect.Effect<void> {
    const before = this.text.length
    return Effect.andThen(
      Effect.sync(() => this.#socket.write(text)),
      until(`an answer to ${text}`, () => this.text.length >= before + text.length)
    )
  }

  /** Says something, whatever becomes of it. */
  shout(text: string): void {
    this.#socket.write(text)
  }

  close(): void {
    this.#socket.destroy()
  }
}

/** A host on threads, its events, and clients. */
const world = (options: AppOptionsInput) =>
  Effect.gen(function*() {
    const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
    const told: Array<ToldEvent> = []
    yield* Effect.forkScoped(Stream.runForEach(host.events({}), (event) => Effect.sync(() => void told.push(event))))
    yield* host.attach(
      { name: "app", workers: 2, listen: ["tcp://127.0.0.1:0"], ...options },
      AppWorker.fromUrl(new URL("../../fixtures/sticks.ts", import.meta.url))
    )
    const { apps } = yield* host.report
    const port = Number(apps[0]!.listeners[0]!.endpoint.split(":").at(-1))
    const dial = Effect.acquireRelease(
      Effect.sync(() => new Client(port)),
      (client) => Effect.sync(() => client.close())
    )
    const found = <K extends EventKind>(kind: K): ReadonlyArray<EventOf<K>> =>
      told.filter((event): event is EventOf<K> => event.kind === kind)
    const event = <K extends EventKind>(kind: K) =>
      Effect.map(until(`an event of the kind ${kind}`, () => found(kind).length > 0), () => found(kind)[0]!)
    return { host, dial, event, found }
  })

describe("a worker that is stuck", () => {
  it.live("X6 in an endless loop: its function and line are named, it is replaced, and others notice nothing", () =>
    Effect.gen(function*() {
      const { dial, event, found, host } = yield* world({ worker: { stuckAfter: 1000 } })
      const [bad, good] = [yield* dial, yield* dial]
      yield* bad.say("loop")
      bad.shout("are you there")
      yield* good.say("hello")
      const { place, worker } = yield* event("worker-silent")
      assert.deepInclude(place, { functionName: "loopForEver", line: 10 })
      assert.match(place!.file, /\/sticks\.ts$/)
      yield* good.say("still here")
      const replaced = yield* event("worker-replaced")
      assert.deepInclude(replaced, { worker, reason: "stuck", generation: 2 })
      assert.deepInclude(yield* event("worker-stuck"), { worker, place, sessions: 1, keptBecause: null })
      assert.strictEqual((yield* event("session-ended")).reason, "stuck")
      yield* until("the end of the session", () => bad.isClosed)
      yield* good.say("all the time")
      const after = yield* dial
      yield* after.say("welcome")
      const { imbalances, ledger } = yield* host.report
      assert.deepStrictEqual(imbalances, [])
      assert.strictEqual(ledger.arrivals.lost, 0)
      assert.strictEqual(found("worker-silent").length, 1)
    }).pipe(Effect.scoped))
})
