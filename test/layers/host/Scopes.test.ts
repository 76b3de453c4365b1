/** Scopes, namespaces, proxies and session rules: who finds whom, and who may (W17, W18). */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import type { RuleInput } from "../../../src/domain/admission/SessionRule.ts"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import * as HostScripted from "../../../src/layers/testing/HostScripted.ts"
import type { Peer } from "../../../src/layers/testing/TransportMemory.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import * as SessionLayer from "../../../src/services/SessionLayer.ts"
import type { Session } from "../../../src/services/Sessions.ts"
import { Actor, assertNothingLeft, echoing, endpoint, scenario, type Stage } from "../../support/Stage.ts"
import { settled, until } from "../../support/until.ts"

const remote = "tcp://10.0.0.1:443"
const service = "local://service"

const only = {
  local: { scope: { local: true } },
  global: { scope: { global: true } },
  both: { scope: { local: true, global: true } }
} as const

const attach = Effect.fnUntraced(function*(stage: Stage, name: string, options: AppOptionsInput = {}) {
  const actor = new Actor()
  yield* stage.attach(actor, { name, listen: [], ...options })
  return actor
})

/** Who serves a connect: an application's name, "outside", or the reason why nobody does. */
const finds = Effect.fnUntraced(function*(actors: Readonly<Record<string, Actor>>, from: Actor, uri: string) {
  const counts = () => Object.entries(actors).map(([name, actor]) => [name, actor.run().accepted.length] as const)
  const before = new Map(counts())
  const exit = yield* Effect.exit(
    Effect.scoped(Effect.andThen(from.run().sessions.connect(uri), (session) => Effect.as(settled, session.cutThrough)))
  )
  yield* settled
  if (Exit.isFailure(exit)) return (yield* Effect.flip(exit)).reason._tag
  const served = counts().find(([name, count]) => count > before.get(name)!)?.[0]
  return served === undefined ? "outside" : exit.value ? served : `${served} over the network`
})

