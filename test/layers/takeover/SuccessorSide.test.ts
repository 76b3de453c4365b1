/** A host that is to follow another one, and what that one may say wrongly; the channel and the host are the test's. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { EventEmitter } from "node:events"
import * as Ledger from "../../../src/domain/state/Ledger.ts"
import * as TakeoverMessage from "../../../src/domain/takeover/TakeoverMessage.ts"
import * as SessionRulesMemory from "../../../src/layers/stores/SessionRulesMemory.ts"
import * as SuccessorSide from "../../../src/layers/takeover/SuccessorSide.ts"
import { SessionRules } from "../../../src/services/SessionRules.ts"
import type * as Succession from "../../../src/services/Succession.ts"
import { settled } from "../../support/until.ts"

class Port extends EventEmitter {
  connected = true
  readonly said: Array<{ readonly _tag: string }> = []

  send(message: object, _socket: unknown, _options: object, done: (error: Error | null) => void): boolean {
    this.said.push(message as { readonly _tag: string })
    done(null)
    return true
  }

  disconnect(): void {
    this.connected = false
    this.emit("disconnect")
  }

  get tags(): ReadonlyArray<string> {
    return this.said.map(({ _tag }) => _tag)
  }
}

const birth: TakeoverMessage.Birth = { protocol: TakeoverMessage.PROTOCOL, pid: 1, listeners: [] }

const counted = (arrived: number): Ledger.LedgerTotals => {
  const totals = Ledger.makeTotals()
  Object.assign(totals.arrivals, { arrived, claimed: arrived - 1, held: 1 })
  return totals
}

const loose = ({ arrivals, messages, offers }: Ledger.LedgerTotals) => ({
  arrivals: { ...arrivals },
  messages: { ...messages },
  offers: { ...offers }
})

const rule = { action: "deny", remote: "192.0.2.0/24" }

const serve = {
  _tag: "Serve" as const,
  rules: [rule],
  denied: ["198.51.100.0/24"],
  totals: loose(counted(5))
}

const say = (port: Port, message: TakeoverMessage.ToSuccessor): void =>
  void port.emit("message", JSON.parse(JSON.stringify(TakeoverMessage.encodeToSuccessor(message))), undefined)

const make = Effect.gen(function*() {
  const rules = yield* SessionRules
  const port = new Port()
  const side = new SuccessorSide.SuccessorSide(birth, port)
  const host = { totals: Ledger.makeTotals() }
  const succession: Succession.Succession["Service"] = {
    listeners: () => [],
    totals: () => host.totals,
    startTime: () => 0,
    depart: () => assert.fail("it has no successor itself"),
    predecessors: () => host.totals,
    inherit: (totals) => void (host.totals = totals),
    inherited: () => ["0.0"],
    adopt: () => false
  }
  const run = (effect: Effect.Effect<void>): void => void Effect.runFork(effect)
  const up = yield* Effect.forkChild(Effect.exit(side.up({ succession, rules, run })))
  yield* settled
  return { port, side, host, rules, up }
}).pipe(Effect.provide(SessionRulesMemory.layer))

describe("a host that follows another one (X4)", () => {
  it.live("X4 takes rules, deny list and counts over, as they are in the end, and is the host when it is told", () =>
    Effect.gen(function*() {
      const { host, port, rules, side, up } = yield* make
      say(port, serve)
      yield* settled
      assert.deepStrictEqual(port.tags, ["Ready", "Serving"])
      assert.deepStrictEqual((yield* rules.denied).map(String), ["198.51.100.0/24"])
      // changed while the connections went over
      say(port, { _tag: "Settle", rules: [], denied: ["203.0.113.0/24"] })
      const exit = yield* Fiber.join(up)
      assert.isTrue(exit._tag === "Success")
      assert.deepStrictEqual(yield* rules.list, [])
      assert.deepStrictEqual((yield* rules.denied).map(String), ["203.0.113.0/24"])
      assert.strictEqual(side.state, "SETTLED")
      say(port, { _tag: "Counters", totals: loose(counted(9)) })
      assert.deepInclude(host.totals.arrivals, { arrived: 9, held: 1 })
      // what it had under way came to nothing
      port.disconnect()
      assert.deepInclude(host.totals.arrivals, { arrived: 9, held: 0, withdrawn: 1 })
      assert.strictEqual(side.state, "ALONE")
    }))

  it.live("X4 is the host when its predecessor is gone before it has said so", () =>
    Effect.gen(function*() {
      const { port, side, up } = yield* make
      port.disconnect()
      assert.isTrue((yield* Fiber.join(up))._tag === "Success")
      assert.strictEqual(side.state, "ALONE")
    }))

  const wrong: ReadonlyArray<readonly [what: string, said: unknown]> = [
    ["a message out of turn", { _tag: "Settle", rules: [], denied: [] }],
    ["no message", 7],
    ["a message of its own", { _tag: "Ready" }],
    ["a rule that is none", {
      ...TakeoverMessage.encodeToSuccessor({ ...serve, rules: [{ action: "wave" }] }) as object
    }]
  ]
  for (const [what, said] of wrong) {
    it.live(`X4 gives up, and says so, when it is told ${what}`, () =>
      Effect.gen(function*() {
        const { port, up } = yield* make
        port.emit("message", said, undefined)
        assert.isTrue((yield* Fiber.join(up))._tag === "Failure")
        assert.deepStrictEqual(port.tags, ["Ready", "Failed"])
      }))
  }

  it.live("X4 says in one sentence what is wrong with what it is born with", () =>
    Effect.gen(function*() {
      process.env[TakeoverMessage.VARIABLE] = "{"
      const { message } = yield* Effect.flip(SuccessorSide.readBirth)
      assert.match(
        message,
        /^no takeover: (?:SLUICE_TAKEOVER is for processes|what SLUICE_TAKEOVER says can't be read)/
      )
      assert.isUndefined(process.env[TakeoverMessage.VARIABLE])
      assert.isUndefined(yield* SuccessorSide.readBirth)
    }))
})
