/**
 * What a worker may say of a session depends on its kind: every kind is tried with every word. A word that does not fit
 * costs the worker its life, and one that comes at a bad time costs nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as Message from "../../../src/domain/memory/Message.ts"
import * as SocketOption from "../../../src/domain/net/SocketOption.ts"
import type * as Handle from "../../../src/domain/state/Handle.ts"
import type { SessionLayer } from "../../../src/services/SessionLayer.ts"
import type { MovableConnection } from "../../../src/services/Transport.ts"
import * as MovingHost from "../../support/MovingHost.ts"
import type * as RawWorker from "../../support/RawWorker.ts"
import { attachRaw, endpoint, scenario, type Stage } from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

const remote = "tcp://10.0.0.1:443"
const service = "local://service"

/** A session that is open, and its worker. */
interface Open {
  readonly host: SessionLayer["Service"]
  readonly app: string
  readonly raw: RawWorker.RawWorker
  readonly session: Handle.SessionHandle
}

const accepted = Effect.fnUntraced(function*(stage: Stage) {
  const { raws: [raw] } = yield* attachRaw(stage)
  const peer = yield* stage.dial()
  const [offer] = raw!.all("accepted")
  raw!.claim(offer!)
  yield* until("the claim", () => peer.opened)
  return { host: stage.host, app: "app", raw: raw!, session: offer!.session }
})

const connected = Effect.fnUntraced(function*(stage: Stage) {
  const { raws: [raw] } = yield* attachRaw(stage, { listen: [] })
  stage.network.listen(remote, () => {})
  raw!.send({ _tag: "connect", request: 1, endpoint: remote, source: "", timeout: 0 })
  yield* until("the session", () => raw!.all("connected").length === 1)
  return { host: stage.host, app: "app", raw: raw!, session: raw!.all("connected")[0]!.session }
})

const cutThrough = (side: "client" | "server") =>
  Effect.fnUntraced(function*(stage: Stage) {
    const scope = { local: true, global: false }
    const { raws: [server] } = yield* attachRaw(stage, { name: "server", scope, listen: [service] })
    const { raws: [client] } = yield* attachRaw(stage, { name: "client", scope, listen: [] })
    client!.send({ _tag: "connect", request: 1, endpoint: service, source: "", timeout: 0 })
    yield* until("the offer", () => server!.all("cutThroughAccepted").length === 1)
    const [offer] = server!.all("cutThroughAccepted")
    server!.claim({ ...offer!, offset: 0 })
    yield* until("the session", () => client!.all("cutThroughConnected").length === 1)
    return side === "server"
      ? { host: stage.host, app: side, raw: server!, session: offer!.session }
      : { host: stage.host, app: side, raw: client!, session: client!.all("cutThroughConnected")[0]!.session }
  })

/** A connection that moves nowhere: what is made of it is what counts. */
const movable = (inTls: boolean): MovableConnection => {
  let socket: Net.Socket | undefined = new Net.Socket()
  return {
    _tag: "Movable",
    remote: "tcp://10.0.0.2:1000",
    local: endpoint,
    mapped: false,
    about: undefined,
    onGone: undefined,
    inTls,
    take: () => {
      const taken = socket
      socket = undefined
      return taken && { posted: taken, take: () => taken, isHere: false, destroy: () => taken.destroy() }
    },
    comeBack: () => false,
    close: () => socket?.destroy(),
    abort: () => {
      socket?.destroy()
      socket = undefined
    }
  }
}

/** On a host of its own, over a transport whose connections move. */
const moved = (inTls: boolean) =>
  Effect.fnUntraced(function*() {
    const { host, raw, serve } = yield* MovingHost.make(movable(inTls))
    return { host, app: "app", raw, session: yield* serve }
  })

type Kind = "accepted" | "connected" | "transfer" | "transfer in TLS" | "cut-through server" | "cut-through client"

type Word =
  | "gone"
  | "gone for a reason that there isn't"
  | "insecure"
  | "refused"
  | "claimed"
  | "passed"
  | "parked"
  | "release"
  | "joined with itself"
  | "Tx, Drained, an option and end"

const say: Record<Word, (open: Open) => void> = {
  gone: ({ raw, session }) => raw.sendIo(Message.Gone, session),
  "gone for a reason that there isn't": ({ raw, session }) => raw.sendIo(Message.Gone, session, 99),
  insecure: ({ raw, session }) => raw.send({ _tag: "insecure", session, reason: "tls-failed" }),
  refused: ({ raw, session }) => raw.send({ _tag: "refused", session, detail: "no" }),
  claimed: ({ raw, session }) => raw.sendIo(Message.Claimed, session),
  passed: ({ raw, session }) => raw.sendIo(Message.Passed, session),
  parked: ({ raw, session }) => raw.sendIo(Message.Parked, session),
  release: ({ raw, session }) => raw.send({ _tag: "release", session }),
  "joined with itself": ({ raw, session }) => raw.send({ _tag: "splice", session, other: session }),
  "Tx, Drained, an option and end": ({ raw, session }) => {
    raw.sendIo(Message.Tx, session)
    raw.sendIo(Message.Drained, session)
    // what the system has no use for is the system's to refuse
    const most = 2 ** 32 - 1
    for (const option of SocketOption.names) {
      raw.send({ _tag: "socketOption", session, option, value: most, delay: most, interval: most, count: most })
    }
    raw.send({ _tag: "end", session })
  }
}

