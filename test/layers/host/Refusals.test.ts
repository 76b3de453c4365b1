/** Sessions that an application refuses when it is offered them (W16). */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import * as Host from "../../../src/layers/Host.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import { type ListenOptions, type Session, type SessionOffer, type WorkerInfo } from "../../../src/services/Sessions.ts"
import { SENTENCE } from "../../fixtures/refusing.ts"
import * as Pem from "../../support/Pem.ts"
import {
  accepting,
  Actor,
  assertNothingLeft,
  attachRaw,
  endpoint,
  handleOf,
  scenario,
  type Stage
} from "../../support/Stage.ts"
import * as TcpClient from "../../support/TcpClient.ts"
import { TlsClient } from "../../support/Tls.ts"
import * as UdpPeer from "../../support/UdpPeer.ts"
import { settled, until } from "../../support/until.ts"

const service = "local://service"
const tls = { certificates: [Pem.pair("chain")], listen: ["tls://127.0.0.1:0"] }
const local = { scope: { local: true } } as const

/** An application that listens with this, and the offers that it was asked about. */
const asked = (refuse: NonNullable<ListenOptions["refuse"]>) => {
  const offers: Array<SessionOffer> = []
  const actor = new Actor({
    start: (run) =>
      Effect.forEach(run.sessions.endpoints, (uri) =>
        run.sessions.listen(uri, accepting(run), {
          refuse: (offer) => {
            offers.push(offer)
            return refuse(offer)
          }
        }), { discard: true })
  })
  return { actor, offers }
}

/** Why a connect fails. */
const failure = (client: Actor, uri = service) =>
  Effect.map(Effect.flip(client.run().sessions.connect(uri)), ({ reason }) => reason)

const connecting = Effect.fnUntraced(function*(stage: Stage) {
  const client = new Actor()
  yield* stage.attach(client, { name: "client", listen: [], ...local })
  return client
})

