/** Whatever sizes of memory are accepted, sessions can live on them; what they can't live on is refused by name. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Options from "../../../src/domain/options/Options.ts"
import * as HostScripted from "../../../src/layers/testing/HostScripted.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import type { Session } from "../../../src/services/Sessions.ts"
import * as Long from "../../support/long.ts"
import * as Random from "../../support/random.ts"
import { Actor, endpoint, optionsOf } from "../../support/Stage.ts"

const KiB = 1024
const MiB = 1024 * KiB
/** A second listener, which has memory of its own where there can be some. */
const second = "tcp://127.0.0.1:81"
const SEEDS = Long.steps({ short: 40, long: 400 })

/** Options at which sizes collide: small and odd ones, and bounds near to what there is. */
const make = (random: Random.Random): Options.AppOptionsInput => {
  const one = <A>(of: ReadonlyArray<A>): A => of[random(of.length)]!
  const firstSegmentSize = one([512 * KiB, 700_001, 700_004, MiB, 4 * MiB])
  const addSegmentSize = one([0, 256 * KiB, 300_000, 300_002, MiB])
  const fifo = () => 4 * KiB * 2 ** random(11)
  return {
    segment: {
      firstSegmentSize,
      addSegmentSize,
      memoryLimit: firstSegmentSize + one([0, 0, 1, 2, 5]) * addSegmentSize + one([0, 0, 1, 100_000]),
      rxFifoSize: fifo(),
      txFifoSize: fifo(),
      preallocFifoPairs: one([0, 0, 1, 20, 1000]),
      highWatermark: one([1, 80, 100]),
      lowWatermark: 0
    },
    queue: { indexQueue: one([64, 2048]), ioRing: one([64, 2048]), controlRing: one([16, 512]) }
  }
}

/** Writes all of it as a whole, when there is room; the session says when to try again. */
const writeWhole = (session: Session, bytes: Uint8Array): { readonly isWritten: () => boolean } => {
  let written = false
  const go = (): void => {
    written ||= session.writeWhole([bytes]) === bytes.length
  }
  session.handler = { readable: () => void session.read(), writable: go }
  go()
  return { isWritten: () => written }
}

describe("options of memory", () => {
  it("are refused with the name of the option that does not fit, and with what would", () => {
    let refused = 0
    for (let seed = 1; seed <= 1000; seed++) {
      const decoded = Options.decodeApp(make(Random.make(seed)))
      if (Result.isSuccess(decoded)) continue
      refused++
      assert.match(
        decoded.failure.message,
        /segment\.(firstSegmentSize|addSegmentSize|rxFifoSize|txFifoSize|preallocFifoPairs|memoryLimit): /
      )
      assert.match(decoded.failure.message, /must be (at (least|most) \d|larger, as must be)/)
    }
    assert.isAbove(refused, 100)
    assert.isBelow(refused, 900)
  })

  for (let part = 0; part < 4; part++) {
    it.effect(`that are accepted give each session blocks for its first bytes and for a whole fifo, ${part}`, () =>
      Effect.gen(function*() {
        const host = yield* SessionLayer
        const { network, settled } = yield* HostScripted.HostScripted
        for (let seed = part + 1; seed <= SEEDS; seed += 4) {
          const options = make(Random.make(seed))
          if (Result.isFailure(Options.decodeApp(options))) continue
          const said = `seed ${seed}: ${JSON.stringify(options)}`
          yield* Effect.gen(function*() {
            const actor = new Actor({ accept: () => {} })
            yield* host.attach(optionsOf({ ...options, name: `app-${seed}`, listen: [endpoint, second] }), actor.module)
            const fresh = Effect.fnUntraced(function*(at: string) {
              const peer = network.dial(at)
              yield* settled
              assert.isTrue(peer.opened, said)
              const session = actor.run().accepted.at(-1)!
              const report = Effect.map(host.sessions({}), (all) => all.find(({ remote }) => remote === peer.local)!)
              return { peer, session, report }
            })
            const reading = yield* fresh(endpoint)
            const { rxFifoSize, txFifoSize } = Result.getOrThrow(Options.decodeApp(options)).segment
            // all that a fifo may hold goes as a whole, though nothing of it is read before it is there
            reading.peer.stop()
            const whole = writeWhole(reading.session, new Uint8Array(txFifoSize))
            for (let i = 0; i < 20 && !whole.isWritten(); i++) yield* settled
            assert.isTrue(whole.isWritten(), said)
            reading.peer.read()
            yield* settled
            assert.strictEqual(reading.peer.receivedBytes, txFifoSize, said)
            // what comes in is taken until the fifo is full, once there has been time to add memory
            const writing = yield* fresh(second)
            writing.peer.send(new Uint8Array(3 * rxFifoSize))
            yield* settled
            assert.isAtLeast((yield* writing.report).rx!.memory, Math.min(4096, rxFifoSize), said)
            writing.session.handler = { readable: () => void writing.session.read() }
            writing.session.read()
            for (let i = 0; i < 20 && writing.peer.unsent > 0; i++) yield* settled
            assert.strictEqual(writing.peer.unsent, 0, said)
          }).pipe(Effect.scoped)
        }
      }).pipe(Effect.scoped, Effect.provide(HostScripted.layer)))
  }
})
