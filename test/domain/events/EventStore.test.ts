import { assert, describe, it } from "@effect/vitest"
import { EventStore, KEPT, partOf, wholeFrom } from "../../../src/domain/events/EventStore.ts"
import { eventKinds, type HostEvent } from "../../../src/domain/events/HostEvent.ts"
import * as Random from "../../support/random.ts"

const rare = (serial: number): HostEvent => ({ kind: "source-denied", serial, time: 0, at: 0, source: "192.0.2.1" })

const often = (serial: number): HostEvent => ({
  kind: "datagram-dropped",
  serial,
  time: 0,
  at: 0,
  app: "app",
  listener: 0 as never,
  endpoint: "udp://127.0.0.1:1",
  count: 1,
  withinMillis: 0,
  reason: "not-claimed"
})

describe("the events that are kept", () => {
  it("X5 are 10,000, in three parts, and each kind is in one", () => {
    assert.strictEqual(KEPT.sessions + KEPT.load + KEPT.rest, 10_000)
    const load = eventKinds.filter((kind) => partOf(kind) === "load")
    assert.deepStrictEqual(load, ["worker-behind", "worker-congested", "worker-delayed", "worker-clear"])
    for (const kind of ["session-moved", "offer-revoked", "datagram-dropped"] as const) {
      assert.strictEqual(partOf(kind), "sessions")
    }
    for (const kind of ["worker-gone", "app-reloaded", "ledger-imbalance"] as const) {
      assert.strictEqual(partOf(kind), "rest")
    }
  })

  it("X5 a flood of one part leaves the others where they are, and all are read in the order in which they were told", () => {
    const random = Random.make(1)
    const store = new EventStore({ sessions: 5, load: 1, rest: 3 })
    const all: Array<HostEvent> = []
    for (let i = 0; i < 300; i++) {
      all.push(store.add(random(10) === 0 ? rare : often))
      const kept = [
        ...all.filter(({ kind }) => partOf(kind) === "sessions").slice(-5),
        ...all.filter(({ kind }) => partOf(kind) === "rest").slice(-3)
      ].map(({ serial }) => serial).sort((a, b) => a - b)
      const forward: Array<number> = []
      for (let at = 0, event; (event = store.after(at)) !== undefined; at = event.serial) forward.push(event.serial)
      assert.deepStrictEqual(forward, kept)
      const back: Array<number> = []
      for (let at = Infinity, event; (event = store.before(at)) !== undefined; at = event.serial) {
        back.unshift(event.serial)
      }
      assert.deepStrictEqual(back, kept)
      assert.strictEqual(store.newest, i + 1)
    }
  })

  it("X5 are whole from the oldest of their part on, where that is full", () => {
    const events = [rare(1), ...Array.from({ length: KEPT.sessions }, (_, i) => often(i + 10))]
    assert.strictEqual(wholeFrom(events, "sessions")!.serial, 10)
    assert.strictEqual(wholeFrom(events, "load")!.serial, 1)
    assert.strictEqual(wholeFrom(events.slice(0, -1), "sessions")!.serial, 1)
    assert.isUndefined(wholeFrom([], "rest"))
  })
})
