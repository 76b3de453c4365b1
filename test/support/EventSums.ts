/** What the events of a host add up to, against what its ledger has counted (X5). */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { HostEvent, ToldEvent } from "../../src/domain/events/HostEvent.ts"
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

const sumsOf = (events: ReadonlyArray<ToldEvent>): Counted => {
  const { arrivals } = Ledger.makeTotals()
  const sums = { moved: 0, lost: 0, revoked: 0 }
  const add = (event: HostEvent): void => {
    switch (event.kind) {
      case "session-refused":
        arrivals.refused[event.reason] += event.count
        return
      case "session-ended":
        arrivals.ended[event.reason] += event.count
        return
      case "datagram-dropped":
        arrivals.dropped[event.reason] += event.count
        return
      case "session-moved":
        sums.moved += event.count
        return
      case "session-lost":
        sums.lost += event.count
        return
      case "offer-revoked":
        sums.revoked += event.count
    }
  }
  for (const event of events) if (event.kind !== "gap") add(event)
  const { dropped, ended, refused } = arrivals
  return { ...sums, movedOffers: sums.moved, refused, ended, dropped }
}

/** To be called when all counts have been told, which takes a second, and while all events are kept. */
export const assertEventsAddUp = Effect.fnUntraced(function*(host: Pick<SessionLayer["Service"], "events" | "report">) {
  const events = yield* eventsOf(host)
  const { ledger } = yield* host.report
  assert.deepStrictEqual(sumsOf(events), counted(ledger))
})