describe("an application that refuses a session", () => {
  scenario(
    "W16 M14 the connection is reset, counted and offered to nobody else, and what comes next is served",
    (stage) =>
      Effect.gen(function*() {
        const { actor, offers } = asked(() => offers.length % 2 === 1)
        yield* stage.attach(actor, { workers: 3 })
        for (let at = 0; at < 6; at++) {
          const peer = yield* stage.dial()
          yield* until("an answer", () => peer.opened || peer.closed)
          assert.strictEqual(peer.opened, at % 2 === 1)
          if (at % 2 === 0) assert.isDefined(peer.reset)
        }
        // each was asked about once: three workers, and none of them was offered what another had refused
        assert.strictEqual(offers.length, 6)
        assert.deepInclude(offers[0], { local: endpoint, cutThrough: false, datagrams: false })
        const { apps: [app], imbalances, ledger } = yield* stage.report
        assert.deepInclude(ledger.offers, {
          offered: 6,
          claimed: 3,
          refused: 3,
          revoked: 0,
          withdrawn: 0,
          pending: 0,
          moved: 0
        })
        assert.deepInclude(ledger.arrivals, { arrived: 6, claimed: 3, withdrawn: 0, held: 0, offered: 0 })
        assert.strictEqual(ledger.arrivals.refused["app-refused"], 3)
        assert.strictEqual(app!.listeners[0]!.sessions, 3)
        assert.deepStrictEqual(imbalances, [])
      })
  )

  scenario("W16 takes no place in a limit: what is held gets it", (stage) =>
    Effect.gen(function*() {
      const { actor, offers } = asked(() => offers.length === 1)
      yield* stage.attach(actor, { admission: { maxSessionsPerWorker: 1 } })
      stage.script().block()
      const first = yield* stage.dial()
      const second = yield* stage.dial()
      assert.strictEqual((yield* stage.listener).arrivals.held, 1)
      stage.script().release()
      yield* until("the second", () => second.opened)
      assert.isTrue(first.closed)
    }))

  scenario(
    "W16 a local connect fails with its sentence, and no memory of it is left",
    (stage) =>
      Effect.gen(function*() {
        const answers: Array<string | boolean> = ["no thanks", true, "", "\u00e9".repeat(300)]
        const { actor, offers } = asked(() => answers[offers.length - 1])
        yield* stage.attach(actor, { name: "server", listen: [service], workers: 2, ...local })
        const client = yield* connecting(stage)
        const refused = (detail: string) => ({ _tag: "Refused", why: "app-refused", detail } as const)
        const own = `the application at ${service} refuses it`
        for (const detail of ["no thanks", own, own, "\u00e9".repeat(112)]) {
          assert.deepStrictEqual(yield* failure(client), refused(detail))
        }
        const session = yield* client.run().sessions.connect(service)
        assert.isTrue(session.cutThrough)
        assert.deepInclude(offers[0], { local: service, remote: "local://app1.worker0", cutThrough: true })
        assert.strictEqual(offers.length, 5)
        assert.strictEqual((yield* stage.host.locals).sessions.length, 1)
        assert.deepInclude((yield* stage.report).ledger.offers, { offered: 5, claimed: 1, refused: 4 })
      })
  )

  scenario(
    "W16 one whose answer is an error refuses, and says in the log what it was",
    (stage) =>
      Effect.gen(function*() {
        const { actor } = asked(() => {
          throw new Error("a bug")
        })
        yield* stage.attach(actor)
        const peer = yield* stage.dial()
        yield* until("an end", () => peer.closed)
        assert.strictEqual((yield* stage.listener).arrivals.refused["app-refused"], 1)
        assert.strictEqual((yield* stage.worker()).state, "RUNNING")
      })
  )

  scenario(
    "W16 its word may come after the worker has left the listener: the peer is reset all the same",
    (stage) =>
      Effect.gen(function*() {
        const { raws: [raw] } = yield* attachRaw(stage)
        const peer = yield* stage.dial()
        yield* until("the offer", () => raw!.all("accepted").length === 1)
        const [offer] = raw!.all("accepted")
        // claimed, as the block says; the host has not been told when the listener goes
        raw!.take(offer!)
        yield* stage.host.unlisten(handleOf((yield* stage.listener).handle))
        raw!.send({ _tag: "refused", session: offer!.session, detail: "no" })
        yield* until("an end", () => peer.closed)
        yield* settled
        const { lastFailure, offers, sessions } = yield* stage.worker()
        assert.deepStrictEqual([lastFailure, sessions], [null, 0])
        assert.deepInclude(offers, { offered: 1, claimed: 0, refused: 1 })
      })
  )

  scenario(
    "W16 a session that was not on offer can't be refused: the worker is given up",
    (stage) =>
      Effect.gen(function*() {
        const { raws: [raw] } = yield* attachRaw(stage)
        yield* stage.dial()
        yield* until("the offer", () => raw!.all("accepted").length === 1)
        const [offer] = raw!.all("accepted")
        raw!.claim(offer!)
        yield* settled
        raw!.send({ _tag: "refused", session: offer!.session, detail: "no" })
        yield* settled
        assert.match((yield* stage.worker()).lastFailure ?? "", /refused a session that was not on offer to it/)
      })
  )
})

describe("an application that aborts a session of TLS in the worker", () => {
  const abort = (session: Session): void => session.abort()
  const cases = [
    ["as it gets it", abort],
    ["as it hears of bytes", (session: Session) => void (session.handler = { readable: abort })]
  ] as const
  for (const [when, accept] of cases) {
    it.live(`${when}: the peer is reset, and the process lives`, () =>
      Effect.gen(function*() {
        const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
        const actor = new Actor({ accept })
        const worker = { kind: "in-process" } as const
        yield* host.attach({ name: "app", workers: 1, worker, ...tls, listener: { tlsIn: "worker" } }, actor.module)
        const port = Number(new URL((yield* host.report).apps[0]!.listeners[0]!.endpoint).port)
        for (let at = 0; at < 3; at++) {
          const client = new TlsClient(port)
          client.socket.write("hello")
          yield* until("an end", () => client.closed)
          assert.strictEqual(client.error, "ECONNRESET")
        }
      }).pipe(Effect.scoped))
  }
})

