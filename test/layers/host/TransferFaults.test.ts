/** X1: what becomes of a socket that a worker gives back when something goes wrong on the way. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as Message from "../../../src/domain/memory/Message.ts"
import type * as Handle from "../../../src/domain/state/Handle.ts"
import type { SessionLayer } from "../../../src/services/SessionLayer.ts"
import type { MovableConnection } from "../../../src/services/Transport.ts"
import * as MovingHost from "../../support/MovingHost.ts"
import type * as RawWorker from "../../support/RawWorker.ts"
import { endpoint, handleOf } from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

/** What comes back of the connection, which has no socket of the system's. */
const back = { socket: "of the connection" }

/** A connection that says what is done to it. */
class Moving implements MovableConnection {
  readonly _tag = "Movable"
  readonly remote = "tcp://10.0.0.2:1000"
  readonly local = endpoint
  readonly mapped = false
  readonly about = undefined
  readonly inTls = false
  onGone: (() => void) | undefined
  readonly said: Array<string> = []

  take() {
    this.said.push("take")
    return { posted: {}, take: () => new Net.Socket(), isHere: false, destroy: () => {} }
  }
  comeBack(socket: object): boolean {
    if (socket === back) this.said.push("back")
    return socket === back
  }
  close(): void {
    this.said.push("close")
  }
  abort(): void {
    this.said.push("abort")
  }
}

interface Stage {
  readonly host: SessionLayer["Service"]
  readonly raw: RawWorker.RawWorker
  readonly connection: Moving
  /** The worker listens, and claims the connection. */
  readonly serve: Effect.Effect<Handle.SessionHandle>
}

const scenario = (title: string, body: (stage: Stage) => Effect.Effect<void, unknown, Scope.Scope>): void =>
  it.effect(title, () =>
    Effect.gen(function*() {
      const connection = new Moving()
      const { host, raw, serve } = yield* MovingHost.make(connection, { admission: { holdTime: "5 minutes" } })
      yield* body({ host, raw, connection, serve })
      assert.deepStrictEqual((yield* host.report).imbalances, [])
    }).pipe(Effect.scoped))

describe("a socket that a worker gives back", () => {
  const wrong = [
    ["is none", { socket: {}, state: undefined }],
    ["comes with too much that is given along", { socket: back, state: new Uint8Array(4097) }]
  ] as const
  for (const [what, returned] of wrong) {
    scenario(
      `X1 costs the worker its life if it ${what}, and its session is lost`,
      ({ host, raw, serve }) =>
        Effect.gen(function*() {
          const session = yield* serve
          raw.giveBack(session, returned)
          raw.sendIo(Message.Parked, session)
          yield* settled
          const { listeners: [listener], workers: [worker] } = (yield* host.report).apps[0]!
          assert.match(worker!.lastFailure ?? "", /said that it gave session \d\.0 back, and it has not/)
          assert.deepInclude(listener!.arrivals, { lost: 1, moved: 0 })
        })
    )
  }

  scenario(
    "X1 is not lost with its worker, which dies before it can say so",
    ({ connection, host, raw, serve }) =>
      Effect.gen(function*() {
        const session = yield* serve
        raw.giveBack(session, { socket: back, state: Buffer.from("kept") })
        raw.onStop()
        yield* settled
        assert.deepStrictEqual(connection.said, ["take", "back"])
        assert.deepInclude(
          (yield* host.report).apps[0]!.listeners[0]!.arrivals,
          { lost: 0, moved: 1, claimed: 0, held: 1 }
        )
      })
  )

  for (const how of ["close", "reset"] as const) {
    scenario(
      `X1 ends here if a ${how} of its session was on the way to its worker`,
      ({ connection, host, raw, serve }) =>
        Effect.gen(function*() {
          const session = yield* serve
          raw.held = true
          yield* host.endSession(handleOf((yield* host.sessions({}))[0]!.handle), how)
          raw.giveBack(session, { socket: back, state: undefined })
          raw.sendIo(Message.Parked, session)
          yield* until("its end", () => connection.said.length === 3)
          assert.deepStrictEqual(connection.said, ["take", "back", how === "close" ? "close" : "abort"])
          const { listeners: [listener], workers: [worker] } = (yield* host.report).apps[0]!
          assert.deepInclude(worker, { lastFailure: null, sessions: 0 })
          assert.deepInclude(listener!.arrivals, { moved: 0, claimed: 1 })
          raw.held = false
          raw.look()
        })
    )
  }

  scenario(
    "X1 ends in order if its worker was not to give it back",
    ({ connection, host, raw, serve }) =>
      Effect.gen(function*() {
        const session = yield* serve
        raw.giveBack(session, { socket: back, state: undefined })
        raw.sendIo(Message.Parked, session)
        yield* until("its end", () => connection.said.length === 3)
        assert.deepStrictEqual(connection.said, ["take", "back", "close"])
        assert.strictEqual((yield* host.report).sessions, 0)
      })
  )
})
