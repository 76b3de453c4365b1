/**
 * How much of a listener one source may have: so many sessions at a time, and so many new connections in a second.
 *
 * A connection counts for its source from its arrival until it is over, whether it waits, is on offer or has become a
 * session, and however often it moves from worker to worker. A source that sends more than it may is refused without
 * taking a place of anybody else's.
 *
 * **Memory** A source with something open is never forgotten, so there are no more of these than the listener has
 * connections. One with nothing open is remembered only until its rate allows everything again, which takes a second at
 * most, and {@link MAX_IDLE} of those are; beyond that, the one that has been idle for longest is forgotten, and may
 * connect as if it had not been there. So whoever uses many addresses can make the host forget the rate of an idle source,
 * and never what a source has open.
 *
 * Time comes in as a number, in milliseconds that only go forward. This is on the path of accepts.
 */
import * as Source from "../net/Source.ts"
import type { ListenerOptions } from "../options/ListenerOptions.ts"
import type { RefuseReason } from "../state/Ledger.ts"

/** The most sources without anything open that are remembered. */
export const MAX_IDLE = 16_384

/** The time that the rate is for, all of which may be used at once. */
const PERIOD = 1000
/** Less than this is due to how numbers are added. */
const ERROR = 1e-6

export type SourceOptions = Pick<
  ListenerOptions,
  "sourceSessions" | "sourceRate" | "sourcePrefixIpv4" | "sourcePrefixIpv6"
>

/** Why a source may have no further connection. */
export type SourceReason = Extract<RefuseReason, "source-limit" | "source-rate">

interface Known {
  readonly source: string
  /** Connections that are not over. */
  open: number
  /** When its rate allows everything again: each connection puts that off by its part of a second. */
  restedAt: number
}

/** The sources of one listener; `C` is a connection, which may be anything. */
export class SourceLimits<C> {
  readonly #most: number
  /** Milliseconds between two connections at the rate; 0 without one. */
  readonly #interval: number
  readonly #bits: Source.SourceBits
  readonly #counted = new Map<C, Known>()
  readonly #busy = new Map<string, Known>()
  /** The one that has been idle for longest comes first. */
  readonly #idle = new Map<string, Known>()

  constructor({ sourcePrefixIpv4, sourcePrefixIpv6, sourceRate, sourceSessions }: SourceOptions) {
    this.#most = sourceSessions === 0 ? Infinity : sourceSessions
    this.#interval = sourceRate === 0 ? 0 : PERIOD / sourceRate
    this.#bits = { ipv4: sourcePrefixIpv4, ipv6: sourcePrefixIpv6 }
  }

  /** Whether the options ask for any of this. */
  static isAsked({ sourceRate, sourceSessions }: SourceOptions): boolean {
    return sourceSessions > 0 || sourceRate > 0
  }

  /** How many sources have something open, and how many are remembered besides. */
  get sizes(): { readonly busy: number; readonly idle: number } {
    return { busy: this.#busy.size, idle: this.#idle.size }
  }

  /** Why a connection from there would be refused now, if it would be. */
  whyNot(remote: string, now: number): SourceReason | undefined {
    const source = Source.of(remote, this.#bits)
    const known = source === undefined ? undefined : this.#busy.get(source) ?? this.#idle.get(source)
    return known === undefined ? undefined : this.#whyNot(known, now)
  }

  #whyNot(known: Known, now: number): SourceReason | undefined {
    if (known.open >= this.#most) return "source-limit"
    return known.restedAt + this.#interval > now + PERIOD + ERROR ? "source-rate" : undefined
  }

  /** A connection from there arrives, and counts from now on, unless the answer says why it is refused. */
  enter(connection: C, remote: string, now: number): SourceReason | undefined {
    const source = Source.of(remote, this.#bits)
    if (source === undefined) return undefined
    const known = this.#busy.get(source) ?? this.#idle.get(source)
    const reason = known === undefined ? undefined : this.#whyNot(known, now)
    if (reason !== undefined) return reason
    const counted = this.#count(connection, source, known, now)
    counted.restedAt = Math.max(counted.restedAt, now) + this.#interval
    return undefined
  }

  /** A connection from there comes from another host, which has let it in: it takes a place, and is not new. */
  adopt(connection: C, remote: string, now: number): void {
    const source = Source.of(remote, this.#bits)
    if (source !== undefined) this.#count(connection, source, this.#busy.get(source) ?? this.#idle.get(source), now)
  }

  #count(connection: C, source: string, before: Known | undefined, now: number): Known {
    const known = before ?? { source, open: 0, restedAt: now }
    if (known.open++ === 0) {
      this.#idle.delete(source)
      this.#busy.set(source, known)
    }
    this.#counted.set(connection, known)
    return known
  }

  /** A connection is over, or is another host's. One that was not counted, or has left, makes no difference. */
  leave(connection: C, now: number): void {
    const known = this.#counted.get(connection)
    if (known === undefined) return
    this.#counted.delete(connection)
    if (--known.open > 0) return
    this.#busy.delete(known.source)
    if (known.restedAt > now) this.#rest(known, now)
  }

  #rest(known: Known, now: number): void {
    for (const [source, { restedAt }] of this.#idle) {
      if (restedAt > now && this.#idle.size < MAX_IDLE) break
      this.#idle.delete(source)
    }
    this.#idle.set(known.source, known)
  }
}
