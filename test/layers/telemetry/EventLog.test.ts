import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { KEPT } from "../../../src/domain/events/EventStore.ts"
import type { EventFacts, ToldEvent } from "../../../src/domain/events/HostEvent.ts"
import * as Story from "../../../src/domain/events/Story.ts"
import * as Handle from "../../../src/domain/state/Handle.ts"
import { NoticeLog } from "../../../src/layers/log/NoticeLog.ts"
import { EventLog } from "../../../src/layers/telemetry/EventLog.ts"
import type { EventsWanted } from "../../../src/services/SessionLayer.ts"
import { settled } from "../../support/until.ts"

const worker = { app: "app", worker: 0, workerHandle: Handle.make<Handle.WorkerHandle>(0, 0) } as const
const behind: EventFacts = { kind: "worker-behind", ...worker, generation: 1, count: 1, withinMillis: 0 }
const clear: EventFacts = { ...behind, kind: "worker-clear", afterMillis: 6 }
const denied: EventFacts = { kind: "source-denied", source: "192.0.2.1" }
const session = {
  ...worker,
  listener: Handle.make<Handle.ListenerHandle>(0, 0),
  endpoint: "tcp://127.0.0.1:80",
  count: 1,
  withinMillis: 0,
  connection: 1
} as const

const make = Effect.flatMap(NoticeLog.make, EventLog.make)

const read = (log: EventLog, wanted: EventsWanted = {}): Effect.Effect<ReadonlyArray<ToldEvent>> =>
  Effect.map(Stream.runCollect(log.read({ follow: false, ...wanted })), (events) => [...events])

const isGap = ({ kind }: ToldEvent): boolean => kind === "gap"

/** A worker that is late by a few milliseconds again and again: more often than is kept, and something rare now and then. */
const flood = (log: EventLog): number => {
  const before = log.latest(1)[0]?.serial ?? 0
  for (let i = 0; i < KEPT.load; i++) {
    log.record(behind)
    log.record(clear)
    if (i % 700 === 0) log.record(denied)
  }
  return log.latest(1)[0]!.serial - before
}

describe("the events of a host", () => {
  it.effect("X5 a worker that is late again and again leaves the stories of sessions, and what is rare, where they are", () =>
    Effect.gen(function*() {
      const log = yield* make
      log.record({ kind: "app-attached", app: "app", workers: 1 })
      log.record({ kind: "offer-revoked", ...session, afterMillis: 5 })
      log.record({ kind: "session-claimed", ...session })
      const before = yield* read(log)
      flood(log)
      const events = yield* read(log)
      // whoever begins has missed nothing
      assert.deepStrictEqual(events.slice(0, 3), before)
      assert.isFalse(events.some(isGap))
      assert.deepStrictEqual(events.toReversed(), [...log.latest(events.length + 1)])
      const story = Story.of(
        events.flatMap((event) => event.kind === "gap" ? [] : [event]),
        (event) => "connection" in event && event.connection === 1
      )
      assert.deepStrictEqual(story.map(({ kind }) => kind), ["offer-revoked", "session-claimed"])
    }).pipe(Effect.scoped))

  it.effect("X5 a reader that goes on is told of each hole once, and gets all that is kept, wherever it goes on", () =>
    Effect.gen(function*() {
      const log = yield* make
      log.record(denied)
      const told = flood(log)
      const all = yield* read(log, { after: 1 })
      const kept = all.filter((event) => !isGap(event))
      assert.deepStrictEqual(kept, (yield* read(log)).slice(1))
      const missed = all.reduce((sum, event) => event.kind === "gap" ? sum + event.missed! : sum, 0)
      assert.strictEqual(missed + kept.length, told)
      assert.isAbove(missed, 0)
      const serials = all.map(({ serial }) => serial)
      assert.deepStrictEqual(serials, [...new Set(serials)].sort((a, b) => a - b))
      for (const [i, { serial }] of all.slice(0, 10).entries()) {
        assert.deepStrictEqual(yield* read(log, { after: serial }), all.slice(i + 1))
      }
    }).pipe(Effect.scoped))

  it.effect("X5 what a reader has asked for decides which events it gets, and not what it has missed", () =>
    Effect.gen(function*() {
      const log = yield* make
      log.record(denied)
      const told = flood(log)
      const rare = yield* read(log, { after: 1, filter: { kinds: ["source-denied"] } })
      const all = yield* read(log, { after: 1 })
      assert.deepStrictEqual(rare.filter((event) => !isGap(event)), all.filter(({ kind }) => kind === "source-denied"))
      const missed = (events: ReadonlyArray<ToldEvent>): number =>
        events.reduce((sum, event) => event.kind === "gap" ? sum + event.missed! : sum, 0)
      assert.strictEqual(missed(rare), missed(all))
      assert.strictEqual(missed(all), told - KEPT.load - all.filter(({ kind }) => kind === "source-denied").length)
    }).pipe(Effect.scoped))

  it.effect("X5 a reader that falls behind while it follows is told how many events it has missed meanwhile", () =>
    Effect.gen(function*() {
      const log = yield* make
      flood(log)
      const got: Array<ToldEvent> = []
      const following = yield* Effect.forkChild(
        Stream.runForEach(log.read(), (event) => Effect.sync(() => void got.push(event)))
      )
      yield* settled
      assert.isFalse(got.some(isGap))
      const before = got.length
      const told = flood(log)
      yield* settled
      const later = got.slice(before)
      const missed = later.reduce((sum, event) => event.kind === "gap" ? sum + event.missed! : sum, 0)
      assert.strictEqual(missed + later.filter((event) => !isGap(event)).length, told)
      yield* Fiber.interrupt(following)
    }).pipe(Effect.scoped))
})