describe("scopes", () => {
  scenario("W17 local scope alone: the transport hears nothing of it", (stage) =>
    Effect.gen(function*() {
      stage.listens.hold()
      const server = yield* attach(stage, "server", { listen: [endpoint], ...only.local })
      assert.strictEqual(stage.listens.waiting(), 0)
      assert.deepStrictEqual(stage.network.listening, [])
      assert.isTrue((yield* stage.dial()).refused)
      const { listeners: [listener] } = yield* stage.app("server")
      assert.deepStrictEqual(listener!.scopes, ["local"])
      assert.deepStrictEqual((yield* stage.host.locals).listeners, [{
        namespace: "default",
        endpoint,
        app: "server",
        appIndex: 0,
        listener: listener!.handle
      }])
      // nor of its connects
      const client = yield* attach(stage, "client", only.local)
      stage.network.listen(remote, () => {})
      assert.strictEqual(yield* finds({ server }, client, remote), "ConnectionRefused")
      assert.strictEqual(yield* finds({ server }, client, endpoint), "server")
      assert.strictEqual(yield* finds({ server }, server, endpoint), "server")
    }))

  scenario("W17 global scope alone: local connects do not find it", (stage) =>
    Effect.gen(function*() {
      const server = yield* attach(stage, "server", { listen: [endpoint], ...only.global })
      assert.deepStrictEqual((yield* stage.host.locals).listeners, [])
      assert.deepStrictEqual((yield* stage.app("server")).listeners[0]!.scopes, ["global"])
      const client = yield* attach(stage, "client", only.local)
      assert.strictEqual(yield* finds({ server }, client, endpoint), "ConnectionRefused")
      assert.isTrue((yield* stage.dialOpen()).opened)
      // who connects globally does not find local ones either, and goes to the network
      const both = yield* attach(stage, "both", { listen: ["tcp://127.0.0.1:82"], ...only.both })
      const outside = yield* attach(stage, "outside", only.global)
      assert.strictEqual(yield* finds({ server, both }, outside, "local://service"), "OutOfScope")
      stage.network.listen(remote, () => {})
      assert.strictEqual(yield* finds({ server, both }, outside, remote), "outside")
    }))

  scenario("W17 nothing given is global scope", (stage) =>
    Effect.gen(function*() {
      yield* attach(stage, "server", { listen: [endpoint] })
      assert.deepStrictEqual((yield* stage.app("server")).scopes, ["global"])
      assert.deepStrictEqual(stage.network.listening, [endpoint])
      assert.deepStrictEqual((yield* stage.host.locals).listeners, [])
    }))

  scenario("W17 both: found in the local table first, and by the network", (stage) =>
    Effect.gen(function*() {
      const server = yield* attach(stage, "server", { listen: [endpoint], ...only.both })
      const client = yield* attach(stage, "client", only.both)
      assert.deepStrictEqual((yield* stage.app("server")).listeners[0]!.scopes, ["local", "global"])
      assert.strictEqual(yield* finds({ server }, client, endpoint), "server")
      assert.isTrue((yield* stage.dialOpen()).opened)
      // what is not there locally is looked for outside
      stage.network.listen(remote, () => {})
      assert.strictEqual(yield* finds({ server }, client, remote), "outside")
      assert.strictEqual(yield* finds({ server }, client, "tcp://10.0.0.2:443"), "ConnectionRefused")
      // a name of local scope is no transport's
      assert.strictEqual(yield* finds({ server }, client, service), "ConnectionRefused")
      // gone with its listener
      yield* stage.host.detach((yield* stage.host.find("server")).handle)
      assert.deepStrictEqual((yield* stage.host.locals).listeners, [])
      assert.strictEqual(yield* finds({}, client, endpoint), "ConnectionRefused")
    }))

  scenario("W17 port 0 in both scopes is found locally at the port that was given", (stage) =>
    Effect.gen(function*() {
      const server = yield* attach(stage, "server", { listen: ["tcp://127.0.0.1:0"], ...only.both })
      const client = yield* attach(stage, "client", only.local)
      const { listeners: [listener] } = yield* stage.app("server")
      assert.deepStrictEqual(stage.network.listening, [listener!.endpoint])
      assert.deepStrictEqual((yield* stage.host.locals).listeners.map(({ endpoint }) => endpoint), [listener!.endpoint])
      assert.strictEqual(yield* finds({ server }, client, listener!.endpoint), "server")
      yield* stage.host.detach((yield* stage.host.find("server")).handle)
      assert.deepStrictEqual((yield* stage.host.locals).listeners, [])
    }))

  scenario("W17 a local name is found by its very text, and is no host", (stage) =>
    Effect.gen(function*() {
      const server = yield* attach(stage, "server", { listen: [service], ...only.both })
      const client = yield* attach(stage, "client", only.local)
      assert.deepStrictEqual(stage.network.listening, [])
      assert.strictEqual(yield* finds({ server }, client, service), "server")
      assert.strictEqual(yield* finds({ server }, client, "local://services"), "ConnectionRefused")
    }))

  scenario(
    "W17 one that is being bound is not found yet, one that is being closed no more",
    (stage) =>
      Effect.gen(function*() {
        const server = yield* attach(stage, "server", only.both)
        const client = yield* attach(stage, "client", only.local)
        stage.listens.hold()
        const scope = yield* Scope.make()
        const run = server.run()
        const listening = yield* Effect.forkChild(
          Scope.provide(run.sessions.listen(endpoint, (session) => void run.accepted.push(session)), scope)
        )
        yield* settled
        assert.strictEqual(yield* finds({ server }, client, endpoint), "ConnectionRefused")
        stage.listens.answer()
        yield* Fiber.join(listening)
        assert.strictEqual(yield* finds({ server }, client, endpoint), "server")
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(yield* finds({ server }, client, endpoint), "ConnectionRefused")
      })
  )
})

