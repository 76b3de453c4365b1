/** Words in shared memory that a worker has written over with values which are possible and wrong, one by one. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import type { Session } from "../../../src/services/Sessions.ts"
import { inMemory, type Memories, quiet, service } from "../../support/Scribble.ts"
import { Actor, endpoint, optionsOf } from "../../support/Stage.ts"
import { settled } from "../../support/until.ts"

/** Milliseconds within which all goes on. */
const WITHIN = 2000
/** Bytes that a fifo holds here. */
const BOUND = 4096
/** Bytes of a large message. */
const WHOLE = 200_000

/** Words of a session's block. */
const HOST_HEAD = 15
const WORKER_HEAD = 31
const RX_EVENT = 33
const TX_EVENT = 36
const SERVER_CLOSED = 48

const passed = Effect.gen(function*() {
  for (let millis = 0; millis < WITHIN; millis += 100) {
    yield* TestClock.adjust(100)
    yield* settled
  }
})

/** Reads all that there is, if it may. */
class Reader {
  isHeld = true
  bytes = 0
  readonly accept = (session: Session): void => {
    this.session = session
    session.handler = { readable: () => this.isHeld ? undefined : this.read() }
  }
  session: Session | undefined

  read(): void {
    this.isHeld = false
    for (let bytes; (bytes = this.session!.read()) !== undefined;) this.bytes += bytes.length
  }
}

const thrownBy = (call: () => void): unknown => {
  try {
    return void call()
  } catch (error) {
    return error
  }
}

const words = (memories: Memories): Int32Array => memories.lastBlock("app", 0)!