const module = AppWorker.fromUrl(new URL("../../fixtures/refusing.ts", import.meta.url))

interface Case {
  readonly title: string
  readonly options: AppOptionsInput
}

const streams: ReadonlyArray<Case> = [
  { title: "TCP that the host has", options: { listen: ["tcp://127.0.0.1:0"] } },
  { title: "TCP that moves", options: { listen: ["tcp://127.0.0.1:0"], listener: { placement: "transfer" } } },
  { title: "TLS that ends in the host", options: { ...tls, listener: { alpn: ["no", "yes"] } } },
  { title: "TLS that ends in the worker", options: { ...tls, listener: { alpn: ["no", "yes"], tlsIn: "worker" } } }
]

/** A test on real sockets with one worker of this kind, at whose end nothing may be left. */
const onSockets = (
  title: string,
  options: AppOptionsInput,
  kind: WorkerInfo["kind"],
  body: (
    endpoint: string,
    host: SessionLayer["Service"]
  ) => Effect.Effect<void, unknown, Scope.Scope>
): void =>
  it.live(title, () =>
    Effect.gen(function*() {
      const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
      yield* Effect.gen(function*() {
        yield* host.attach({ name: "app", workers: 1, worker: { kind }, ...options }, module)
        const report = () => Effect.runSync(host.report)
        yield* body(report().apps[0]!.listeners[0]!.endpoint, host)
        yield* until("both to be counted", () => {
          const { arrivals, offers } = report().ledger
          return arrivals.refused["app-refused"] === 1 && arrivals.claimed === 1 && offers.refused === 1
        })
        assert.deepStrictEqual(report().imbalances, [])
      }).pipe(Effect.scoped)
      yield* assertNothingLeft({ host, network: { listening: [] } })
    }).pipe(Effect.scoped))

for (const kind of ["thread", "in-process"] as const) {
  describe(`refusals of a worker that is ${kind}`, () => {
    for (const { options, title } of streams) {
      onSockets(
        `W16 a peer over ${title} is reset, and the next one is served`,
        options,
        kind,
        (uri) =>
          Effect.gen(function*() {
            const port = Number(new URL(uri).port)
            if (uri.startsWith("tcp:")) {
              assert.strictEqual(yield* TcpClient.refusal(port), "ECONNRESET")
              assert.strictEqual(yield* TcpClient.echoed(yield* TcpClient.connect(port), "hello"), "hello")
              return
            }
            const refused = new TlsClient(port, { ALPNProtocols: ["no"] })
            yield* until("an end", () => refused.closed)
            assert.strictEqual(refused.error, "ECONNRESET")
            const served = new TlsClient(port, { ALPNProtocols: ["yes"] })
            served.socket.write("hello")
            yield* until("an answer", () => served.text === "hello")
            served.socket.destroy()
            served.below.destroy()
          })
      )
    }

    onSockets(
      "W16 a datagram of a refused peer is not read",
      // a worker that is slow to start would be asked about the same offer twice
      { listen: ["udp://127.0.0.1:0"], admission: { revokeAfter: 10_000 } },
      kind,
      (uri, host) =>
        Effect.gen(function*() {
          const one = yield* UdpPeer.make(uri)
          one.send("lost")
          const refused = () => Effect.runSync(host.report).ledger.arrivals.refused["app-refused"]
          yield* until("the refusal", () => refused() === 1)
          const other = yield* UdpPeer.make(uri)
          other.send("found")
          yield* until("an answer", () => other.received.length === 1)
          assert.strictEqual(one.received.length, 0)
        })
    )

    onSockets(
      "W16 a connect from another worker fails with the sentence",
      {
        listen: [service],
        ...local
      },
      kind,
      (uri, host) =>
        Effect.gen(function*() {
          const client = new Actor()
          yield* host.attach({ name: "client", workers: 1, worker: { kind: "in-process" }, ...local }, client.module)
          assert.deepStrictEqual(yield* failure(client, uri), { _tag: "Refused", why: "app-refused", detail: SENTENCE })
          yield* client.run().sessions.connect(uri)
        })
    )
  })
}
