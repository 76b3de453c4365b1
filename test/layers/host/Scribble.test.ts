/** A worker whose memory is written over, word by word: it goes on in order, or it is given up, within two seconds. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Net from "node:net"
import * as Message from "../../../src/domain/memory/Message.ts"
import * as SessionBlock from "../../../src/domain/memory/SessionBlock.ts"
import * as Host from "../../../src/layers/Host.ts"
import * as WorkerStack from "../../../src/layers/stack/WorkerStack.ts"
import type { Peer } from "../../../src/layers/testing/TransportMemory.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import type { Session } from "../../../src/services/Sessions.ts"
import * as Long from "../../support/long.ts"
import * as Random from "../../support/random.ts"
import { inMemory, Memories, options, quiet, service, Tallies, valueFor } from "../../support/Scribble.ts"
import { Actor, echoing, endpoint, optionsOf } from "../../support/Stage.ts"
import { settled, turn } from "../../support/until.ts"

/** Milliseconds within which a worker is given up, or serves; and that on a machine that is busy with other things. */
const WITHIN = 2000
const WITHIN_BUSY = 5000
/** Values that are written: so many as `SLUICE_TEST_VALUES` says, 100000 for one. */
const given = process.env["SLUICE_TEST_VALUES"]
const VALUES = given === undefined ? Long.steps({ short: 600, long: 5000 }) : Number(given)
const THREAD_VALUES = given === undefined ? 16 : Number(given)
/**
 * Over threads, a worker that is given up takes its time to come back. So values are written in bursts of up to so many,
 * a power of two each, by several lanes with a worker each.
 */
const BURST = given === undefined ? 2 : 256
const LANES = given === undefined ? 1 : 4

/** Something that sends bytes and gets them back. */
interface Echo {
  readonly ask: () => void
  readonly isAnswered: () => boolean
  readonly isOver: () => boolean
  /** Bytes that came back and were never sent. */
  readonly isWrong: () => boolean
  readonly end: () => void
  readonly drop: () => void
}

const overPeer = (peer: Peer): Echo => {
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
    end: () => session.close(),
    drop: () => session.abort()
  }
}

const overSocket = (port: number): Echo => {
  const socket = Net.connect(port, "127.0.0.1").setEncoding("latin1")
  let sent = ""
  let received = ""
  let isOver = false
  socket.on("data", (text) => received += text)
  for (const edge of ["error", "end", "close"]) socket.on(edge, () => isOver = true)
  return {
    ask: () => {
      const text = String(sent.length).padStart(8)
      sent += text
      socket.write(text)
    },
    isAnswered: () => received.length >= sent.length,
    isOver: () => isOver,
    isWrong: () => !sent.startsWith(received),
    end: () => socket.end(),
    drop: () => socket.resetAndDestroy()
  }
}

/** Where it happens. */
interface World {
  readonly host: SessionLayer["Service"]
  /** The application whose worker it is. */
  readonly app: string
  readonly seed: number
  readonly memories: Memories
  readonly dial: () => Echo
  readonly connect: Effect.Effect<Echo, unknown, Scope.Scope>
  readonly within: number
  /** Milliseconds between two looks at what has become of a value, and what lets them pass. */
  readonly step: number
  readonly pass: (millis: number) => Effect.Effect<void>
  readonly tallies: Tallies
  /** Values to write in all, and the most that are written at a time, a power of two. */
  readonly values: number
  readonly burst: number
}

