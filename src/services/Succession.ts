/**
 * What a host offers to a takeover (X4): to the one in which another host follows it, and to the one in which it follows
 * another. What the two hosts say to each other is none of its concern.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { FormerHost } from "../domain/report/FormerHost.ts"
import type * as Ledger from "../domain/state/Ledger.ts"
import type { SentConnection, SharedDatagrams } from "./Transport.ts"

/** A socket that another process is to be given: a listener's, or one that this process was given and nobody serves. */
export interface HeritableListener {
  /** The listener's handle, as text; absent where there is none. */
  readonly handle?: string | undefined
  readonly app: string
  /** What a service manager calls the socket, if it has made it. */
  readonly name?: string | undefined
  /** The endpoint that was asked for, and the one that was given; URIs. */
  readonly requested: string
  readonly bound: string
  /** Whether the file of a Unix socket is the host's, and not of whoever started it with the socket. */
  readonly ownsFile: boolean
  /** Negative where its socket can't be handed on. */
  readonly descriptor: number
}

/** What there is to know of a connection that goes from one host to another. */
export interface Baggage extends SentConnection {
  /** What the application has given along, and how often the session had moved before. */
  readonly state: Uint8Array | undefined
  readonly moves: number
}

/** A connection on its way to the successor. Its socket is still here, and nothing is read from it. */
export interface Departure {
  readonly listener: string
  readonly baggage: Baggage
  /** What is sent to the other process; over UDP, that has the listener's socket already. */
  readonly socket: object | undefined
  /** The successor has it: nothing of it is left here. */
  gone(): void
  /** The successor does not have it, and nobody here goes on with it: it ends, in order. */
  stays(): void
  /** The successor lives and does not say whether it has it: nothing of it is left here, and it counts as lost. */
  unanswered(): void
}

/** The connections that a host has for its successor, which is the host by now and serves some of its listeners. */
export interface DepartureSource {
  /** The next one; `undefined` when there is none now. */
  next(): Departure | undefined
  /** Called when there may be one again. */
  onMore: (() => void) | undefined
  /** Sockets of UDP that the successor reads from now on, for the sessions here, too; by their listeners. */
  readonly datagrams: ReadonlyMap<string, SharedDatagrams>
  /** Nothing goes over any more: what has nothing in hand here ends, in order. `why`: where that is the successor's fault. */
  end(why?: string): void
}

export class Succession extends Context.Service<Succession, {
  readonly listeners: () => ReadonlyArray<HeritableListener>
  /** Which host it is in the line of hosts, from 1 on, and the milliseconds since the first one has begun. */
  readonly lineage: () => { readonly generation: number; readonly upMillis: number }
  /** How many workers each application has, by its name, where their number follows the load (X8). */
  readonly workers: () => Readonly<Record<string, number>>
  /** Another host is being started, to follow this one; or it has been given up. */
  readonly record: (event: "begun" | "abandoned") => void
  /** How many sessions there are. */
  readonly sessions: () => number
  /** Completes when the host is to end, and no other one goes on with what it has. */
  readonly ends: Effect.Effect<void>
  /** All that this host has counted, and its predecessors before it. */
  readonly totals: () => Ledger.LedgerTotals
  /** Milliseconds that the workers have for their start. */
  readonly startTime: () => number
  /**
   * A successor is the host from now on, and serves these listeners, by their handles. This host accepts nothing more,
   * and what would wait here for a worker goes over, as far as it can.
   */
  readonly depart: (listeners: ReadonlySet<string>) => DepartureSource
  /** This host and those before it that have not ended yet. */
  readonly hosts: () => ReadonlyArray<FormerHost>
  /** What the predecessors have counted so far, and which are still there; both in place of what was said before. */
  readonly predecessors: () => Ledger.LedgerTotals
  readonly inherit: (totals: Ledger.LedgerTotals, hosts: ReadonlyArray<FormerHost>) => void
  /** The listeners that serve sockets of the predecessor, by the predecessor's handles. */
  readonly inherited: () => ReadonlyArray<string>
  /** The socket of UDP that the predecessor's listener had. */
  readonly datagrams: (listener: string) => SharedDatagrams | undefined
  /** Takes a connection of the predecessor's listener; `false` when it can't be served here. */
  readonly adopt: (listener: string, socket: unknown, baggage: Baggage) => boolean
}>()("sluice/services/Succession") {}
