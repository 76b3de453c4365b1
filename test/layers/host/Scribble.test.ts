/** A worker whose memory is written over, word by word: it goes on in order, or it is given up, within two seconds. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import * as Host from "../../../src/layers/Host.ts"
import * as SessionLayerHost from "../../../src/layers/host/SessionLayerHost.ts"
import * as WorkerStack from "../../../src/layers/stack/WorkerStack.ts"
import * as TransportMemory from "../../../src/layers/testing/TransportMemory.ts"
import type { Peer } from "../../../src/layers/testing/TransportMemory.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import type { Session } from "../../../src/services/Sessions.ts"
import * as Long from "../../support/long.ts"
import * as Random from "../../support/random.ts"
import { Memories, Tallies, valueFor } from "../../support/Scribble.ts"
import { Actor, echoing, endpoint, optionsOf } from "../../support/Stage.ts"
import { settled, turn } from "../../support/until.ts"

/** Milliseconds within which a worker is given up, or serves. */
const WITHIN = 2000
const STEP = 100
const VALUES = Long.steps({ short: 800, long: 100_000 })
const service = "local://service"

/** Something that sends bytes and gets them back. */
interface Echo {
  readonly ask: () => void
  readonly isAnswered: () => boolean
  readonly isOver: () => boolean
  /** Bytes that came back and were never sent. */
  readonly isWrong: () => boolean
  readonly drop: () => void
}

const overPeer = (peer: Peer): Echo & { readonly end: () => void } => {
  let sent = ""
  return {
    ask: () => {
      const text = String(sent.length).padStart(8)
      sent += text
      peer.send(text)
    },
    isAnswered: () => peer.receivedBytes >= sent.length,
    end: () => peer.end(),
    isOver: () => peer.closed || peer.ended,
    isWrong: () => !sent.startsWith(peer.received().toString()),
    drop: () => peer.reset()
  }
}

const overSession = (session: Session): Echo => {
  let sent = ""
  let received = ""
  session.handler = {
    readable: () => {
      for (let bytes; (bytes = session.read()) !== undefined;) received += Buffer.from(bytes).toString("latin1")
    }
  }
  return {
    ask: () => {
      const text = String(sent.length).padStart(8)
      if (session.write(Buffer.from(text)) > 0) sent += text
    },
    isAnswered: () => received.length >= sent.length,
    isOver: () => !session.writable || session.ended || session.closed,
    isWrong: () => !sent.startsWith(received),
    drop: () => session.abort()
  }
}

describe("memory that is written over", () => {
  it.effect(
    `W1 M9 ${VALUES} random values, in any word that a worker may write: served on, or given up within 2 s`,
    () =>
      Effect.gen(function*() {
        const seed = Number(process.env.SLUICE_TEST_SEED ?? 1)
        const random = Random.make(seed)
        const memories = new Memories()
        const tallies = new Tallies()
        const network = new TransportMemory.Network()
        const services = yield* Layer.build(
          SessionLayerHost.layerStack.pipe(
            Layer.provide(WorkerStack.layerInProcess(memories.layers)),
            Layer.provide(TransportMemory.layer(network)),
            Layer.provide(Host.layerSettings)
          )
        )
        const host = Context.get(services, SessionLayer)
        const small = {
          worker: { backoffBase: 10, backoffMax: 10 },
          queue: { indexQueue: 8, ioRing: 4, controlRing: 4 },
          segment: { firstSegmentSize: "512KiB", addSegmentSize: "512KiB", rxFifoSize: "4KiB", txFifoSize: "4KiB" },
          admission: { holdTime: 10_000 },
          scope: { local: true, global: true }
        } as const
        const actor = new Actor({ accept: echoing })
        yield* host.attach(optionsOf({ ...small, listen: [endpoint, service] }), actor.module)
        const client = new Actor()
        yield* host.attach(optionsOf({ name: "client", listen: [], scope: { local: true } }), client.module)

        const logs: Array<string> = []
        const worker = Effect.map(host.report, ({ apps }) => apps[0]!.workers[0]!)
        const connect = Effect.map(client.run().sessions.connect(service), overSession)
        const doubtful = new WeakSet<Echo>()
        let kept: Echo | undefined
        let cutThrough: Echo | undefined
        for (let round = 0; tallies.written < VALUES; round++) {
          kept = kept?.isOver() === false ? kept : overPeer(network.dial(endpoint))
          if (cutThrough?.isOver() !== false) cutThrough = yield* connect
          const { restarts } = yield* worker
          // some of it is under way when the word is written
          const isBefore = random(2) === 0
          const fresh = isBefore ? overPeer(network.dial(endpoint)) : undefined
          if (isBefore) { for (const echo of [kept, cutThrough, fresh!]) if (random(2) === 0) echo.ask() }
          for (let turns = random(4); turns > 0; turns--) yield* random(2) === 0 ? turn : Effect.yieldNow
          const word = memories.pick("app", 0, random)
          const before = word.words[word.at]!
          const value = valueFor(word, random)
          word.words[word.at] = value
          const last = fresh ?? overPeer(network.dial(endpoint))
          const echoes = [kept, cutThrough, last]
          for (let turns = random(3); turns > 0; turns--) yield* turn
          for (const echo of echoes) echo.ask()

          const tally = tallies.of(word.name)
          tally.written++
          let millis = 0
          for (;; millis += STEP) {
            yield* settled
            const { restarts: now, state } = yield* worker
            if (now > restarts || state !== "RUNNING") {
              tally.givenUp++
              tally.longestGivenUp = Math.max(tally.longestGivenUp, millis)
              break
            }
            if (echoes.every((echo) => echo.isAnswered() || echo.isOver())) {
              const isBroken = echoes.some((echo) => echo.isOver())
              if (isBroken) tally.broken++
              else tally.served++
              tally.longestServed = Math.max(tally.longestServed, millis)
              break
            }
            const said = `round ${round}: ${word.name}, word ${word.at}: ${before} → ${value}`
            if (millis >= WITHIN) {
              const { lastFailure } = yield* worker
              const states = echoes.map((echo) => [echo.isAnswered(), echo.isOver()].join())
              logs.push(`${said}: ${state} and serves nobody: ${states.join(" | ")} ${lastFailure}`)
              break
            }
            yield* TestClock.adjust(STEP)
          }
          // where bytes are is what each side says itself: what is possible is believed
          if (word.name.endsWith("line")) { for (const echo of echoes) doubtful.add(echo) }
          for (const echo of echoes) {
            if (!echo.isWrong()) continue
            if (doubtful.has(echo)) tally.wrong++
            else logs.push(`round ${round}: ${word.name}, word ${word.at}: ${before} → ${value}: wrong bytes`)
            echo.drop()
            yield* settled
          }
          last.end()
          while ((yield* worker).state !== "RUNNING") {
            yield* TestClock.adjust(10)
            yield* turn
          }
        }
        if (process.env.SLUICE_TEST_TABLE !== undefined) console.log(String(tallies))
        assert.deepStrictEqual(logs, [])
      }).pipe(Effect.scoped),
    3_600_000
  )
})
