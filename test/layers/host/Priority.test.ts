/** Classes of listeners and of rules: what is served when others wait or are refused (X7). */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Actor, endpoint, scenario } from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

const health = "tcp://127.0.0.1:81"

describe("priority classes", () => {
  scenario(
    "X7 connections of a listener of high priority are served beyond the limits, and before those that wait elsewhere",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor(), {
          listen: [endpoint, health],
          listeners: { [health]: { priority: "high" } },
          admission: { maxSessionsPerWorker: 1, maxSessionsPerListener: 2, reserve: 1 }
        })
        const first = yield* stage.dialOpen()
        const second = yield* stage.dial()
        assert.isFalse(second.opened)
        // the seat that no other class can have
        const check = yield* stage.dialOpen(health)
        const next = yield* stage.dial(health)
        assert.isFalse(next.opened)
        check.reset()
        yield* until("the next check", () => next.opened)
        assert.isFalse(second.opened)
        next.reset()
        yield* settled
        assert.isFalse(second.opened)
        first.reset()
        yield* until("the one that has waited", () => second.opened)
      })
  )

  scenario(
    "X7 a seat that becomes free goes to the highest class at all listeners, however long others have waited",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor(), {
          listen: [endpoint, health],
          listeners: { [health]: { priority: "high" } },
          admission: { maxSessionsPerWorker: 1, reserve: 0 }
        })
        // so that the listener has memory: without any, another one goes first
        const before = yield* stage.dialOpen(health)
        before.reset()
        yield* settled
        const first = yield* stage.dialOpen()
        const waiting = yield* stage.dial()
        const check = yield* stage.dial(health)
        first.reset()
        yield* until("the check", () => check.opened)
        assert.isFalse(waiting.opened)
        check.reset()
        yield* until("the one that has waited", () => waiting.opened)
      })
  )

  scenario(
    "X7 a rule gives its sessions a class, and takes it from what is given by the listener",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor(), { admission: { maxSessions: 1, reserve: 1 }, listener: { priority: "high" } })
        const rule = yield* stage.rules.add({ action: "allow", on: "accept", remote: "10.0.0.0/8", priority: "low" })
        yield* stage.dialOpen(endpoint)
        assert.isTrue((yield* stage.dial(endpoint, "10.1.1.1")).refused)
        yield* stage.dialOpen(endpoint)
        assert.isTrue((yield* stage.dial(endpoint)).refused)
        assert.strictEqual((yield* stage.listener).arrivals.refused["host-limit"], 2)
        yield* stage.rules.remove(rule)
      })
  )

  scenario(
    "X7 of those that are held at one listener, a worker gets the ones of the higher class first",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        yield* stage.attach(actor, { admission: { maxSessionsPerWorker: 1, reserve: 0 } })
        yield* stage.rules.add({ action: "allow", remote: "192.0.2.1", priority: "high" })
        yield* stage.rules.add({ action: "allow", remote: "192.0.2.2", priority: "low" })
        let last = yield* stage.dialOpen()
        const low = yield* stage.dial(endpoint, "192.0.2.2")
        const normal = yield* stage.dial(endpoint)
        const high = yield* stage.dial(endpoint, "192.0.2.1")
        for (const peer of [high, normal, low]) {
          last.reset()
          yield* until("the next one", () => peer.opened)
          last = peer
        }
        assert.deepStrictEqual(actor.run().accepted.map(({ remote }) => remote.slice(0, 15)), [
          "tcp://127.0.0.1",
          "tcp://192.0.2.1",
          "tcp://127.0.0.1",
          "tcp://192.0.2.2"
        ])
      })
  )
})
