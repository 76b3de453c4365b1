/**
 * What a host offers to a takeover (X4), from its tables: see `Succession`.
 */
import type * as Effect from "effect/Effect"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import * as Notice from "../../domain/report/Notice.ts"
import * as Handle from "../../domain/state/Handle.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import type * as Succession from "../../services/Succession.ts"
import type { NoticeLog } from "../log/NoticeLog.ts"
import { Departures } from "./Departures.ts"
import type { HostListener } from "./Listener.ts"
import type { Listeners } from "./Listeners.ts"
import type { Tables } from "./Tables.ts"

/** What it takes. */
export interface SuccessionHost {
  readonly tables: Tables
  readonly listeners: Listeners
  readonly notices: NoticeLog
  /** Runs an effect for the host's life. */
  readonly run: (effect: Effect.Effect<void>) => void
}

/** A listener by a name that it has. */
const find = (tables: Tables, is: (listener: HostListener) => boolean): HostListener | undefined => {
  for (const listener of tables.listeners) if (is(listener)) return listener
  return undefined
}

export const make = ({ listeners, notices, run, tables }: SuccessionHost): Succession.Succession["Service"] => ({
  listeners: () =>
    [...tables.listeners].flatMap(({ app, boundUri, handle, inherited, requested, requestedUri, socket, state }) =>
      state !== "BOUND" || !app.options.scope.global || !Endpoint.isTransport(requested) ? [] : [{
        handle: Handle.format(handle),
        app: app.name,
        requested: requestedUri,
        bound: boundUri,
        ownsFile: inherited === undefined || inherited.heirloom?.ownsFile === true,
        descriptor: socket?.descriptor ?? -1
      }]
    ),
  totals: () => tables.totals,
  startTime: () => Math.max(0, ...[...tables.apps].map(({ options }) => options.worker.startTimeout)),
  depart: (served) => {
    tables.events.record({ kind: "takeover-begun" })
    return tables.departures = new Departures(tables, served, () => {
      tables.draining = true
      for (const { app, boundUri, handle, socket } of tables.listeners) {
        if (served.has(Handle.format(handle))) socket?.leave()
        else if (socket !== undefined) notices.tell(Notice.notTakenOver({ app: app.name, uri: boundUri }))
      }
      run(listeners.closeAll)
    })
  },
  predecessors: () => tables.predecessors,
  inherit: (totals: Ledger.LedgerTotals) => {
    if (!tables.follows) tables.events.record({ kind: "takeover-followed" })
    tables.follows = true
    tables.predecessors = totals
  },
  inherited: () =>
    [...tables.listeners].flatMap(({ inherited, socket }) =>
      inherited?.heirloom === undefined || socket === undefined ? [] : [inherited.name]
    ),
  adopt: (wanted, socket, { moves, state, ...sent }) => {
    const listener = find(tables, ({ inherited }) => inherited?.heirloom !== undefined && inherited.name === wanted)
    const connection = listener?.socket?.adopt(socket, sent)
    if (listener === undefined || connection === undefined) return false
    listener.succession.adopt(connection, state, moves)
    return true
  }
})
