import { assert, describe, it } from "@effect/vitest"
import { BURST, EventSeries, PER_SECOND } from "../../../src/domain/events/EventSeries.ts"
import * as Random from "../../support/random.ts"

describe("EventSeries", () => {
  it("X5 tells a burst one by one, counts what is over, and loses none of it", () => {
    const series = new EventSeries(0)
    let told = 0
    for (let i = 0; i < 1000; i++) if (series.admit(0, 2)) told++
    assert.strictEqual(told, BURST)
    assert.strictEqual(series.count, 1000 - BURST)
    assert.strictEqual(series.millis, 2 * (1000 - BURST))
    assert.strictEqual(series.within(400), 400)
    // while there is a count, what comes is part of it
    assert.isFalse(series.admit(900))
    series.take()
    assert.strictEqual(series.count, 0)
    assert.isTrue(series.admit(1000))
  })

  it("X5 a flood is told no more often than the bound says, whatever its rate, and all of it is counted", () => {
    const random = Random.make(7)
    const series = new EventSeries(0)
    let happened = 0
    let counted = 0
    let events = 0
    let now = 0
    for (let second = 0; second < 600; second++) {
      const rate = random(3000)
      for (let i = 0; i < rate; i++) {
        happened++
        if (!series.admit(now + 1000 * i / rate)) continue
        counted++
        events++
      }
      now += 1000
      if (series.count === 0) continue
      counted += series.count
      events++
      series.take()
    }
    assert.strictEqual(counted, happened)
    assert.isAtMost(events, BURST + 600 * (PER_SECOND + 1))
  })

  it("is as good as new after a rest", () => {
    const series = new EventSeries(0)
    for (let i = 0; i < 3; i++) series.admit(0)
    assert.isFalse(series.isNew(299))
    assert.isTrue(series.isNew(300))
  })
})
