/**
 * What a host offers to a takeover (X4), from its tables: see `Succession`.
 */
import * as Deferred from "effect/Deferred"
import type * as Effect from "effect/Effect"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import * as Notice from "../../domain/report/Notice.ts"
import * as Handle from "../../domain/state/Handle.ts"
import type * as Succession from "../../services/Succession.ts"
import type { NoticeLog } from "../log/NoticeLog.ts"
import type { InheritedSockets } from "../system/InheritedSockets.ts"
import * as NodeHandle from "../transport/NodeHandle.ts"
import { Departures } from "./Departures.ts"
import type { HostListener } from "./Listener.ts"
import type { Listeners } from "./Listeners.ts"
import { Tables } from "./Tables.ts"
import { tellToDrain } from "./WorkerRun.ts"

/** What it takes. */
export interface SuccessionHost {
  readonly tables: Tables
  readonly listeners: Listeners
  /** Those that this process was started with. */
  readonly sockets: InheritedSockets
  readonly notices: NoticeLog
  /** Runs an effect for the host's life. */
  readonly run: (effect: Effect.Effect<void>) => void
}

/** The listener that serves the socket of a listener of the predecessor. */
const ofPredecessor = (tables: Tables, wanted: string): HostListener | undefined => {
  for (const listener of tables.listeners) if (listener.inherited?.heirloom?.handle === wanted) return listener
  return undefined
}

export const make = (
  { listeners, notices, run, sockets, tables }: SuccessionHost
): Succession.Succession["Service"] => ({
  listeners: () => [
    ...[...tables.listeners].flatMap(({ app, boundUri, handle, inherited, requested, requestedUri, socket, state }) =>
      state !== "BOUND" || !app.options.scope.global || !Endpoint.isTransport(requested) ? [] : [{
        handle: Handle.format(handle),
        app: app.name,
        name: inherited?.name,
        // what has a name is known by its own address, whatever is served there
        requested: inherited?.name === undefined ? requestedUri : Endpoint.format(inherited.endpoint),
        bound: boundUri,
        ownsFile: inherited === undefined || inherited.heirloom?.ownsFile === true,
        descriptor: socket?.descriptor ?? -1
      }]
    ),
    ...sockets.free.map(({ descriptor, endpoint, name }) => ({
      app: "",
      name,
      requested: Endpoint.format(endpoint),
      bound: Endpoint.format(endpoint),
      ownsFile: false,
      descriptor
    }))
  ],
  lineage: () => tables.lineage,
  workers: () =>
    Object.fromEntries(
      [...tables.apps].flatMap((app) => app.range === undefined ? [] : [[app.name, Tables.countOf(app)] as const])
    ),
  record: (event) => {
    tables.isFollowed = event === "begun"
    tables.events.record({ kind: `takeover-${event}` })
  },
  sessions: () => tables.sessionCount,
  ends: Deferred.await(tables.ends),
  totals: () => tables.totals,
  startTime: () => Math.max(0, ...[...tables.apps].map(({ options }) => options.worker.startTimeout)),
  depart: (served) => {
    tables.events.record({ kind: "takeover-settled" })
    const departures = new Departures(served, (why) => {
      tables.events.record({ kind: "takeover-ended", detail: why ?? null })
      for (const listener of tables.listeners) listener.intake.stop("draining")
      for (const session of tables.sessions) session.moveOn()
      if (tables.endsAt === undefined) return
      for (const { live } of tables.generations()) if (live !== undefined) tellToDrain(live, "nobody")
    })
    tables.departures = departures
    tables.draining = true
    for (const listener of tables.listeners) {
      const { app, boundUri, socket } = listener
      if (departures.serves(listener)) {
        socket?.leave()
        if (socket?.datagrams !== undefined) departures.datagrams.set(Handle.format(listener.handle), socket.datagrams)
        listener.succession.departHeld()
      } else {
        if (socket !== undefined) notices.tell(Notice.notTakenOver({ app: app.name, uri: boundUri }))
        listener.intake.stop("draining")
      }
    }
    run(listeners.closeAll)
    return departures
  },
  predecessors: () => tables.predecessors,
  hosts: () => [
    { pid: process.pid, sessions: tables.sessionCount, endsWithinMillis: Math.max(0, Math.round(tables.drainTime)) },
    ...tables.formerHosts
  ],
  inherit: (totals, hosts) => {
    if (!tables.follows) tables.events.record({ kind: "takeover-followed" })
    tables.follows = true
    tables.predecessors = totals
    tables.formerHosts = hosts
    if (hosts.length === 0) tables.noFormerHosts.openUnsafe()
    else tables.noFormerHosts.closeUnsafe()
  },
  inherited: () =>
    [...tables.listeners].flatMap(({ inherited, socket }) =>
      inherited?.heirloom === undefined || socket === undefined ? [] : [inherited.heirloom.handle]
    ),
  datagrams: (wanted) => ofPredecessor(tables, wanted)?.socket?.datagrams,
  adopt: (wanted, socket, { moves, state, ...sent }) => {
    const listener = ofPredecessor(tables, wanted)
    const connection = listener?.socket?.adopt(socket, sent)
    if (listener === undefined || connection === undefined) {
      NodeHandle.closeSent(socket)
      return false
    }
    listener.succession.adopt(connection, state, moves)
    return true
  }
})
