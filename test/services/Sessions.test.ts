import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ConnectFailed, layerAccept, ListenFailed, Sessions } from "../../src/services/Sessions.ts"
import * as SessionPair from "../support/SessionPair.ts"
import { settled } from "../support/until.ts"

/** The example of `layerAccept`. */
const echo = layerAccept((session) => {
  session.handler = {
    readable: (session) => {
      for (let bytes = session.peek(); bytes !== undefined; bytes = session.peek()) {
        const taken = session.write(bytes)
        if (taken < 0) return session.abort()
        session.drop(taken)
        // `writable` says when there is room again
        if (taken < bytes.length) return
      }
      if (session.ended) session.close()
    },
    writable: (session) => session.handler?.readable?.(session),
    ended: (session) => session.handler?.readable?.(session)
  }
})

describe("layerAccept", () => {
  it.effect("the echo server of its documentation gives back what it gets, however little room there is", () =>
    Effect.gen(function*() {
      const endpoint = "tcp://127.0.0.1:8080"
      const net = SessionPair.makeNet({ endpoints: [endpoint], bound: 16 })
      yield* Layer.build(Layer.provide(echo, Layer.succeed(Sessions, net.sessions)))
      const client = net.dial(endpoint)
      const sent = Buffer.from("a message that is longer than any of the two fifos")
      const received: Array<Uint8Array> = []
      for (let from = 0, turns = 0; Buffer.concat(received).length < sent.length; turns++) {
        assert.isBelow(turns, 100)
        if (from < sent.length) from += client.write(sent, from)
        yield* settled
        const bytes = client.read()
        if (bytes !== undefined) received.push(bytes)
        yield* settled
      }
      client.end()
      yield* settled
      assert.strictEqual(Buffer.concat(received).toString(), sent.toString())
      assert.isTrue(client.ended)
      assert.isUndefined(client.reset)
    }).pipe(Effect.scoped))
})

describe("an error of the session layer", () => {
  const endpoint = "tcp://127.0.0.1:1"

  it.effect("can be handled by its reason's tag", () =>
    Effect.gen(function*() {
      const connect = (reason: ConnectFailed["reason"]) =>
        Effect.fail(new ConnectFailed({ endpoint, reason })).pipe(
          Effect.catchReason("ConnectFailed", "Refused", ({ why }) => Effect.succeed(`refused: ${why}`)),
          Effect.catchTag("ConnectFailed", ({ reason }) => Effect.succeed(`failed: ${reason._tag}`))
        )
      assert.strictEqual(yield* connect({ _tag: "Refused", why: "worker-limit", detail: "" }), "refused: worker-limit")
      assert.strictEqual(yield* connect({ _tag: "TimedOut", detail: "" }), "failed: TimedOut")
    }))

  it("says what is wrong, and where, in one sentence", () => {
    const listen = new ListenFailed({
      endpoint,
      reason: { _tag: "AddressInUse", detail: "another program listens there" }
    })
    assert.strictEqual(listen.message, `can't listen on ${endpoint}: another program listens there`)
    const connect = new ConnectFailed({ endpoint, reason: { _tag: "Refused", why: "host-limit", detail: "all taken" } })
    assert.strictEqual(connect.message, `can't connect to ${endpoint}: host-limit: all taken`)
    assert.strictEqual(connect.detail, "host-limit: all taken")
  })
})
