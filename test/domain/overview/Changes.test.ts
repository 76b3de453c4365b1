import { assert, describe, it } from "@effect/vitest"
import type { EventFacts, HostEvent } from "../../../src/domain/events/HostEvent.ts"
import * as Changes from "../../../src/domain/overview/Changes.ts"
import * as Handle from "../../../src/domain/state/Handle.ts"

/** Events that came one each second, the newest first. */
const told = (...facts: ReadonlyArray<EventFacts>): ReadonlyArray<HostEvent> =>
  facts.map((facts, at): HostEvent => ({ serial: at + 1, time: at * 1000, at: at * 1000, ...facts })).reverse()

const listener = {
  app: "api",
  listener: Handle.make<Handle.ListenerHandle>(0, 0),
  endpoint: "tcp://127.0.0.1:80",
  count: 1,
  withinMillis: 0
}
const refused = (reason: "hold-time" | "hold-full", peer: string): EventFacts => ({
  kind: "session-refused",
  reason,
  ...listener,
  peer
})
const worker = { app: "api", worker: 1, workerHandle: Handle.make<Handle.WorkerHandle>(1, 0), generation: 1 }
const clear: EventFacts = { kind: "worker-clear", ...worker, count: 1, withinMillis: 0, afterMillis: 40 }

const texts = (events: ReadonlyArray<HostEvent>, most = 20) => Changes.of(events, most).map(({ text }) => text)

describe("changes", () => {
  it("X5 tells together what comes again and again, and the rest one by one", () => {
    const events = told(
      { kind: "app-attached", app: "api", workers: 2 },
      clear,
      refused("hold-time", "tcp://10.0.0.1:1"),
      refused("hold-full", "tcp://10.0.0.1:2"),
      clear,
      refused("hold-time", "tcp://10.0.0.1:3"),
      { kind: "app-reloading", app: "api", workers: 2, because: null },
      { kind: "app-reloading", app: "api", workers: 2, because: null }
    )
    assert.deepStrictEqual(texts(events), [
      "reload: 2 workers to be replaced",
      "reload: 2 workers to be replaced",
      "2 connections to tcp://127.0.0.1:80 were refused: hold-time in 3 s",
      "the worker is clear again, after 80 ms (2 times in 3 s)",
      "the connection from tcp://10.0.0.1:2 to tcp://127.0.0.1:80 was refused: hold-full",
      "the application is attached, with 2 workers"
    ])
    assert.deepStrictEqual(Changes.of(events, 20).map(({ app, serial, worker }) => [serial, app, worker]), [
      [8, "api", null],
      [7, "api", null],
      [6, "api", null],
      [5, "api", 1],
      [4, "api", null],
      [1, "api", null]
    ])
  })

  it("tells apart what is more than a minute apart", () => {
    const rule = { rule: Handle.make<never>(0, 0), text: "" }
    const between = Array.from({ length: 61 }, (): EventFacts => ({ kind: "rule-added", ...rule }))
    const all = Changes.of(told(clear, ...between, clear, clear), 100)
    assert.deepStrictEqual(all.filter(({ kind }) => kind === "worker-clear").map(({ text }) => text), [
      "the worker is clear again, after 80 ms (2 times in 1 s)",
      "the worker is clear again, after 40 ms"
    ])
  })

  it("shows no more than asked for, and counts what belongs to it", () => {
    const events = told(refused("hold-time", "a"), { kind: "host-draining", sessions: 0 }, refused("hold-time", "b"))
    assert.deepStrictEqual(texts(events, 1), ["2 connections to tcp://127.0.0.1:80 were refused: hold-time in 2 s"])
  })

  it("leaves claims out", () => {
    assert.deepStrictEqual(
      texts(told({ kind: "session-claimed", ...listener, worker: 1, workerHandle: worker.workerHandle })),
      []
    )
  })
})
