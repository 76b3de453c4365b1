import { assert, describe, it } from "@effect/vitest"
import * as Report from "../../../src/domain/report/Report.ts"
import * as SessionOrder from "../../../src/domain/report/SessionOrder.ts"
import * as Random from "../../support/random.ts"
import * as Reports from "../../support/Reports.ts"

const fifo = (used: number) => ({ used, size: 64, memory: 0 })

const sessions = [
  Reports.session({ handle: "a", bytesIn: 5, bytesOut: 1, rx: fifo(0), tx: fifo(9), moves: 2, remote: "tcp://b:1" }),
  Reports.session({ handle: "b", bytesIn: null, bytesOut: null, rx: null, tx: null, worker: 7, remote: "tcp://a:1" }),
  Reports.session({
    handle: "c",
    bytesIn: 0,
    bytesOut: 3,
    rx: fifo(1),
    tx: fifo(0),
    state: "CLOSING",
    local: "tcp://10.0.0.1:2",
    remote: "tcp://c:1"
  })
].map((session, slot) => ({ ...session, since: [20, 10, 30][slot]! }))

const inOrder = (sort: Report.SessionSorting) => {
  const keyOf = SessionOrder.keyOf(sort)
  return sessions.map((session, slot) => ({ key: keyOf(session), slot, session })).sort(SessionOrder.compare)
    .map(({ session }) => session.handle).join("")
}

describe("SessionOrder", () => {
  it("W21 has first what somebody looks for: the oldest, the most; what is not known last; texts by the alphabet", () => {
    const all = Object.fromEntries(Report.SessionSorting.literals.map((sort) => [sort, inOrder(sort)]))
    assert.deepStrictEqual(all, {
      age: "bac",
      in: "acb",
      out: "cab",
      unread: "cab",
      unsent: "acb",
      moves: "abc",
      remote: "bac",
      local: "cab",
      worker: "acb",
      state: "cab"
    })
  })

  it("W21 takes back the next of a page in the same order, and nothing else", () => {
    const place = { key: "tcp://[::1]:443", slot: 12 }
    assert.deepStrictEqual(SessionOrder.read("remote", SessionOrder.write("remote", place)), place)
    for (const key of [-0.125, 0, 1e21, 123_456.789]) {
      assert.deepStrictEqual(SessionOrder.read("age", SessionOrder.write("age", { key, slot: 0 })), { key, slot: 0 })
    }
    for (const text of ["", "12", "in:1:5", "age:1:", "age:1:x", "age:1:Infinity", "age:01:5", "age:-1:5", "age:5"]) {
      assert.isFalse(SessionOrder.isNext("age", text), text)
    }
    assert.isTrue(SessionOrder.isNext(undefined, "12"))
    assert.isFalse(SessionOrder.isNext(undefined, "age:1:5"))
  })

  it("W21 keeps the first of many, as sorting all would", () => {
    const random = Random.make(3)
    for (let run = 0; run < 200; run++) {
      const most = 1 + random(12)
      const places = Array.from({ length: random(60) }, (_, slot) => ({ key: random(20), slot }))
      const firsts = new SessionOrder.Firsts(most, SessionOrder.compare)
      for (const place of places) firsts.add(place)
      assert.deepStrictEqual(firsts.entries, places.toSorted(SessionOrder.compare).slice(0, most))
    }
  })
})