/** Writes values, and returns what went wrong. */
const scribble = Effect.fnUntraced(
  function*({ app, burst, connect, dial, host, memories, pass, seed, step, tallies, values, within }: World) {
    const random = Random.make(seed)
    const wrong: Array<string> = []
    const worker = Effect.map(host.report, ({ apps }) => apps.find(({ name }) => name === app)!.workers[0]!)
    const doubtful = new WeakSet<Echo>()
    let kept: Echo | undefined
    let cutThrough: Echo | undefined
    let written = 0
    for (let round = 0; written < values; round++) {
      kept = kept?.isOver() === false ? kept : dial()
      if (cutThrough?.isOver() !== false) cutThrough = yield* connect
      const { restarts } = yield* worker
      // some of it is under way when the words are written
      const isBefore = random(2) === 0
      const fresh = isBefore ? dial() : undefined
      if (isBefore) { for (const echo of [kept, cutThrough, fresh!]) if (random(2) === 0) echo.ask() }
      for (let turns = random(4); turns > 0; turns--) yield* random(2) === 0 ? turn : Effect.yieldNow
      const names: Array<string> = []
      for (let left = 2 ** random(1 + Math.log2(burst)); left > 0; left--) {
        const word = memories.pick(app, 0, random)
        const value = valueFor(word, random)
        names.push(`${word.name}, word ${word.at}: ${word.words[word.at]} → ${value}`)
        word.words[word.at] = value
        tallies.of(word.name).written++
        written++
        // where bytes are is what each side says itself: what is possible is believed
        if (word.name.endsWith("line")) { for (const echo of [kept, cutThrough, fresh]) if (echo) doubtful.add(echo) }
      }
      const said = `round ${round}: ${names.join("; ")}`
      const tally = tallies.of(names.at(-1)!.split(",")[0]!)
      const last = fresh ?? dial()
      const echoes = [kept, cutThrough, last]
      for (let turns = random(3); turns > 0; turns--) yield* turn
      for (const echo of echoes) echo.ask()

      const begin = yield* Clock.currentTimeMillis
      for (;;) {
        yield* pass(0)
        const millis = (yield* Clock.currentTimeMillis) - begin
        const { lastFailure, restarts: now, state } = yield* worker
        if (now > restarts || state !== "RUNNING") {
          tally.givenUp++
          tally.longestGivenUp = Math.max(tally.longestGivenUp, millis)
          break
        }
        if (echoes.every((echo) => echo.isAnswered() || echo.isOver())) {
          if (echoes.some((echo) => echo.isOver())) tally.broken++
          else tally.served++
          tally.longestServed = Math.max(tally.longestServed, millis)
          break
        }
        if (millis >= within) {
          const states = echoes.map((echo) => [echo.isAnswered(), echo.isOver()].join())
          wrong.push(`${said}: ${state} and serves nobody: ${states.join(" | ")} ${lastFailure}`)
          break
        }
        yield* pass(step)
      }
      for (const echo of echoes) {
        if (!echo.isWrong()) continue
        if (doubtful.has(echo)) tally.wrong++
        else wrong.push(`${said}: wrong bytes`)
        echo.drop()
        yield* pass(0)
      }
      last.end()
      while ((yield* worker).state !== "RUNNING") {
        yield* pass(10)
        yield* turn
      }
    }
    return wrong
  }
)

/** Connects from an application of its own, so that a session with it is cut-through. */
const connecting = (host: SessionLayer["Service"], name: string, uri: string) => {
  const client = new Actor()
  return Effect.map(
    host.attach(optionsOf({ name, listen: [], scope: { local: true } }), client.module),
    () => Effect.map(client.run().sessions.connect(uri), overSession)
  )
}

const SEED = Number(process.env.SLUICE_TEST_SEED ?? 1)

/** Nothing went wrong; what became of the values is told, where somebody asks. */
const assertRight = (wrong: ReadonlyArray<string>, tallies: Tallies): void => {
  if (process.env.SLUICE_TEST_TABLE !== undefined) console.log(String(tallies))
  assert.deepStrictEqual(wrong, [])
}

/** Echoes, and parks the session between two messages (X1), every other time with something that is given along. */
const parking = (session: Session): void => {
  echoing(session)
  const echo = session.handler
  let messages = 0
  session.handler = {
    ...echo,
    readable: (session) => {
      echo?.readable?.(session)
      session.park(messages++ % 2 === 0 ? undefined : Buffer.from("given along"))
    }
  }
}

/** A worker that echoes, on the host's loop. */
const inProcess = inMemory(new Actor({ accept: parking }))

/** The block of the only session, which is on offer and which the worker has not seen yet. */
const offered = Effect.fnUntraced(function*(memories: Memories) {
  let words = memories.lastBlock("app", 0)
  for (let tries = 0; words === undefined && tries < 100; tries++) {
    yield* Effect.promise(() => Promise.resolve())
    words = memories.lastBlock("app", 0)
  }
  assert.strictEqual(words?.[32], SessionBlock.OFFERED)
  return words!
})

/** The word of `accepted` that says what kind of session it is, behind the message's own kind and two handles. */
const KIND = 5

