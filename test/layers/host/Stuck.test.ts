/** Workers that do not come back, on real threads: seen from outside, explained, replaced. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs/promises"
import * as Net from "node:net"
import * as Path from "node:path"
import * as Util from "node:util"
import type { EventKind, EventOf, ToldEvent } from "../../../src/domain/events/HostEvent.ts"
import type { AppOptionsInput } from "../../../src/domain/options/AppOptions.ts"
import * as Host from "../../../src/layers/Host.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"
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
      AppWorker.fromUrl(new URL("../../fixtures/blocks.ts", import.meta.url))
    )
    const { apps } = yield* host.report
    const port = Number(apps[0]!.listeners[0]!.endpoint.split(":").at(-1))
    const dial = Effect.acquireRelease(
      Effect.sync(() => new Client(port)),
      (client) => Effect.sync(() => client.close())
    )
    /** The first event of the kind that is meant, once there is one. */
    const find = <K extends EventKind>(kind: K, isMeant: (event: EventOf<K>) => boolean) => {
      let found: EventOf<K> | undefined
      const isIt = (event: ToldEvent): event is EventOf<K> => event.kind === kind
      return Effect.map(
        until(`an event ${kind}`, () => (found = told.filter(isIt).find(isMeant)) !== undefined),
        () => found!
      )
    }
    return { host, dial, find }
  })

describe("workers that are stuck", () => {
  it.live("X6 one loops, one is in native code: each is told of, replaced, and others notice nothing", () =>
    Effect.gen(function*() {
      const { dial, find, host } = yield* world({ workers: 3, worker: { stuckAfter: 1000 } })
      const [loops, opens, good] = [yield* dial, yield* dial, yield* dial]
      const fifo = Path.join(yield* TempDirectory.make, "fifo")
      yield* Effect.promise(() => Util.promisify(ChildProcess.execFile)("mkfifo", [fifo]))
      yield* loops.say("loop")
      yield* opens.say(`open ${fifo}`)
      loops.shout("are you there")
      opens.shout("are you there")
      yield* good.say("hello")

      // in an endless loop: where it is, and its end
      const { place, worker } = yield* find("worker-stuck", (event) => event.place !== null)
      assert.deepInclude(place, { functionName: "loopForEver", line: 13 })
      assert.match(place!.file, /\/blocks\.ts$/)
      yield* find("worker-silent", (event) => event.worker === worker && event.place?.line === 13)
      yield* good.say("still here")
      yield* find("worker-replaced", (event) => event.worker === worker && event.reason === "stuck")
      yield* until("the end of its session", () => loops.isClosed)

      // in native code: where it is, is not known, and its thread stays
      const native = yield* find("worker-stuck", (event) => event.worker !== worker)
      assert.deepInclude(native, { place: null, sessions: 1, keptBecause: null })
      yield* find("worker-replaced", (event) => event.worker === native.worker && event.generation === 2)
      yield* until("the end of its session", () => opens.isClosed)
      yield* find("worker-quarantined", (event) => event.worker === native.worker && event.generation === 1)
      const { apps: [app], imbalances, ledger } = yield* host.report
      assert.deepStrictEqual(app!.quarantined.map((it) => [it.worker, it.generation]), [[native.worker, 1]])
      assert.isAbove(app!.quarantined[0]!.bytes, 0)
      assert.deepStrictEqual(app!.workers.map(({ restartsBy }) => restartsBy.stuck).sort(), [0, 1, 1])
      assert.deepStrictEqual([imbalances, ledger.arrivals.lost, ledger.arrivals.ended.stuck], [[], 0, 2])
      yield* good.say("all the time")
      const after = yield* dial
      yield* after.say("welcome")

      yield* Effect.promise(() => Fs.writeFile(fifo, ""))
      yield* find("worker-quarantine-ended", (event) => event.worker === native.worker)
      assert.deepStrictEqual((yield* host.report).apps[0]!.quarantined, [])
    }).pipe(Effect.scoped))
})