describe("the order in which a local connect looks", () => {
  scenario(
    "W17 W18 the very endpoint, any address, a proxy of any port, the transport",
    (stage) =>
      Effect.gen(function*() {
        const { host } = stage
        const uri = "tcp://127.0.0.1:80"
        stage.network.listen(uri, () => {})
        const client = yield* attach(stage, "client", only.both)
        const actors: Record<string, Actor> = {}
        const detach = (name: string) => Effect.flatMap(host.find(name), ({ handle }) => host.detach(handle))
        // the last to be looked at comes first
        const expected = ["outside"]
        assert.strictEqual(yield* finds(actors, client, uri), "outside")
        for (
          const [name, options] of [
            ["proxy", { proxiedTransports: ["tcp"] }],
            ["any6", { listen: ["tcp://[::]:80"] }],
            ["any4", { listen: ["tcp://0.0.0.0:80"] }],
            ["exact", { listen: [uri] }]
          ] as const
        ) {
          actors[name] = yield* attach(stage, name, { ...only.local, ...options })
          expected.push(name)
          assert.strictEqual(yield* finds(actors, client, uri), name)
        }
        for (const name of ["exact", "any4", "any6", "proxy"]) {
          assert.strictEqual(yield* finds(actors, client, uri), expected.pop())
          yield* detach(name)
          delete actors[name]
        }
        assert.strictEqual(yield* finds(actors, client, uri), "outside")
      })
  )

  scenario(
    "W17 any address is any of its family, [::] is both, and only at its port",
    (stage) =>
      Effect.gen(function*() {
        const four = yield* attach(stage, "four", { listen: ["tcp://0.0.0.0:80"], ...only.local })
        const six = yield* attach(stage, "six", { listen: ["tcp://[::]:81"], ...only.local })
        const client = yield* attach(stage, "client", only.local)
        for (
          const [uri, name] of [
            ["tcp://10.1.2.3:80", "four"],
            ["tcp://[::1]:80", "ConnectionRefused"],
            ["tcp://10.1.2.3:81", "six"],
            ["tcp://[2001:db8::1]:81", "six"],
            ["tcp://10.1.2.3:82", "ConnectionRefused"],
            ["tcp://localhost:80", "four"]
          ] as const
        ) assert.strictEqual(yield* finds({ four, six }, client, uri), name, uri)
      })
  )
})

describe("namespaces", () => {
  scenario("W17 what is local is so within its namespace", (stage) =>
    Effect.gen(function*() {
      yield* stage.namespaces.add({ name: "blue" })
      yield* stage.namespaces.add({ name: "red", secret: "sesame" })
      const names = ["default", "blue", "red"] as const
      const actors: Record<string, Actor> = {}
      for (const namespace of names) {
        const options = { namespace, ...(namespace === "red" && { secret: "sesame" }), ...only.local }
        actors[namespace] = yield* attach(stage, namespace, {
          ...options,
          listen: namespace === "red" ? [] : [service, endpoint]
        })
        const client = yield* attach(stage, `${namespace} client`, options)
        for (const uri of [service, endpoint]) {
          const found = namespace === "red" ? "ConnectionRefused" : namespace
          assert.strictEqual(yield* finds(actors, client, uri), found, `${uri} in ${namespace}`)
        }
      }
      assert.deepStrictEqual(
        (yield* stage.host.locals).listeners.map(({ app, endpoint, namespace }) => [namespace, endpoint, app]),
        [["default", service, "default"], ["default", endpoint, "default"], ["blue", service, "blue"], [
          "blue",
          endpoint,
          "blue"
        ]]
      )
    }))

  scenario(
    "W16 W17 one local name, or one proxy, in each of two namespaces, whatever else their scopes are",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.namespaces.add({ name: "blue" })
        const options = { listen: [service], proxiedTransports: ["tcp"], ...only.both } as const
        const first = yield* attach(stage, "first", options)
        const second = yield* attach(stage, "second", { ...options, namespace: "blue" })
        const client = yield* attach(stage, "client", { namespace: "blue", ...only.both })
        assert.strictEqual(yield* finds({ first, second }, client, service), "second")
        assert.strictEqual(yield* finds({ first, second }, client, remote), "second")
        // but the network is one for all
        const run = first.run()
        yield* run.sessions.listen(endpoint, () => {})
        const taken = yield* Effect.flip(second.run().sessions.listen(endpoint, () => {}))
        assert.strictEqual(taken.reason._tag, "AlreadyListening")
      })
  )
})

