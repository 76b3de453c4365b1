import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as EventFilter from "../../../src/domain/events/EventFilter.ts"
import { type EventFacts, eventKinds, HostEvent } from "../../../src/domain/events/HostEvent.ts"
import * as Handle from "../../../src/domain/state/Handle.ts"

const event = (facts: EventFacts): HostEvent => ({ serial: 1, time: 1000, at: 1.5, ...facts })

const restarting = event({
  kind: "worker-restarting",
  app: "shop",
  worker: 1,
  workerHandle: Handle.make(3, 2),
  generation: 1
})
const detached = event({ kind: "app-detached", app: "shop" })
const draining = event({ kind: "host-draining", sessions: 3 })

const passing = (filter: EventFilter.EventFilter) =>
  [restarting, detached, draining].filter(EventFilter.compile(filter)).map(({ kind }) => kind)

describe("EventFilter", () => {
  it("X5 lets pass what fits all of its fields", () => {
    assert.deepStrictEqual(passing({}), ["worker-restarting", "app-detached", "host-draining"])
    assert.deepStrictEqual(passing({ app: "shop" }), ["worker-restarting", "app-detached"])
    assert.deepStrictEqual(passing({ app: "shop", worker: "1" }), ["worker-restarting"])
    assert.deepStrictEqual(passing({ worker: "3.2" }), ["worker-restarting"])
    assert.deepStrictEqual(passing({ worker: "3.1" }), [])
    assert.deepStrictEqual(passing({ kinds: ["host-draining"] }), ["host-draining"])
    assert.deepStrictEqual(passing({ kinds: ["host-draining"], app: "shop" }), [])
  })

  it("X5 reads kinds and what they are about, and says in a sentence what is neither", () => {
    const kinds = (text: string) => Result.getOrThrow(EventFilter.kindsOf(text))
    assert.deepStrictEqual(kinds("worker-up, host"), ["worker-up", "host-draining", "host-drained"])
    assert.sameMembers([...kinds(EventFilter.eventSubjects.join())], [...eventKinds])
    for (const text of ["", "worker-upp", "worker,,host", "nothing", "x".repeat(5000)]) {
      const wrong = EventFilter.kindsOf(text)
      assert(Result.isFailure(wrong))
      assert.match(wrong.failure, /^no kind of events is ".{0,64}"; it must be "host", .*$/)
    }
    assert.match(String(Result.merge(EventFilter.kindsOf("worker-upp"))), /did you mean "worker-up"\?$/)
  })

  it("X5 an event is the same after a way as JSON, where handles are texts", () => {
    const codec = Schema.fromJsonString(Schema.toCodecJson(HostEvent))
    const json = Schema.encodeSync(codec)(restarting)
    assert.strictEqual(
      json,
      "{\"serial\":1,\"time\":1000,\"at\":1.5,\"kind\":\"worker-restarting\",\"app\":\"shop\",\"worker\":1,"
        + "\"workerHandle\":\"3.2\",\"generation\":1}"
    )
    assert.deepStrictEqual(Schema.decodeSync(codec)(json), restarting)
  })
})
