import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SessionDatagrams from "../../../src/layers/worker/SessionDatagrams.ts"
import type { Session } from "../../../src/services/Sessions.ts"
import * as LocalHost from "../../support/LocalHost.ts"
import * as Pattern from "../../support/pattern.ts"
import * as Random from "../../support/random.ts"
import * as SessionPair from "../../support/SessionPair.ts"
import { settled } from "../../support/until.ts"

const bytes = (length: number, from = 0) => Pattern.at(from, length)

/** Two joined sessions whose fifos hold 4096 bytes. */
const forms = {
  "a pair in memory": Effect.sync(() => SessionPair.make({ bound: 4096 })),
  "a cut-through session": Effect.gen(function*() {
    const { client, server } = yield* LocalHost.connect(yield* LocalHost.make())
    return { client: client.session, server: server.session }
  })
}

const receiveAll = (session: Session): Array<Uint8Array> => {
  const all: Array<Uint8Array> = []
  for (let one = SessionDatagrams.receive(session); one !== undefined; one = SessionDatagrams.receive(session)) {
    all.push(one)
  }
  return all
}

for (const [form, make] of Object.entries(forms)) {
  describe(`SessionDatagrams over ${form}`, () => {
    it.effect("each message arrives as it was sent, empty ones too", () =>
      Effect.gen(function*() {
        const { client, server } = yield* make
        for (const length of [0, 1, 500, 0, 3000]) {
          assert.strictEqual(SessionDatagrams.send(client, bytes(length, length)), "sent")
        }
        yield* settled
        const all = receiveAll(server)
        assert.deepStrictEqual(all.map(({ length }) => length), [0, 1, 500, 0, 3000])
        assert.isTrue(all.every((message) => Pattern.isAt(message, message.length)))
        assert.strictEqual(server.available, 0)
      }).pipe(Effect.scoped))

    it.effect("the largest message fills the fifo, and one byte more is refused and sends nothing", () =>
      Effect.gen(function*() {
        const { client, server } = yield* make
        assert.strictEqual(SessionDatagrams.largest(client), 4092)
        assert.strictEqual(SessionDatagrams.send(client, bytes(4093)), "too-large")
        assert.strictEqual(server.available, 0)
        assert.strictEqual(SessionDatagrams.send(client, bytes(4092)), "sent")
        assert.isTrue(Pattern.isAt(SessionDatagrams.receive(server)!, 0))
      }).pipe(Effect.scoped))

    it.effect("a message that has no room is not sent in part, and writable says when there is room for it", () =>
      Effect.gen(function*() {
        const { client, server } = yield* make
        let writable = 0
        client.handler = { writable: () => void writable++ }
        assert.strictEqual(SessionDatagrams.send(client, bytes(1000)), "sent")
        assert.strictEqual(SessionDatagrams.send(client, bytes(1000, 1000)), "sent")
        assert.strictEqual(SessionDatagrams.send(client, bytes(3000, 2000)), "full")
        assert.strictEqual(server.available, 2008)
        yield* settled
        assert.strictEqual(writable, 0)
        assert.isTrue(Pattern.isAt(SessionDatagrams.receive(server)!, 0))
        yield* settled
        assert.strictEqual(writable, 1)
        assert.strictEqual(SessionDatagrams.send(client, bytes(3000, 2000)), "sent")
        assert.deepStrictEqual(receiveAll(server).map(({ length }) => length), [1000, 3000])
      }).pipe(Effect.scoped))

    it.effect("nothing is received before all of a message is there", () =>
      Effect.gen(function*() {
        const { client, server } = yield* make
        const whole = Buffer.concat([Uint8Array.of(10, 0, 0, 0), bytes(10), Uint8Array.of(0, 0, 0, 0)])
        for (let at = 0; at < whole.length; at++) {
          assert.isUndefined(at < 14 ? SessionDatagrams.receive(server) : undefined)
          client.write(whole.subarray(at, at + 1))
        }
        assert.deepStrictEqual(receiveAll(server).map(({ length }) => length), [10, 0])
      }).pipe(Effect.scoped))

    it.effect("a length that no sender can have meant aborts the session", () =>
      Effect.gen(function*() {
        for (const header of [[0xfd, 0x0f, 0, 0], [0, 0, 0, 0x80], [0xff, 0xff, 0xff, 0xff]]) {
          const { client, server } = yield* make
          client.write(Uint8Array.from(header))
          client.write(bytes(100))
          assert.isUndefined(SessionDatagrams.receive(server))
          assert.isTrue(server.closed)
          yield* settled
          assert.isDefined(client.reset)
          assert.strictEqual(SessionDatagrams.send(client, bytes(1)), "closed")
          assert.isUndefined(SessionDatagrams.receive(server))
        }
      }).pipe(Effect.scoped))

    it.effect("after a length that made no sense nothing is received, whatever comes then", () =>
      Effect.gen(function*() {
        const { client, server } = yield* make
        client.write(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0))
        assert.isUndefined(SessionDatagrams.receive(server))
        assert.isUndefined(SessionDatagrams.receive(server))
      }).pipe(Effect.scoped))

    it.effect("what has come of a message makes room for the rest of it", () =>
      Effect.gen(function*() {
        const { client, server } = yield* make
        client.write(Buffer.concat([Uint8Array.of(0xfc, 0x0f, 0, 0), bytes(3000)]))
        assert.isUndefined(SessionDatagrams.receive(server))
        assert.strictEqual(server.available, 0)
        client.write(bytes(1092, 3000))
        const message = SessionDatagrams.receive(server)!
        assert.strictEqual(message.length, 4092)
        assert.isTrue(Pattern.isAt(message, 0))
        assert.isUndefined(SessionDatagrams.receive(server))
      }).pipe(Effect.scoped))

    it.effect("a session that takes no more says so", () =>
      Effect.gen(function*() {
        const { client, server } = yield* make
        SessionDatagrams.send(client, bytes(7))
        client.end()
        assert.strictEqual(SessionDatagrams.send(client, bytes(7)), "closed")
        yield* settled
        assert.strictEqual(SessionDatagrams.receive(server)!.length, 7)
        assert.strictEqual(SessionDatagrams.send(server, bytes(7)), "sent")
        server.close()
        assert.strictEqual(SessionDatagrams.send(server, bytes(7)), "closed")
      }).pipe(Effect.scoped))

    it.effect.prop(
      "messages of any sizes arrive in order, and none is lost, repeated or cut",
      { seed: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0x7fff_ffff })) },
      ({ seed }) =>
        Effect.gen(function*() {
          const random = Random.make(seed)
          const { client, server } = yield* make
          const sizes = Array.from({ length: 40 }, () => random([4, 300, 4093][random(3)]!))
          const arrived: Array<Uint8Array> = []
          let next = 0
          let full = 0
          const go = (session: Session): void => {
            for (; next < sizes.length; next++) {
              const result = SessionDatagrams.send(session, bytes(sizes[next]!, 10 * next))
              if (result === "sent") continue
              full++
              return assert.strictEqual(result, "full")
            }
          }
          client.handler = { writable: go }
          server.handler = { readable: (session) => void arrived.push(...receiveAll(session)) }
          go(client)
          for (let turn = 0; turn < 200 && arrived.length < sizes.length; turn++) yield* settled
          assert.deepStrictEqual(arrived.map(({ length }) => length), sizes)
          assert.isTrue(arrived.every((message, i) => Pattern.isAt(message, 10 * i)))
          assert.isTrue(full > 0 || sizes.reduce((sum, size) => sum + size + 4, 0) <= 4096)
        }).pipe(Effect.scoped),
      { arbitrary: { runs: 30 } }
    )
  })
}