describe("words that are possible and wrong", () => {
  it.effect("W1 what a worker has read, while the host waits for that: the connection goes on", () =>
    Effect.gen(function*() {
      const reader = new Reader()
      const { host, memories, network } = yield* inMemory(new Actor({ accept: reader.accept }))
      const peer = network.dial(endpoint)
      peer.send(new Uint8Array(4 * BOUND))
      yield* settled
      assert.strictEqual(reader.session!.available, BOUND)
      const before = words(memories)[WORKER_HEAD]!
      reader.read()
      words(memories)[WORKER_HEAD] = before
      yield* settled
      assert.strictEqual(reader.bytes, BOUND)
      yield* passed
      assert.strictEqual(reader.bytes, 4 * BOUND)
      assert.strictEqual((yield* host.report).apps[0]!.workers[0]!.restarts, 0)
    }).pipe(Effect.scoped, quiet))

  it.effect("W1 what the host has sent, while a worker waits for that: the worker goes on", () =>
    Effect.gen(function*() {
      let left = 4 * BOUND
      const accept = (session: Session): void => {
        const write = (): void => {
          for (let taken; left > 0 && (taken = session.write(new Uint8Array(left))) > 0;) left -= taken
        }
        session.handler = { writable: write }
        write()
      }
      const { host, memories, network } = yield* inMemory(new Actor({ accept }))
      const peer = network.dial(endpoint)
      peer.stop()
      yield* settled
      assert.strictEqual(left, 3 * BOUND)
      const before = words(memories)[HOST_HEAD]!
      peer.read()
      while (words(memories)[HOST_HEAD] === before) yield* Effect.promise(() => Promise.resolve())
      words(memories)[HOST_HEAD] = before
      yield* settled
      assert.strictEqual(peer.receivedBytes, BOUND)
      yield* passed
      assert.strictEqual(peer.receivedBytes, 4 * BOUND)
      assert.strictEqual((yield* host.report).apps[0]!.workers[0]!.restarts, 0)
    }).pipe(Effect.scoped, quiet))

  it.effect("W1 that a reader was told, of bytes that need no memory but their ring: it is told once more", () =>
    Effect.gen(function*() {
      const reader = new Reader()
      const { memories, network } = yield* inMemory(new Actor({ accept: reader.accept }), {
        // so often that a session is given up as idle before anybody has looked
        segment: { firstSegmentSize: "512KiB", rxFifoSize: "4KiB", txFifoSize: "4KiB", trimInterval: 10 }
      })
      reader.isHeld = false
      const peer = network.dial(endpoint)
      yield* settled
      words(memories)[RX_EVENT] = 1
      words(memories)[TX_EVENT] = 1
      peer.send("hello")
      yield* settled
      reader.session!.write(Buffer.from("there"))
      yield* settled
      assert.deepStrictEqual([reader.bytes, peer.receivedBytes], [0, 0])
      yield* passed
      assert.deepStrictEqual([reader.bytes, peer.receivedBytes], [5, 5])
    }).pipe(Effect.scoped, quiet))

  const lendable = (value: number) =>
    Effect.gen(function*() {
      let session: Session | undefined
      const taken: Array<number> = []
      // more than there is in one piece without another segment
      const write = (): void => void taken.push(session!.writeWhole([new Uint8Array(WHOLE)]))
      const accept = (accepted: Session): void => {
        session = accepted
        session.handler = { writable: write }
      }
      const { host, memories, network } = yield* inMemory(new Actor({ accept }), {
        segment: { firstSegmentSize: "512KiB", addSegmentSize: "1MiB", txFifoSize: "256KiB", trimInterval: 60_000 }
      })
      const peer = network.dial(endpoint)
      yield* settled
      const word = memories.lendable("app", 0)
      word.words[word.at] = value
      const thrown = thrownBy(write)
      yield* passed
      return { worker: (yield* host.report).apps[0]!.workers[0]!, received: peer.receivedBytes, taken, thrown, word }
    })

  for (const value of [-1, -(2 ** 31), 2 ** 31 - 1]) {
    it.effect(`W1 memory that may be lent, ${value} KiB of it: the worker is given up, and the reason says so`, () =>
      Effect.gen(function*() {
        const { thrown, worker } = yield* lendable(value)
        assert.match(String(thrown), /are said to be lendable/)
        assert.strictEqual(worker.restarts, 1)
        assert.match(worker.lastFailure!, /corrupt: -?\d+ bytes are said to be lendable, of \d+ in all/)
      }).pipe(Effect.scoped, quiet))
  }

  it.effect("W1 no memory that may be lent, though there is some: what has to go whole goes", () =>
    Effect.gen(function*() {
      const { received, worker } = yield* lendable(0)
      assert.deepStrictEqual([received, worker.restarts], [WHOLE, 0])
    }).pipe(Effect.scoped, quiet))

  it.effect("W1 W16 that the other worker has closed: no side waits for the other", () =>
    Effect.gen(function*() {
      let served: Session | undefined
      const { host, memories } = yield* inMemory(new Actor({ accept: (session) => void (served = session) }))
      const client = new Actor()
      yield* host.attach(optionsOf({ name: "client", listen: [], scope: { local: true } }), client.module)
      const session = yield* client.run().sessions.connect(service)
      const closed: Array<string | undefined> = []
      session.handler = { closed: (_, reset) => closed.push(reset) }
      const block = memories.lastCutThrough("app", 0)
      block[SERVER_CLOSED] = 1
      assert.strictEqual(session.write(Buffer.from("hello")), -1)
      yield* passed
      assert.match(String(closed[0]), /had not closed the session, as it had said/)
      assert.isTrue(served!.closed || served!.reset !== undefined)
    }).pipe(Effect.scoped, quiet))

  it.effect("W1 W16 a word of the other worker that nobody has gone by is put right", () =>
    Effect.gen(function*() {
      const { host, memories } = yield* inMemory(new Actor())
      const client = new Actor()
      yield* host.attach(optionsOf({ name: "client", listen: [], scope: { local: true } }), client.module)
      const session = yield* client.run().sessions.connect(service)
      memories.lastCutThrough("app", 0)[SERVER_CLOSED] = 1
      yield* passed
      assert.strictEqual(session.write(Buffer.from("hello")), 5)
    }).pipe(Effect.scoped, quiet))
})
