/** What the page remembers (`page/history.js`) and how it says numbers (`page/words.js`): both run without a browser. */
import { assert, describe, it } from "@effect/vitest"
import type * as Overview from "../../../src/domain/overview/Overview.ts"
import * as Overviews from "../../support/Overviews.ts"

// files of the page, which have no types
const page = new URL("../../../src/layers/dashboard/page/", import.meta.url)
const { History, rankOf, SECONDS } = await import(new URL("history.js", page).href)
const words = await import(new URL("words.js", page).href)

const api = (worker: number, changes: Parameters<typeof Overviews.worker>[0] = {}): Overview.WorkerView =>
  Overviews.worker({ worker, handle: `${worker}.0`, ...changes })

/** A look after so many seconds. */
const look = (second: number, workers: ReadonlyArray<Overview.WorkerView>, changes: object = {}): Overview.Overview =>
  Overviews.overview({ at: 1000 * second, workers, host: { upMillis: 1000 * second }, ...changes })

const order = (history: { readonly inOrder: ReadonlyArray<Overview.WorkerView> }) =>
  history.inOrder.map(({ worker }) => worker)

describe("what the page remembers", () => {
  it("X5 has the worst workers first, and lets one that is well again stay for some seconds", () => {
    const history = new History()
    const late = { behindMillis: 400, congested: true }
    history.add(look(1, [api(0), api(1), api(2)]))
    assert.deepStrictEqual(order(history), [0, 1, 2])
    history.add(look(2, [api(0), api(1, late), api(2, { behindMillis: 3000 })]))
    assert.deepStrictEqual(order(history), [2, 1, 0])
    history.add(look(3, [api(0), api(1), api(2, { behindMillis: 4000 })]))
    assert.deepStrictEqual(order(history), [2, 1, 0])
    history.add(look(8, [api(0), api(1), api(2, { behindMillis: 9000 })]))
    assert.deepStrictEqual(order(history), [2, 0, 1])
  })

  it.each(
    [
      [{}, 0],
      [{ congested: true }, 1],
      [{ behindMillis: 99 }, 0],
      [{ behindMillis: 100 }, 1],
      [{ behindMillis: 2000 }, 2],
      [{ takes: "full" }, 1],
      [{ state: "CRASHED" }, 2],
      [{ state: "BACKOFF" }, 2],
      [{ state: "STARTING" }, 0],
      [{ memoryState: "short" }, 1],
      [{ memoryState: "none" }, 2]
    ] as const
  )("X5 a worker with %j has rank %i", (changes, rank) => {
    assert.strictEqual(rankOf(api(0, changes)), rank)
  })

  it("X5 tells what happens in a second, and never less than nothing", () => {
    const history = new History()
    const listeners = [Overviews.listener({ handle: "0.0", arrived: 5 })]
    history.add(look(1, [api(0)], { totals: { arrived: 10 }, listeners }))
    assert.strictEqual(history.rates.arrived, null)
    history.add(look(3, [api(0)], { totals: { arrived: 40 }, listeners: [{ ...listeners[0]!, arrived: 25 }] }))
    assert.deepStrictEqual([history.rates.arrived, history.listeners.get("0.0").arrived], [15, 10])
    history.add(look(4, [api(0)], { totals: { arrived: 5 }, listeners: [{ ...listeners[0]!, arrived: 0 }] }))
    assert.deepStrictEqual([history.rates.arrived, history.listeners.get("0.0").arrived], [0, 0])
    // another host
    history.add(look(5, [api(0)], { totals: { arrived: 500 }, host: { pid: 1, upMillis: 1 } }))
    assert.strictEqual(history.rates.arrived, null)
  })

  it("X5 leaves seconds in which nothing came empty, keeps a minute, and forgets workers that are gone", () => {
    const history = new History()
    history.add(look(1, [api(0), api(1)]))
    history.add(look(4, [api(0), api(1, { congestedMillis: 1500 })]))
    const samples: ReadonlyArray<{ congested: number } | null> = history.workers.get("api/1")
    assert.deepStrictEqual(samples.map((sample) => sample && sample.congested), [0, null, null, 0.5])
    for (let second = 5; second < 200; second++) history.add(look(second, [api(0)]))
    assert.deepStrictEqual([history.all.length, history.workers.get("api/0").length], [SECONDS, SECONDS])
    assert.isFalse(history.workers.has("api/1"))
  })

  it("X5 has a place for each second, however often it is told of one", () => {
    const history = new History()
    const at = (second: number, arrived: number) => history.add(look(second, [api(0)], { totals: { arrived } }))
    at(1, 0)
    at(1.4, 8)
    assert.deepStrictEqual([history.all.length, history.rates.arrived], [2, 20])
    at(2, 10)
    at(3, 30)
    const arrived = () => history.all.map((sample: { readonly arrived: number } | null) => sample && sample.arrived)
    assert.deepStrictEqual(arrived(), [null, 10, 20])
    at(3.5, 30)
    // nothing comes for a while
    at(6, 60)
    assert.deepStrictEqual(arrived(), [null, 10, 20, null, null, 10])
    assert.strictEqual(history.workers.get("api/0").length, 6)
  })

  it("X5 holds up to 300 events, each once, the newest first", () => {
    const history = new History()
    const event = (serial: number) => ({ serial, time: 0, kind: "worker-up", app: "api", worker: 0, text: "up" })
    for (let second = 1; second < 40; second++) {
      const events = Array.from({ length: 20 }, (_, index) => event(10 * second + 20 - index))
      history.add(look(second, [api(0)], { events }))
    }
    const serials = history.latest.map(({ serial }: { readonly serial: number }) => serial)
    assert.deepStrictEqual([serials.length, serials[0], serials[299]], [300, 410, 111])
    history.add(look(41, [api(0)], { host: { pid: 1, upMillis: 1 }, events: [event(1)] }))
    assert.deepStrictEqual(history.latest.map(({ serial }: { readonly serial: number }) => serial), [1])
  })
})

describe("numbers in words", () => {
  it.each([
    ["time", 0, "0 ms"],
    ["time", 0.24, "0.2 ms"],
    ["time", 999, "999 ms"],
    ["time", 3210, "3.2 s"],
    ["time", 61_000, "1 m 01 s"],
    ["time", 11_520_000, "3 h 12 m"],
    ["time", 792_000_000, "9 d 4 h"],
    ["bytes", 512, "512 B"],
    ["bytes", 1536, "1.5 KiB"],
    ["bytes", 2 ** 40, "1.0 TiB"],
    ["number", 65536, "65\u202f536"],
    ["rate", 0.31, "0.3/s"],
    ["percent", 0.614, "61 %"]
  ])("X5 %s of %d is %s", (name, value, text) => {
    assert.strictEqual(words[name](value), text)
  })
})