describe("proxies", () => {
  const proxied = { proxiedTransports: ["tcp"] } as const
  const wildcards = ["tcp://0.0.0.0:*", "tcp://[::]:*"]

  scenario(
    "W18 listen on every port of each family, in local scope, from their attach to their detach",
    (stage) =>
      Effect.gen(function*() {
        const actor = new Actor()
        const { handle } = yield* stage.attach(actor, { name: "proxy", listen: [], ...only.both, ...proxied })
        assert.deepStrictEqual(actor.run().sessions.endpoints, wildcards)
        const { listeners } = yield* stage.host.locals
        assert.deepStrictEqual(
          listeners.map(({ app, endpoint }) => [app, endpoint]),
          wildcards.map((uri) => ["proxy", uri])
        )
        assert.deepStrictEqual(stage.network.listening, [])
        const client = yield* attach(stage, "client", only.local)
        for (const uri of [remote, "tcp://[2001:db8::1]:22", "tcp://example.com:80"]) {
          assert.strictEqual(yield* finds({ proxy: actor }, client, uri), "proxy")
          // it is told where the client wanted to go
          assert.strictEqual(actor.run().accepted.at(-1)!.local, uri)
        }
        assert.strictEqual(yield* finds({ proxy: actor }, client, service), "ConnectionRefused")
        yield* stage.host.detach(handle)
        assert.deepStrictEqual((yield* stage.host.locals).listeners, [])
        assert.strictEqual(yield* finds({}, client, remote), "ConnectionRefused")
      })
  )

  scenario(
    "W18 never find a listener of their own: what they connect to is elsewhere",
    (stage) =>
      Effect.gen(function*() {
        const proxy = yield* attach(stage, "proxy", {
          listen: [endpoint, service],
          workers: 2,
          ...only.both,
          ...proxied
        })
        stage.network.listen(remote, () => {})
        assert.strictEqual(yield* finds({ proxy }, proxy, remote), "outside")
        assert.strictEqual(yield* finds({ proxy }, proxy, endpoint), "ConnectionRefused")
        assert.strictEqual(yield* finds({ proxy }, proxy, service), "ConnectionRefused")
        // but others', which it is there for
        const server = yield* attach(stage, "server", { listen: ["tcp://127.0.0.1:81"], ...only.local })
        assert.strictEqual(yield* finds({ proxy, server }, proxy, "tcp://127.0.0.1:81"), "server")
        // and an application that is no proxy does find its own
        assert.strictEqual(yield* finds({ proxy, server }, server, "tcp://127.0.0.1:81"), "server")
      })
  )

  scenario(
    "W18 join two sessions: a client of the local scope reaches the network through one",
    (stage) =>
      Effect.gen(function*() {
        const upstream: Array<Peer> = []
        stage.network.listen(remote, (peer) => upstream.push(peer))
        const pass = (from: Session, to: Session): void => {
          const bytes = from.read()
          if (bytes !== undefined) to.write(bytes)
        }
        const proxy = new Actor({
          start: (run) =>
            Effect.gen(function*() {
              const scope = yield* Effect.scope
              for (const uri of run.sessions.endpoints) {
                yield* run.sessions.listen(uri, (session) => {
                  Effect.runFork(Effect.map(Scope.provide(run.sessions.connect(session.local), scope), (other) => {
                    session.handler = { readable: () => pass(session, other), ended: () => other.end() }
                    other.handler = { readable: () => pass(other, session), ended: () => session.end() }
                    pass(session, other)
                  }))
                })
              }
            })
        })
        yield* stage.attach(proxy, { name: "proxy", listen: [], ...only.both, ...proxied })
        const client = yield* attach(stage, "client", only.local)
        const session = yield* client.run().sessions.connect(remote)
        session.write(Buffer.from("hello"))
        yield* until("bytes", () => upstream[0]?.received().toString() === "hello")
        upstream[0]!.send("welcome")
        yield* until("bytes", () => session.available === 7)
        session.end()
        yield* until("the end", () => upstream[0]!.ended)
      })
  )

  scenario(
    "W18 the only one in a namespace has the endpoint: a second one is told AddressInUse, and not attached",
    (stage) =>
      Effect.gen(function*() {
        yield* attach(stage, "first", { ...only.local, ...proxied })
        const error = yield* Effect.flip(
          stage.attach(new Actor(), { name: "second", listen: [], ...only.local, ...proxied })
        )
        assert.strictEqual(error.reason._tag, "WorkerFailed")
        assert.match(error.message, /application first listens on tcp:\/\/0\.0\.0\.0:\*/)
        assert.strictEqual((yield* stage.report).apps.length, 1)
      })
  )

  scenario(
    "W18 take sessions, on every port of each family, or are not attached, and nothing is left of them",
    (stage) =>
      Effect.gen(function*() {
        const options = { name: "proxy", listen: [service], workers: 2, ...only.local, ...proxied } as const
        const cases = [[[service], wildcards], [[service, wildcards[0]!], [wildcards[1]!]]] as const
        for (const [listens, missing] of cases) {
          const actor = new Actor({
            start: ({ sessions }) => Effect.forEach(listens, (uri) => sessions.listen(uri, () => {}), { discard: true })
          })
          const error = yield* Effect.flip(stage.attach(actor, options))
          assert.deepStrictEqual(error.reason, new SessionLayer.NotListening({ endpoints: missing }))
          yield* assertNothingLeft(stage)
        }
        // one worker is enough
        const actor = new Actor({
          start: ({ info, sessions }) =>
            Effect.forEach(info.worker === 1 ? wildcards : [], (uri) => sessions.listen(uri, () => {}), {
              discard: true
            })
        })
        yield* stage.attach(actor, options)
        assert.strictEqual((yield* stage.host.locals).listeners.length, 2)
      })
  )

  it.effect("elsewhere, an application that does not listen where it was told to is warned about", () => {
    const said: Array<string> = []
    const logger = Logger.make(({ message }) => void said.push(String(message)))
    return Effect.gen(function*() {
      const layer = yield* SessionLayer.SessionLayer
      yield* layer.attach(
        { name: "idle", listen: [endpoint, service], worker: { kind: "in-process" }, ...only.both },
        AppWorker.fromLayer(Layer.empty)
      )
      assert.deepStrictEqual(said.filter((line) => line.includes("idle")), [
        `idle was told to listen on ${endpoint}, ${service}, and its workers started without listening there`
      ])
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(HostScripted.layer, Logger.layer([logger]))))
  })

  scenario("W18 need local scope: without it the option is refused by its name", (stage) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(stage.attach(new Actor(), { ...only.global, ...proxied }))
      assert.strictEqual(error.reason._tag, "UnsupportedConfig")
      assert.match(error.message, /proxiedTransports: /)
      yield* assertNothingLeft(stage)
    }))
})

