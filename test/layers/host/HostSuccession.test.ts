/** X4: what a host counts and tells of connections that it has sent to its successor. */
import { assert, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Host from "../../../src/layers/Host.ts"
import * as SessionLayerHost from "../../../src/layers/host/SessionLayerHost.ts"
import * as TransportTcp from "../../../src/layers/transport/TransportTcp.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import { Succession } from "../../../src/services/Succession.ts"
import * as EventSums from "../../support/EventSums.ts"
import { answering } from "../../support/Parking.ts"
import { Actor, optionsOf } from "../../support/Stage.ts"
import * as TcpClient from "../../support/TcpClient.ts"
import { until } from "../../support/until.ts"

it.live("X4 a connection that a successor neither takes nor declines is counted as lost, and told of", () =>
  Effect.gen(function*() {
    const services = yield* Layer.build(
      SessionLayerHost.layer.pipe(Layer.provide(TransportTcp.layer()), Layer.provide(Host.layerSettings))
    )
    const host = Context.get(services, SessionLayer)
    const succession = Context.get(services, Succession)
    yield* host.attach(optionsOf({ listen: ["tcp://127.0.0.1:0"] }), new Actor({ accept: answering() }).module)
    const { apps: [app] } = yield* host.report
    const [listener] = app!.listeners
    const client = yield* TcpClient.connect(Number(new URL(listener!.endpoint).port))
    client.write("a")
    yield* until(
      "the session to be parked",
      () => Effect.runSync(host.sessions({})).some(({ moves, parked }) => parked && moves === 0)
    )
    const departures = succession.depart(new Set([listener!.handle]))
    yield* Effect.forkScoped(host.drain)
    let departure = departures.next()
    yield* until("it to go", () => (departure ??= departures.next()) !== undefined)
    departure!.unanswered()
    departures.end("it said nothing")
    const { imbalances, ledger: { arrivals } } = yield* host.report
    assert.deepStrictEqual(imbalances, [])
    assert.deepStrictEqual([arrivals.arrived, arrivals.refused.draining], [1, 1])
    const events = yield* EventSums.eventsOf(host)
    const [refused] = events.filter((event) => event.kind === "session-refused")
    assert.deepInclude(refused, { reason: "draining", peer: departure!.baggage.remote })
    const [ended] = events.filter((event) => event.kind === "takeover-ended")
    assert.deepInclude(ended, { detail: "it said nothing" })
  }).pipe(Effect.scoped))