describe("memory that is written over", () => {
  it.effect("W1 M9 what kind of session is on offer is not in its block, whose other words may say anything", () =>
    Effect.gen(function*() {
      const { host, memories, network } = yield* inProcess
      const { restarts } = (yield* host.report).apps[0]!.workers[0]!
      for (const value of [0, 1, -1, 1582633033, 1582633034, 1582633036, 2 ** 31 - 1]) {
        const peer = network.dial(endpoint)
        const words = yield* offered(memories)
        words.fill(value, 50)
        peer.send("hello")
        yield* settled
        assert.strictEqual(peer.received().toString(), "hello", `with ${value}`)
        peer.reset()
        yield* settled
      }
      assert.strictEqual((yield* host.report).apps[0]!.workers[0]!.restarts, restarts)
    }).pipe(Effect.scoped, quiet))

  it.effect("W1 M9 a worker that would wait for a socket of a connection that does not move is given up", () =>
    Effect.gen(function*() {
      const { host, memories, network } = yield* inProcess
      for (const kind of [Message.MOVES, Message.IN_TLS, Message.MOVES | Message.IN_TLS]) {
        const { restarts } = (yield* host.report).apps[0]!.workers[0]!
        const slots = memories.controlSlots("app", 0)
        const before = slots.map((words) => words.slice())
        const peer = network.dial(endpoint)
        yield* offered(memories)
        const slot = slots.findIndex((words, at) => words.some((word, i) => word !== before[at]![i]))
        slots[slot]![1 + KIND]! ^= kind
        yield* TestClock.adjust(WITHIN)
        yield* settled
        const { lastFailure, restarts: after } = (yield* host.report).apps[0]!.workers[0]!
        assert.strictEqual(after, restarts + 1, `with ${kind}`)
        assert.match(String(lastFailure), /corrupt/)
        peer.reset()
        yield* settled
      }
    }).pipe(Effect.scoped, quiet))

  it.effect(
    `W1 M9 ${VALUES} random values, in any word that a worker may write: served on, or given up within 2 s`,
    () =>
      Effect.gen(function*() {
        const { host, memories, network } = yield* inProcess
        const tallies = new Tallies()
        const wrong = yield* scribble({
          host,
          app: "app",
          seed: SEED,
          tallies,
          memories,
          dial: () => overPeer(network.dial(endpoint)),
          connect: yield* connecting(host, "client", service),
          step: 100,
          pass: (millis) => Effect.andThen(TestClock.adjust(millis), settled),
          values: VALUES,
          burst: 1,
          within: WITHIN
        })
        assertRight(wrong, tallies)
      }).pipe(Effect.scoped, quiet),
    3_600_000
  )

  it.live(
    `W1 M9 ${THREAD_VALUES} random values, up to ${BURST} at a time, while the worker's thread reads and writes: the same`,
    () =>
      Effect.gen(function*() {
        const memories = new Memories()
        const services = yield* Layer.build(Layer.provide(Host.layerStack, WorkerStack.layer(memories.layers)))
        const host = Context.get(services, SessionLayer)
        const tallies = new Tallies()
        const wrong = yield* Effect.forEach(
          Array.from({ length: LANES }, (_, lane) => lane),
          Effect.fnUntraced(function*(lane) {
            const app = `app${lane}`
            const uri = `${service}${lane}`
            yield* host.attach(
              { ...options, name: app, workers: 1, listen: ["tcp://127.0.0.1:0", uri] },
              AppWorker.fromUrl(new URL("../../fixtures/echo.ts", import.meta.url))
            )
            const { listeners } = (yield* host.report).apps.find(({ name }) => name === app)!
            const { endpoint } = listeners.find(({ endpoint }) => endpoint.startsWith("tcp"))!
            const port = Number(endpoint.split(":").at(-1))
            return yield* scribble({
              host,
              app,
              seed: SEED * LANES + lane,
              tallies,
              memories,
              dial: () => overSocket(port),
              connect: yield* connecting(host, `client${lane}`, uri),
              step: 5,
              pass: (millis) => millis === 0 ? turn : Effect.sleep(millis),
              values: THREAD_VALUES / LANES,
              burst: BURST,
              within: WITHIN_BUSY
            })
          }),
          { concurrency: LANES }
        )
        assertRight(wrong.flat(), tallies)
      }).pipe(Effect.scoped, quiet),
    3_600_000
  )
})
