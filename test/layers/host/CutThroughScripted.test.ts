/** Cut-through sessions of workers that misbehave on command, with a real host, at exact times of the clock. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import type { Session } from "../../../src/services/Sessions.ts"
import { Actor, scenario, type Stage } from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

const endpoint = "local://service"
const bytes = Buffer.from("hello")

/** A session between an application `server` and one called `client`. */
const connected = Effect.fnUntraced(function*(stage: Stage) {
  const server = new Actor()
  let session: Session | undefined
  const edges: Array<string> = []
  const client = new Actor({
    start: (run) =>
      Effect.gen(function*() {
        session = yield* run.sessions.connect(endpoint)
        session.handler = {
          readable: () => void edges.push("readable"),
          writable: () => void edges.push("writable"),
          ended: () => void edges.push("ended"),
          closed: (_, reset) => void edges.push(reset === undefined ? "closed" : "reset")
        }
      })
  })
  yield* stage.attach(server, { name: "server", scope: { local: true }, listen: [endpoint] })
  yield* stage.attach(client, { name: "client", scope: { local: true }, listen: [] })
  yield* until("it is connected", () => session !== undefined && server.run().accepted.length === 1)
  const run = server.run()
  return {
    client: { session: session!, edges },
    server: { session: run.accepted[0]!, edges: () => run.edges.map((edge) => edge.replace(/ \d+\.\d+/, "")) }
  }
})

scenario(
  "W16 a worker that is blocked does not look at its cut-through sessions, and hears of all of it when it is not",
  (stage) =>
    Effect.gen(function*() {
      const { client, server } = yield* connected(stage)
      const script = stage.script(0, "server")
      script.block()
      client.session.write(bytes)
      client.session.end()
      yield* settled
      assert.deepStrictEqual(server.edges(), [])
      script.release()
      yield* settled
      assert.deepStrictEqual(server.edges(), ["readable", "ended"])
      server.session.read()
      server.session.close()
      yield* settled
      assert.deepStrictEqual(client.edges, ["ended", "closed"])
    })
)

scenario(
  "W16 a worker that is slow looks at its cut-through sessions so much later",
  (stage) =>
    Effect.gen(function*() {
      const { client, server } = yield* connected(stage)
      stage.script(0, "client").slow(50)
      server.session.write(bytes)
      yield* settled
      yield* TestClock.adjust(49)
      assert.deepStrictEqual(client.edges, [])
      yield* TestClock.adjust(1)
      yield* settled
      assert.deepStrictEqual(client.edges, ["readable"])
    })
)

scenario("W16 a worker that the host does not hear is heard by the other worker", (stage) =>
  Effect.gen(function*() {
    const { client, server } = yield* connected(stage)
    const script = stage.script(0, "server")
    script.mute()
    server.session.write(bytes)
    server.session.end()
    yield* settled
    assert.deepStrictEqual(client.edges, ["readable"])
    script.unmute()
    yield* settled
    assert.deepStrictEqual(client.edges, ["readable", "ended"])
  }))

for (const gone of ["server", "client"] as const) {
  scenario(
    `W16 the ${gone} crashes: a reset for the other, and nothing of the session is left`,
    (stage) =>
      Effect.gen(function*() {
        const { client, server } = yield* connected(stage)
        client.session.write(bytes)
        server.session.write(bytes)
        yield* settled
        stage.script(0, gone).crash()
        yield* settled
        if (gone === "server") assert.deepStrictEqual(client.edges, ["readable", "reset"])
        else assert.match(server.edges().join(), /^readable,closed \(.+\)$/)
        const { sessions } = yield* stage.report
        assert.strictEqual(sessions, 0)
      })
  )
}
