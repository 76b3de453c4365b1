import { assert, describe, it } from "@effect/vitest"
import * as Rates from "../../../src/domain/overview/Rates.ts"
import { listener, overview, worker } from "../../support/Overviews.ts"

const before = overview({
  at: 1000,
  totals: { arrived: 10, claimed: 8, refused: 2, bytesIn: 100, bytesOut: 0 },
  workers: [worker({ claimed: 8, revoked: 3, congestedMillis: 100 })],
  listeners: [listener({ arrived: 10 })]
})

describe("rates", () => {
  it("are what was counted between two overviews, by the second", () => {
    const rates = Rates.between(
      before,
      overview({
        at: 3000,
        host: { upMillis: 63_000 },
        totals: { arrived: 30, claimed: 26, refused: 4, bytesIn: 4100, bytesOut: 50 },
        workers: [worker({ claimed: 26, revoked: 4, congestedMillis: 1100 })],
        listeners: [listener({ arrived: 30 })]
      })
    )!
    const { listeners, workers, ...sums } = rates
    assert.deepStrictEqual(sums, { arrived: 10, claimed: 9, refused: 1, revoked: 0, bytesIn: 2000, bytesOut: 25 })
    assert.deepInclude(workers.get("0.0"), { claimed: 9, revoked: 0.5, congested: 0.5 })
    assert.deepInclude(listeners.get("0.0"), { arrived: 10 })
  })

  it("are never less than nothing: a counter that has gone back is another one", () => {
    const after = overview({
      at: 2000,
      totals: { arrived: 3 },
      workers: [worker({ claimed: 1 }), worker({ handle: "1.0", claimed: 70 })]
    })
    const rates = Rates.between(before, after)!
    assert.strictEqual(rates.arrived, 0)
    assert.strictEqual(rates.workers.get("0.0")!.claimed, 0)
    // it has counted since before it was seen, for nobody knows how long
    assert.strictEqual(rates.workers.get("1.0")!.claimed, 0)
  })

  it("are not known between two hosts, nor of one moment", () => {
    assert.isUndefined(Rates.between(before, overview({ at: 2000, host: { pid: 1 } })))
    assert.isUndefined(Rates.between(before, overview({ at: 2000, host: { upMillis: 500 } })))
    assert.isUndefined(Rates.between(before, before))
  })
})