describe("session rules at accept", () => {
  /** Dials and says whom it reached: an application, or the reason of the refusal. */
  const arrives = Effect.fnUntraced(function*(stage: Stage, actors: Readonly<Record<string, Actor>>, uri = endpoint) {
    const refused = Effect.map(stage.report, ({ ledger }) => ({ ...ledger.arrivals.refused }))
    const before = yield* refused
    const count = (actor: Actor) => actor.run().accepted.length
    const counts = new Map(Object.entries(actors).map(([name, actor]) => [name, count(actor)]))
    const peer = yield* stage.dial(uri)
    yield* until("an end to it", () => peer.opened || peer.closed)
    yield* settled
    if (peer.opened) return Object.entries(actors).find(([name, actor]) => count(actor) > counts.get(name)!)![0]
    const after = yield* refused
    return Object.entries(after).filter(([reason, n]) => n > before[reason as "congested"]).map(([reason]) => reason)
      .join()
  })

  scenario(
    "deny, allow, and send to another application; the next connection is under the next rules",
    (stage) =>
      Effect.gen(function*() {
        const { rules } = stage
        const app = yield* attach(stage, "app", { listen: [endpoint] })
        const other = yield* attach(stage, "other", { listen: ["tcp://127.0.0.1:81"] })
        const actors = { app, other }
        assert.strictEqual(yield* arrives(stage, actors), "app")
        const deny = yield* rules.add({ on: "accept", remote: "127.0.0.0/8", action: "deny", tag: "no loopback" })
        assert.strictEqual(yield* arrives(stage, actors), "rule-denied")
        // sessions that are there stay
        assert.isFalse(app.run().accepted[0]!.closed)
        const allow = yield* rules.add({ on: "accept", remote: "127.0.0.1", localPort: 80, action: "allow" })
        assert.strictEqual(yield* arrives(stage, actors), "app")
        assert.strictEqual(yield* arrives(stage, actors, "tcp://127.0.0.1:81"), "rule-denied")
        yield* rules.remove(allow)
        yield* rules.remove(deny)
        const redirect = yield* rules.add({ on: "accept", localPort: 80, action: "app:other" })
        assert.strictEqual(yield* arrives(stage, actors), "other")
        const { listeners: [mine] } = yield* stage.app("app")
        const { listeners: [theirs] } = yield* stage.app("other")
        assert.strictEqual(mine!.arrivals.redirected, 1)
        assert.strictEqual(theirs!.arrivals.claimed, 1)
        assert.deepStrictEqual((yield* stage.report).imbalances, [])
        assert.deepStrictEqual((yield* stage.host.sessions({})).at(-1)!.listener, theirs!.handle)
        // to itself is no detour
        yield* rules.remove(redirect)
        yield* rules.add({ on: "accept", localPort: 80, action: "app:app" })
        assert.strictEqual(yield* arrives(stage, actors), "app")
        assert.strictEqual((yield* stage.app("app")).listeners[0]!.arrivals.redirected, 1)
      })
  )

  scenario(
    "an application that is not there, or does not listen, is nobody to send to: no-listener",
    (stage) =>
      Effect.gen(function*() {
        const app = yield* attach(stage, "app", { listen: [endpoint] })
        yield* stage.rules.add({ on: "accept", action: "app:other" })
        assert.strictEqual(yield* arrives(stage, { app }), "no-listener")
        const other = yield* attach(stage, "other")
        assert.strictEqual(yield* arrives(stage, { app, other }), "no-listener")
        const run = other.run()
        const scope = yield* Scope.make()
        yield* Scope.provide(
          run.sessions.listen("tcp://127.0.0.1:81", (session) => void run.accepted.push(session)),
          scope
        )
        assert.strictEqual(yield* arrives(stage, { app, other }), "other")
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(yield* arrives(stage, { app, other }), "no-listener")
      })
  )

  scenario("one that is sent is under the admission of where it arrives", (stage) =>
    Effect.gen(function*() {
      const app = yield* attach(stage, "app", { listen: [endpoint] })
      const other = yield* attach(stage, "other", {
        listen: ["tcp://127.0.0.1:81"],
        admission: { maxSessionsPerListener: 1 }
      })
      yield* stage.rules.add({ on: "accept", localPort: 80, action: "app:other" })
      assert.strictEqual(yield* arrives(stage, { app, other }), "other")
      assert.strictEqual(yield* arrives(stage, { app, other }), "listener-limit")
      assert.strictEqual((yield* stage.app("other")).listeners[0]!.arrivals.refused["listener-limit"], 1)
      assert.strictEqual((yield* stage.app("app")).listeners[0]!.sessions, 0)
    }))

  scenario(
    "a source that is on the deny list gets nowhere, whatever the rules say, until it is taken off",
    (stage) =>
      Effect.gen(function*() {
        const { rules } = stage
        const app = yield* attach(stage, "app", { listen: [endpoint, "tcp://[::1]:80"] })
        yield* rules.add({ on: "accept", remote: "127.0.0.1", localPort: 80, action: "allow" })
        yield* rules.denySource("127.0.0.0/8")
        assert.strictEqual(yield* arrives(stage, { app }), "source-denied")
        assert.strictEqual(yield* arrives(stage, { app }, "tcp://[::1]:80"), "app")
        yield* rules.allowSource("127.0.0.0/8")
        assert.strictEqual(yield* arrives(stage, { app }), "app")
      })
  )

  scenario("a rule of a namespace is for its applications only", (stage) =>
    Effect.gen(function*() {
      yield* stage.namespaces.add({ name: "blue" })
      const app = yield* attach(stage, "app", { listen: [endpoint] })
      const blue = yield* attach(stage, "blue", { listen: ["tcp://127.0.0.1:81"], namespace: "blue" })
      yield* stage.rules.add({ on: "accept", action: "deny", namespace: "blue" })
      assert.strictEqual(yield* arrives(stage, { app, blue }), "app")
      assert.strictEqual(yield* arrives(stage, { app, blue }, "tcp://127.0.0.1:81"), "rule-denied")
    }))

  scenario(
    "rules that change while connections come: each of them is under one set, and all are accounted for",
    (stage) =>
      Effect.gen(function*() {
        const { rules } = stage
        const actors = [new Actor({ accept: echoing }), new Actor({ accept: echoing })]
        yield* stage.attach(actors[0]!, {})
        yield* stage.attach(actors[1]!, { name: "other", listen: ["tcp://127.0.0.1:81"] })
        const sets: ReadonlyArray<ReadonlyArray<RuleInput>> = [
          [],
          [{ on: "accept", action: "deny" }],
          [{ on: "accept", localPort: 80, action: "app:other" }],
          [{ on: "accept", action: "app:nobody" }]
        ]
        const expected = [0, 0, 0, 0]
        const peers: Array<Peer> = []
        for (let round = 0; round < 80; round++) {
          const which = (round * 7) % 4
          for (const { handle } of yield* rules.list) yield* rules.remove(handle)
          for (const rule of sets[which]!) yield* rules.add(rule)
          const count = 1 + round % 3
          for (let i = 0; i < count; i++) peers.push(stage.network.dial(endpoint))
          expected[which] = expected[which]! + count
          // arrived, and nothing more
          yield* Effect.promise(() => Promise.resolve())
          yield* Effect.promise(() => Promise.resolve())
        }
        yield* until("an end to all", () => peers.every(({ closed, opened }) => opened || closed))
        yield* settled
        const { arrivals } = (yield* stage.app("app")).listeners[0]!
        assert.deepStrictEqual(
          [arrivals.claimed, arrivals.refused["rule-denied"], arrivals.redirected, arrivals.refused["no-listener"]],
          expected
        )
        assert.deepStrictEqual(actors.map((actor) => actor.run().accepted.length), [expected[0], expected[2]])
        assert.strictEqual(arrivals.arrived, peers.length)
        assert.deepStrictEqual((yield* stage.report).imbalances, [])
      })
  )
})

