/**
 * What a host offers to a takeover (X4): to the one in which another host follows it, and to the one in which it follows
 * another. What the two hosts say to each other is none of its concern.
 */
import * as Context from "effect/Context"
import type { SessionAbout } from "../domain/memory/SessionAbout.ts"
import type * as Ledger from "../domain/state/Ledger.ts"

/** A listener whose socket another process is to be given. */
export interface HeritableListener {
  /** Its handle, as text. */
  readonly handle: string
  readonly app: string
  /** The endpoint that was asked for, and the one that was given; URIs. */
  readonly requested: string
  readonly bound: string
  /** Whether the file of a Unix socket is the host's, and not of whoever started it with the socket. */
  readonly ownsFile: boolean
  /** Negative where its socket can't be handed on: one of UDP has sessions that no other process could serve. */
  readonly descriptor: number
}

/** What there is to know of a connection that goes from one host to another. */
export interface Baggage {
  readonly remote: string
  readonly local: string
  /** Whether these are IPv4 addresses of an IPv6 socket. */
  readonly mapped: boolean
  readonly about: SessionAbout | undefined
  /** Bytes that were read, and that no application has had. */
  readonly unread: Uint8Array | undefined
  /** What the application has given along, and how often the session had moved before. */
  readonly state: Uint8Array | undefined
  readonly moves: number
}

/** A connection on its way to the successor. Its socket is still here, and nothing is read from it. */
export interface Departure {
  readonly listener: string
  readonly baggage: Baggage
  /** What is sent to the other process. */
  readonly socket: object
  /** The successor has it: nothing of it is left here. */
  gone(): void
  /** The successor does not have it: it goes on here. */
  stays(): void
}

/** The connections that a host has for its successor, which serves some of its listeners. */
export interface DepartureSource {
  /** The next one; `undefined` when there is none now. */
  next(): Departure | undefined
  /** Called when there may be one again. */
  onMore: (() => void) | undefined
  /**
   * The successor is the host from now on: this one accepts nothing more, and whatever would wait here for a worker goes
   * over, as far as it can.
   */
  settle(): void
  /** Nothing goes over any more. */
  end(): void
}

export class Succession extends Context.Service<Succession, {
  readonly listeners: () => ReadonlyArray<HeritableListener>
  /** All that this host has counted, and its predecessors before it. */
  readonly totals: () => Ledger.LedgerTotals
  /** Milliseconds that the workers have for their start. */
  readonly startTime: () => number
  /** What goes over to a successor that serves these listeners, by their handles. */
  readonly depart: (listeners: ReadonlySet<string>) => DepartureSource
  /** What the predecessors have counted so far; and the same from now on, in place of what was said before. */
  readonly predecessors: () => Ledger.LedgerTotals
  readonly inherit: (totals: Ledger.LedgerTotals) => void
  /** The listeners that serve sockets of the predecessor, by the predecessor's handles. */
  readonly inherited: () => ReadonlyArray<string>
  /** Takes a connection of the predecessor's listener; `false` when it can't be served here. */
  readonly adopt: (listener: string, socket: unknown, baggage: Baggage) => boolean
}>()("sluice/services/Succession") {}
