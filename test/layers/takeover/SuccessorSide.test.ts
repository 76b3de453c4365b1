/** A host that is to follow another one, and what that one may say wrongly; the channel and the host are the test's. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import { EventEmitter } from "node:events"
import type * as Report from "../../../src/domain/report/Report.ts"
import * as Ledger from "../../../src/domain/state/Ledger.ts"
import * as TakeoverMessage from "../../../src/domain/takeover/TakeoverMessage.ts"
import * as SessionRulesMemory from "../../../src/layers/stores/SessionRulesMemory.ts"
import * as Descent from "../../../src/layers/system/Descent.ts"
import { InheritedSockets } from "../../../src/layers/system/InheritedSockets.ts"
import { ListenGate } from "../../../src/layers/system/ListenGate.ts"
import * as SuccessorSide from "../../../src/layers/takeover/SuccessorSide.ts"
import { SessionRules } from "../../../src/services/SessionRules.ts"
import type * as Succession from "../../../src/services/Succession.ts"
import type { TransportError } from "../../../src/services/Transport.ts"
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
const former: Report.FormerHost = { pid: 1, sessions: 2, endsWithinMillis: 3000 }

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
  totals: loose(counted(5)),
  hosts: [former]
}

const say = (port: Port, message: TakeoverMessage.ToSuccessor): void =>
  void port.emit("message", JSON.parse(JSON.stringify(TakeoverMessage.encodeToSuccessor(message))), undefined)

const make = Effect.gen(function*() {
  const rules = yield* SessionRules
  const port = new Port()
  const descent = { birth, port, gate: new ListenGate<TransportError>(), reading: new ListenGate<never>() }
  const side = new SuccessorSide.SuccessorSide(new InheritedSockets([]), descent)
  const host: { totals: Ledger.LedgerTotals; hosts: ReadonlyArray<Report.FormerHost> } = {
    totals: Ledger.makeTotals(),
    hosts: []
  }
  const succession: Succession.Succession["Service"] = {
    listeners: () => [],
    record: () => {},
    lineage: () => ({ generation: 1, upMillis: 0 }),
    workers: () => ({}),
    sessions: () => 0,
    ends: Effect.never,
    hosts: () => host.hosts,
    totals: () => host.totals,
    startTime: () => 0,
    depart: () => assert.fail("it has no successor itself"),
    predecessors: () => host.totals,
    inherit: (totals, hosts) => void Object.assign(host, { totals, hosts }),
    inherited: () => ["0.0"],
    datagrams: () => undefined,
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
      side.followed()
      assert.strictEqual(port.tags.at(-1), "Followed")
      say(port, { _tag: "Counters", totals: loose(counted(9)), hosts: [former] })
      assert.deepInclude(host.totals.arrivals, { arrived: 9, held: 1 })
      assert.deepStrictEqual(host.hosts, [former])
      // what it had under way came to nothing
      port.disconnect()
      assert.deepInclude(host.totals.arrivals, { arrived: 9, held: 0, withdrawn: 1 })
      assert.deepStrictEqual(host.hosts, [])
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

  it("X4 says in one sentence what is wrong with what it is born with", () => {
    const [port, wrong] = [new Port(), new Port()]
    Object.assign(wrong, { send: undefined })
    const read = (text: string, from: Port) => {
      const environment = { [TakeoverMessage.VARIABLE]: text }
      const descent = Descent.read(environment, from)
      assert.deepStrictEqual(environment, {} as typeof environment)
      return Result.merge(descent)
    }
    assert.strictEqual(read("{", port), "what SLUICE_TAKEOVER says can't be read")
    assert.match(
      String(read("{", wrong)),
      /^SLUICE_TAKEOVER is for processes that a running host has started; unset it$/
    )
    const later = TakeoverMessage.encodeBirth({ ...birth, protocol: 99 })
    assert.match(String(read(later, port)), /^the running host speaks version 99 of the takeover, and this one \d+$/)
    assert.deepInclude(read(TakeoverMessage.encodeBirth(birth), port), { birth, port })
    assert.isUndefined(Result.getOrThrow(Descent.read({}, port)))
  })
})
