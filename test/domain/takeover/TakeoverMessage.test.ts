import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Ledger from "../../../src/domain/state/Ledger.ts"
import * as TakeoverMessage from "../../../src/domain/takeover/TakeoverMessage.ts"

const connection: TakeoverMessage.ToSuccessor = {
  _tag: "Connection",
  id: 7,
  listener: "1.0",
  remote: "tcp://127.0.0.1:5",
  local: "tcp://127.0.0.1:80",
  mapped: false,
  about: { proxy: { remote: "tcp://192.0.2.1:1", local: "tcp://192.0.2.2:2" } },
  unread: Uint8Array.of(0, 255, 10),
  state: Uint8Array.of(1),
  moves: 2
}

describe("what the hosts of a takeover say (X4)", () => {
  it("comes through JSON as it was, bytes included", () => {
    const sent = JSON.parse(JSON.stringify(TakeoverMessage.encodeToSuccessor(connection)))
    assert.deepStrictEqual(Result.getOrThrow(TakeoverMessage.decodeToSuccessor(sent)), connection)
  })

  it("is refused when it is something else", () => {
    const wrong = [
      undefined,
      null,
      7,
      "Ready",
      {},
      { _tag: "Taken" },
      { _tag: "Taken", id: -1 },
      { _tag: "Taken", id: 0.5 },
      { _tag: "Serving", listeners: "all" },
      { _tag: "Ready", control: 1 },
      // a message of the other side
      { _tag: "Settle", rules: [], denied: [] }
    ]
    for (const message of wrong) {
      assert.isTrue(Result.isFailure(TakeoverMessage.decodeToPredecessor(message)), JSON.stringify(message))
    }
  })

  it("names descriptors that are those of listeners", () => {
    const birth = (descriptor: number) => ({
      protocol: TakeoverMessage.PROTOCOL,
      pid: 1,
      listeners: [{ handle: "0.0", app: "a", requested: "", bound: "", ownsFile: false, descriptor }]
    })
    assert.isTrue(Result.isSuccess(TakeoverMessage.decodeBirth(JSON.stringify(birth(4)))))
    for (const text of [JSON.stringify(birth(2)), JSON.stringify({ ...birth(4), pid: "1" }), "{", ""]) {
      assert.isTrue(Result.isFailure(TakeoverMessage.decodeBirth(text)), text)
    }
  })

  it("has counts that another version may not know, and that still add up (M14)", () => {
    const totals = Ledger.makeTotals()
    totals.arrivals.arrived = 10
    totals.arrivals.claimed = 7
    totals.arrivals.held = 1
    totals.arrivals.refused.congested = 2
    const { arrivals, messages, offers } = totals
    const later = { ...arrivals, arrived: 13, refused: { ...arrivals.refused, "in-a-bad-mood": 3 }, wondered: 4 }
    const known = Ledger.known({ messages, offers, arrivals: later })
    assert.strictEqual(known.arrivals.arrived, 10)
    assert.notProperty(known.arrivals, "wondered")
    assert.deepStrictEqual(Ledger.imbalances("host", known), [])
  })

  it("has counts that add up when the host that counted them is gone (M14)", () => {
    const totals = Ledger.makeTotals()
    Object.assign(totals.arrivals, { arrived: 6, claimed: 1, held: 2, offered: 3 })
    Object.assign(totals.offers, { offered: 4, claimed: 1, pending: 3 })
    Object.assign(totals.messages, { sent: 9, delivered: 4, postponed: 5 })
    const closed = Ledger.closed(totals)
    assert.deepStrictEqual(Ledger.imbalances("host", closed), [])
    assert.deepInclude(closed.arrivals, { arrived: 6, held: 0, offered: 0, withdrawn: 5 })
    assert.deepInclude(closed.offers, { pending: 0, withdrawn: 3 })
    assert.strictEqual(closed.messages.released["worker-gone"], 5)
  })
})
