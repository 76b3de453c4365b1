/** What metrics say, compared with what the ledger has counted (X5, M14). */
import type * as Report from "../../src/domain/report/Report.ts"
import * as Exposition from "./Exposition.ts"

/**
 * Every count of the ledger whose metric says something else: of the host, and of its workers and listeners, where none of
 * these has gone.
 */
export const differences = (
  { imbalances, ledger: { arrivals, messages, offers } }: Report.HostReport,
  all: ReadonlyArray<Exposition.Series>
): ReadonlyArray<string> => {
  const found: Array<string> = [...imbalances]
  const compare = (name: string, labels: Readonly<Record<string, string>>, count: number): void => {
    const told = Exposition.sum(all, name, labels)
    if (told !== count) found.push(`${name} ${JSON.stringify(labels)} is ${told}, and ${count} in the ledger`)
  }
  const same = (name: string, labels: Readonly<Record<string, string>>, count: number): void => {
    for (const scope of ["sluice_host_", "sluice_"]) compare(`${scope}${name}`, labels, count)
  }
  const each = (name: string, label: string, counts: Readonly<Record<string, number>>, labels = {}): void => {
    for (const [value, count] of Object.entries(counts)) same(name, { ...labels, [label]: value }, count)
  }
  same("connections_total", { result: "claimed" }, arrivals.claimed + arrivals.moved + arrivals.unclaimed)
  same("connections_total", { result: "withdrawn" }, arrivals.withdrawn)
  same("connections_total", { result: "redirected" }, arrivals.redirected)
  each("connections_total", "reason", arrivals.refused, { result: "refused" })
  const { claimed, offered, refused, revoked, unclaimed, withdrawn } = offers
  each("offers_total", "result", { offered, claimed: claimed + unclaimed, refused, revoked, withdrawn })
  each("messages_total", "result", { sent: messages.sent, delivered: messages.delivered })
  each("messages_total", "reason", messages.released, { result: "released" })
  same("sessions_moved_total", {}, arrivals.moved)
  same("sessions_lost_total", {}, arrivals.lost)
  each("sessions_ended_total", "reason", arrivals.ended)
  each("datagrams_dropped_total", "reason", arrivals.dropped)
  // what is under way
  compare("sluice_held", {}, arrivals.held)
  compare("sluice_on_offer", {}, arrivals.offered)
  compare("sluice_on_offer", {}, offers.pending)
  compare("sluice_postponed_messages", {}, messages.postponed)
  compare("sluice_imbalances", {}, 0)
  // each claim has a time
  compare("sluice_claim_seconds_count", {}, claimed + unclaimed)
  compare("sluice_listener_claim_seconds_count", {}, claimed + unclaimed)
  return found
}