const GIVEN_NONE = /gave up session \d\.0, which it does not have/
const UNKNOWN = /ended session \d\.0 for a reason that there is not: 99/
const NO_HANDSHAKE = /a handshake failed in a session that has none/
const NOT_ON_OFFER = /claimed a session that was not on offer to it/
const NOT_REFUSABLE = /refused a session that was not on offer to it/
const OWN = /claimed a session that it had asked for itself/
const OPEN = /released session \d\.0 while it was open/
const NOT_BACK = /said that it gave session \d\.0 back, and it has not/
const ITSELF = /joined session \d\.0 with itself/

/** What comes of a word: a fault, the session's end, or nothing. */
type Fate = RegExp | "its end" | "nothing"

const always = {
  passed: "nothing",
  // of one that is not, it means nothing
  parked: "nothing",
  release: OPEN,
  "joined with itself": ITSELF,
  "gone for a reason that there isn't": UNKNOWN,
  "Tx, Drained, an option and end": "nothing"
} as const

const fates: Record<Kind, Record<Word, Fate>> = {
  accepted: { ...always, gone: GIVEN_NONE, insecure: NO_HANDSHAKE, refused: NOT_REFUSABLE, claimed: NOT_ON_OFFER },
  connected: { ...always, gone: GIVEN_NONE, insecure: NO_HANDSHAKE, refused: NOT_REFUSABLE, claimed: OWN },
  transfer: {
    ...always,
    parked: NOT_BACK,
    gone: "its end",
    insecure: NO_HANDSHAKE,
    refused: NOT_REFUSABLE,
    claimed: NOT_ON_OFFER
  },
  "transfer in TLS": {
    ...always,
    parked: NOT_BACK,
    gone: "its end",
    insecure: "nothing",
    refused: "nothing",
    claimed: NOT_ON_OFFER
  },
  "cut-through server": {
    ...always,
    gone: GIVEN_NONE,
    insecure: NO_HANDSHAKE,
    refused: NOT_REFUSABLE,
    claimed: NOT_ON_OFFER
  },
  "cut-through client": { ...always, gone: GIVEN_NONE, insecure: NO_HANDSHAKE, refused: NOT_REFUSABLE, claimed: OWN }
}

const attempt = Effect.fnUntraced(function*(open: Open, word: Word, fate: Fate) {
  const worker = Effect.map(open.host.report, ({ apps }) => apps.find(({ name }) => name === open.app)!.workers[0]!)
  say[word](open)
  yield* settled
  const { lastFailure, sessions, state } = yield* worker
  if (fate instanceof RegExp) {
    assert.match(lastFailure ?? "", fate)
    assert.strictEqual(state, "BACKOFF")
  } else {
    assert.isNull(lastFailure)
    assert.deepStrictEqual({ state, sessions }, { state: "RUNNING", sessions: fate === "nothing" ? 1 : 0 })
  }
  assert.deepStrictEqual((yield* open.host.report).imbalances, [])
})

const title = (word: Word, fate: Fate): string =>
  `${word}: ${typeof fate === "string" ? fate : "the worker is given up"}`

const words = Object.keys(say) as ReadonlyArray<Word>

const onStage: ReadonlyArray<readonly [Kind, (stage: Stage) => Effect.Effect<Open, unknown, Scope.Scope>]> = [
  ["accepted", accepted],
  ["connected", connected],
  ["cut-through server", cutThrough("server")],
  ["cut-through client", cutThrough("client")]
]

for (const [kind, open] of onStage) {
  describe(`a session that is ${kind}`, () => {
    for (const word of words) {
      const fate = fates[kind][word]
      scenario(title(word, fate), (stage) => Effect.flatMap(open(stage), (session) => attempt(session, word, fate)))
    }
  })
}

for (const [kind, open] of [["transfer", moved(false)], ["transfer in TLS", moved(true)]] as const) {
  describe(`a session whose connection has moved, of kind ${kind}`, () => {
    for (const word of words) {
      const fate = fates[kind][word]
      it.effect(
        title(word, fate),
        () => Effect.scoped(Effect.flatMap(open(), (session) => attempt(session, word, fate)))
      )
    }

    it.effect("its TLS fails once and no more", () =>
      Effect.gen(function*() {
        const session = yield* open()
        say.insecure(session)
        say.insecure(session)
        yield* settled
        const { apps: [app] } = yield* session.host.report
        assert.match(app!.workers[0]!.lastFailure ?? "", NO_HANDSHAKE)
        assert.strictEqual(app!.listeners[0]!.arrivals.refused["tls-failed"], kind === "transfer" ? 0 : 1)
      }).pipe(Effect.scoped))

    it.effect("it is refused after its handshake, once and no more", () =>
      Effect.gen(function*() {
        const session = yield* open()
        say.refused(session)
        say.refused(session)
        yield* settled
        const { apps: [app], imbalances } = yield* session.host.report
        const times = kind === "transfer" ? 0 : 1
        assert.match(app!.workers[0]!.lastFailure ?? "", NOT_REFUSABLE)
        assert.strictEqual(app!.listeners[0]!.arrivals.refused["app-refused"], times)
        assert.deepInclude(app!.workers[0]!.offers, { offered: 1, claimed: 1 - times, refused: times })
        assert.deepStrictEqual(imbalances, [])
      }).pipe(Effect.scoped))
  })
}
