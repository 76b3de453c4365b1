/** Takeovers in which anything may happen at any time: both sides, over a channel and with processes that are made up. */
import { afterEach, assert, beforeEach, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as SessionRulesMemory from "../../../src/layers/stores/SessionRulesMemory.ts"
import { SessionRules } from "../../../src/services/SessionRules.ts"
import { Kinds, steps } from "../../support/long.ts"
import * as Random from "../../support/random.ts"
import { TakeoverWorld } from "../../support/TakeoverWorld.ts"

const rules = Effect.runSync(Effect.provide(SessionRules, SessionRulesMemory.layer))

/** What may happen, and how often among a hundred. */
const kinds = {
  up: 15,
  readOld: 22,
  readNew: 22,
  exitTold: 8,
  arrive: 12,
  turn: 10,
  finish: 4,
  second: 2,
  late: 1,
  killNew: 1,
  killOld: 1,
  rave: 1,
  decline: 1
} as const
type Kind = keyof typeof kinds

const names = Object.keys(kinds) as ReadonlyArray<Kind>
const often = names.flatMap((kind) => Array.from({ length: kinds[kind] }, () => kind))

/** A host for which time passes reads what a process has said that has ended. */
const pass = (world: TakeoverWorld, millis: number): true => {
  while (!world.newLives && world.readOld());
  while (!world.oldLives && world.readNew());
  vi.advanceTimersByTime(millis)
  return true
}

const does: Record<Kind, (world: TakeoverWorld, random: Random.Random) => boolean> = {
  up: (world) => world.up(),
  readOld: (world) => world.readOld(),
  readNew: (world) => world.readNew(),
  exitTold: (world) => world.exitTold(),
  arrive: (world, random) => world.arrive(random(2)),
  turn: (world, random) => world.turn(random(1000)),
  finish: (world) => world.finish(),
  killNew: (world) => world.killNew(),
  killOld: (world) => world.killOld(),
  rave: (world) => world.rave(),
  second: (world) => pass(world, 1000),
  late: (world) => pass(world, 12_000),
  decline: (world) => {
    world.declines = !world.declines
    return true
  }
}

/** An assertion that costs nothing where it holds: there are some hundred thousand of them. */
const must = (holds: boolean, what: string): void => {
  if (!holds) assert.fail(what)
}

/** What holds at each moment. */
const check = (world: TakeoverWorld): void => {
  const { isHost, newAccepts, newLives, oldAccepts, oldHasSettled, oldLives, outcome } = world
  if (oldLives) must(oldAccepts === !oldHasSettled, "the old host accepts until it is followed")
  // a socket is served unless nobody is left, or the successor's workers are not up yet
  if (newLives && isHost) must(newAccepts, "a host that is the host accepts")
  if (oldLives && oldHasSettled && newLives) must(isHost, "one of two hosts is the host")
  if (outcome === true) must(oldHasSettled, "a takeover that succeeded has settled")
  if (outcome === false) must(!oldHasSettled && !newLives, "a takeover that failed has changed nothing")
}

/** All that is on its way arrives, and all times are over: after the second round, nothing changes any more. */
const settle = (world: TakeoverWorld): void => {
  world.declines = false
  for (let round = 0; round < 4; round++) {
    while (world.readOld() || world.readNew() || world.exitTold());
    world.up()
    while (world.readOld() || world.readNew() || world.exitTold());
    vi.advanceTimersByTime(12_000)
  }
}

describe("a takeover in which anything may happen", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] }))
  afterEach(() => void vi.useRealTimers())

  it("X4 leaves each socket with a host that serves it, and each connection in no more than one", () => {
    const undone = new Kinds<Kind | "followed" | "alone" | "unchanged" | "both gone">([
      ...names,
      "followed",
      "alone",
      "unchanged",
      "both gone"
    ])
    for (let seed = 0; seed < steps({ short: 1000, long: 10_000 }); seed++) {
      const random = Random.make(seed)
      const world = new TakeoverWorld(rules)
      const done: Array<Kind> = []
      try {
        for (let step = 20 + random(150); step > 0; step--) {
          const kind = often[random(often.length)]!
          if (!does[kind](world, random)) continue
          done.push(kind)
          undone.did(kind)
          check(world)
        }
        settle(world)
        check(world)
        const { isHost, newAccepts, newLives, oldAccepts, oldLives, outcome, visitors } = world
        undone.did(newLives ? oldLives ? "followed" : "alone" : oldLives ? "unchanged" : "both gone")
        // of two that live, the new one is the host, and who of them is left alone serves
        if (oldLives && newLives) assert.deepStrictEqual([isHost, newAccepts, oldAccepts], [true, true, false])
        if (newLives && !oldLives) assert.deepStrictEqual([isHost, newAccepts], [true, true])
        if (oldLives && !newLives) assert.strictEqual(oldAccepts, outcome !== true)
        if (oldLives) assert.isDefined(outcome)
        // nothing that is parked is left behind where the new host lives and could have it
        const left = visitors.filter(({ at, parked }) => at === "old" && parked)
        if (oldLives && !oldAccepts) assert.lengthOf(left, 0)
        vi.clearAllTimers()
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message} after ${done.join(", ")}`, { cause: error })
      }
    }
    assert.deepStrictEqual(undone.left, [])
  })
})
