import { assert, describe, it } from "@effect/vitest"
import * as History from "../../../src/domain/overview/History.ts"
import { overview, worker } from "../../support/Overviews.ts"

const look = (second: number, pid = 1) =>
  overview({
    at: second * 1000,
    host: { pid, upMillis: second * 1000 },
    totals: { arrived: second * second },
    workers: [
      worker(),
      worker({ handle: "1.0", kind: "in-process", thread: null, congestedMillis: second * 250 })
    ]
  })

const after = (...looks: ReadonlyArray<ReturnType<typeof look>>): History.History =>
  looks.reduce<History.History | undefined>(History.add, undefined)!

describe("a history", () => {
  it("has what arrived in each second, and the most that did", () => {
    const { arrived, arrivedHighest, rates } = after(look(0), look(1), look(4), look(5))
    assert.deepStrictEqual(arrived, [1, 5, 9])
    assert.strictEqual(arrivedHighest, 9)
    assert.strictEqual(rates?.arrived, 9)
  })

  it("has how busy each loop was, and how congested a worker that has none of its own", () => {
    const { busy } = after(look(0), look(1), look(2))
    assert.deepStrictEqual(busy.get("0.0"), [0.61, 0.61, 0.61])
    assert.deepStrictEqual(busy.get("1.0"), [0, 0.25, 0.25])
  })

  it("goes back a minute of looks, and begins again with another host", () => {
    const long = after(...Array.from({ length: 100 }, (_, second) => look(second)))
    assert.strictEqual(long.arrived.length, 60)
    assert.strictEqual(long.busy.get("0.0")?.length, 60)
    const { arrived, arrivedHighest, busy, rates } = History.add(long, look(1, 2))
    assert.deepStrictEqual([arrived, arrivedHighest, rates, busy.get("0.0")], [[], 0, undefined, [0.61]])
  })
})
