/** X2 the seats of workers that are replaced: a successor waits behind the worker whose place it is to take. */
import { assert, describe, it } from "@effect/vitest"
import { Lag } from "../../../src/domain/admission/Lag.ts"
import { Seats } from "../../../src/domain/admission/Seats.ts"
import { Sojourn } from "../../../src/domain/admission/Sojourn.ts"
import * as Ledger from "../../../src/domain/state/Ledger.ts"
import { WorkerTimes } from "../../../src/domain/state/Times.ts"

const member = (name: string) => ({
  name,
  number: Number(name[0]),
  running: true,
  congested: false,
  sessions: 0,
  spare: Infinity,
  growing: false,
  open: 0,
  lag: new Lag(),
  sojourn: new Sojourn({ sojournTarget: 0, sojournInterval: 100 }),
  offers: new Ledger.OfferLedger(),
  times: new WorkerTimes()
})

const make = (...names: ReadonlyArray<string>) => {
  const seats = new Seats<ReturnType<typeof member>>()
  for (const name of names) seats.join(member(name))
  return seats
}

/** Each seat as `member>next`; an empty one that is kept is `(number)`. */
const shown = (seats: ReturnType<typeof make>): string =>
  seats.all.map(({ kept, member, next, number }) =>
    `${member?.name ?? (kept ? `(${number})` : "")}${next === undefined ? "" : `>${next.name}`}`
  ).join(" ")

describe("seats", () => {
  it("X2 a successor has no turns before its promotion, and then those of the worker before it", () => {
    const seats = make("0", "1")
    seats.joinNext(member("1'"))
    seats.joinNext(member("2'"))
    assert.strictEqual(shown(seats), "0 1>1' >2'")
    assert.deepStrictEqual([0, 1, 2].map((skipped) => seats.next(skipped)?.name), ["0", "1", undefined])
    assert.isTrue(seats.promote(1))
    assert.isTrue(seats.promote(2))
    assert.strictEqual(shown(seats), "0 1' 2'")
    assert.isFalse(seats.promote(3))
  })

  it("X2 a seat that the successor does not take is gone with the promotion", () => {
    const seats = make("0", "1")
    assert.isTrue(seats.promote(1))
    assert.strictEqual(shown(seats), "0")
  })

  it("X2 a successor that goes leaves the worker's seat as it is, and takes its own with it", () => {
    const seats = make("0", "1")
    seats.leave(1, true)
    for (const name of ["0'", "1'", "2'"]) seats.joinNext(member(name))
    assert.strictEqual(shown(seats), "0>0' (1)>1' >2'")
    for (const number of [0, 1, 2]) assert.isTrue(seats.leaveNext(number))
    assert.strictEqual(shown(seats), "0 (1)")
    assert.isFalse(seats.leaveNext(0))
  })

  it("X2 a worker that goes leaves its successor there, and has no part in a seat that only the successor has", () => {
    const seats = make("0")
    seats.joinNext(member("0'"))
    seats.joinNext(member("1'"))
    assert.isTrue(seats.leave(0, false))
    assert.isFalse(seats.leave(1, false))
    assert.strictEqual(shown(seats), ">0' >1'")
    assert.deepStrictEqual(seats.dissolve().map(({ name }) => name), ["0'", "1'"])
    assert.strictEqual(seats.size, 0)
  })
})
