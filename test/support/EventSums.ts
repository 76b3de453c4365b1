/** What the events of a host add up to, against what its ledger has counted (X5). */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ToldEvent } from "../../src/domain/events/HostEvent.ts"
import type * as Report from "../../src/domain/report/Report.ts"
import * as Ledger from "../../src/domain/state/Ledger.ts"
import type { SessionLayer } from "../../src/services/SessionLayer.ts"

/** All events that are kept, as of now. */
export const eventsOf = (
  { events }: Pick<SessionLayer["Service"], "events">,
  after?: number
): Effect.Effect<ReadonlyArray<ToldEvent>> => Stream.runCollect(events({ after, follow: false }))

/** The counts of the ledger that have events. */
const counted = ({ arrivals, offers }: Report.HostReport["ledger"]) => ({
  refused: arrivals.refused,
  moved: arrivals.moved,
  movedOffers: offers.moved,
  ended: arrivals.ended,
  lost: arrivals.lost,
  dropped: arrivals.dropped,
  revoked: offers.revoked
})

type Counted = ReturnType<typeof counted>

/** What has been told so far, added up. */
class Sums {
  readonly #arrivals = Ledger.makeTotals().arrivals
  #moved = 0
  #lost = 0
  #revoked = 0

  add(event: ToldEvent): void {
    switch (event.kind) {
      case "gap":
        return assert.fail(`${event.missed} events were missed`)
      case "session-refused":
        this.#arrivals.refused[event.reason] += event.count
        return
      case "session-ended":
        this.#arrivals.ended[event.reason] += event.count
        return
      case "datagram-dropped":
        this.#arrivals.dropped[event.reason] += event.count
        return
      case "session-moved":
        this.#moved += event.count
        return
      case "session-lost":
        this.#lost += event.count
        return
      case "offer-revoked":
        this.#revoked += event.count
    }
  }

  get counts(): Counted {
    const { dropped, ended, refused } = this.#arrivals
    const moved = this.#moved
    return { refused, ended, dropped, moved, movedOffers: moved, lost: this.#lost, revoked: this.#revoked }
  }
}

type Host = Pick<SessionLayer["Service"], "events" | "report">

const assertEqual = (host: Host, sums: Sums): Effect.Effect<void> =>
  Effect.map(host.report, ({ ledger }) => assert.deepStrictEqual(sums.counts, counted(ledger)))

/**
 * Hears of all events of a new host, of more than are kept, too. `addUp` is to be run when all counts have been told.
 */
export const follow = Effect.fnUntraced(function*(host: Host) {
  const sums = new Sums()
  yield* Effect.forkScoped(Stream.runForEach(host.events({ after: 0 }), (event) => Effect.sync(() => sums.add(event))))
  return { addUp: assertEqual(host, sums) }
})