describe("session rules at connect", () => {
  scenario(
    "deny says by which rule, allow lets pass, and accept rules are not asked",
    (stage) =>
      Effect.gen(function*() {
        const { rules } = stage
        stage.network.listen(remote, () => {})
        const client = yield* attach(stage, "client")
        yield* rules.add({ on: "accept", action: "deny" })
        yield* rules.denySource("10.0.0.0/8")
        assert.strictEqual(yield* finds({}, client, remote), "outside")
        const deny = yield* rules.add({ on: "connect", remote: "10.0.0.0/8", action: "deny", tag: "inside" })
        const error = yield* Effect.flip(client.run().sessions.connect(remote))
        assert.strictEqual(error.reason._tag, "Refused")
        assert.match(error.detail, /^rule-denied: rule \d+\.\d+ \(inside\)$/)
        assert.deepStrictEqual(yield* stage.host.connects, [])
        yield* rules.add({ on: "connect", remote: "10.0.0.1", remotePort: 443, action: "allow" })
        assert.strictEqual(yield* finds({}, client, remote), "outside")
        yield* rules.remove(deny)
        // what it connects from counts, too
        yield* rules.add({ on: "connect", local: "10.9.0.0/16", action: "deny" })
        const from = yield* Effect.flip(
          client.run().sessions.connect("tcp://10.0.0.2:443", { source: "tcp://10.9.0.1:0" })
        )
        assert.match(from.detail, /^rule-denied: /)
      })
  )

  scenario(
    "sends a connect to another application, past the network, or says that it does not listen",
    (stage) =>
      Effect.gen(function*() {
        const { rules } = stage
        const outside: Array<Peer> = []
        stage.network.listen(remote, (peer) => outside.push(peer))
        const client = yield* attach(stage, "client")
        yield* rules.add({ on: "connect", remote: "10.0.0.1", action: "app:server" })
        const error = yield* Effect.flip(client.run().sessions.connect(remote))
        assert.strictEqual(error.reason._tag, "Refused")
        assert.strictEqual(error.detail, "no-listener: a rule sends it to server, which does not listen")
        const server = yield* attach(stage, "server", { listen: [endpoint] })
        assert.strictEqual(yield* finds({ server }, client, remote), "server")
        assert.strictEqual(server.run().accepted[0]!.local, remote)
        assert.deepStrictEqual(outside, [])
      })
  )

  scenario(
    "W18 send nobody to itself: a proxy that everything is sent to reaches the network",
    (stage) =>
      Effect.gen(function*() {
        stage.network.listen(remote, () => {})
        const proxy = yield* attach(stage, "proxy", { listen: [service], ...only.both })
        const client = yield* attach(stage, "client")
        yield* stage.rules.add({ on: "connect", action: "app:proxy" })
        assert.strictEqual(yield* finds({ proxy }, client, remote), "proxy")
        assert.strictEqual(yield* finds({ proxy }, proxy, remote), "outside")
      })
  )

  scenario("hold in local scope, too, before the local table is asked", (stage) =>
    Effect.gen(function*() {
      const server = yield* attach(stage, "server", { listen: [endpoint, service], ...only.local })
      const client = yield* attach(stage, "client", only.local)
      const deny = yield* stage.rules.add({ on: "connect", remote: "127.0.0.1", action: "deny" })
      assert.strictEqual(yield* finds({ server }, client, endpoint), "Refused")
      // local names have no address to match
      assert.strictEqual(yield* finds({ server }, client, service), "server")
      yield* stage.rules.remove(deny)
      assert.strictEqual(yield* finds({ server }, client, endpoint), "server")
      // the accept's rules are not asked a second time
      yield* stage.rules.add({ on: "accept", action: "deny" })
      assert.strictEqual(yield* finds({ server }, client, endpoint), "server")
    }))
})
