/**
 * A connection's turn at a listener, as `Admission` has it: data that says what is to be done about the connection.
 */
import type * as Ledger from "../state/Ledger.ts"
import * as Affinity from "./Affinity.ts"
import { Timed } from "./Deadlines.ts"
import type { Waiting } from "./Line.ts"

/**
 * | state | what is to be done |
 * |---|---|
 * | `asking` | find the connection's affinity key: `keyed` |
 * | `offering` | make a session in the memory of `member` and offer it: `offered`, `noMemory` |
 * | `offered` | nothing, unless `handle` returned it: then its time is over, and it is to be taken back |
 * | `held` | nothing: the connection waits, unread |
 * | `refused` | refuse the connection for `reason` |
 * | `claimed` | the worker has it |
 * | `over` | nothing: another ticket stands for the connection, or it is gone |
 */
export type TicketState = "asking" | "offering" | "offered" | "held" | "refused" | "claimed" | "over"

/**
 * The turn of a connection: in line, or on offer to one worker. When the offer is taken back, the connection gets
 * another ticket. Only the admission changes it.
 */
export class Ticket<C, M, S> extends Timed<Ticket<C, M, S>> implements Waiting<Ticket<C, M, S>> {
  readonly connection: C
  /** The connection's class (X7). */
  readonly rank: number
  state: TicketState = "held"
  /** The worker that the connection is offered to. */
  member: M | undefined
  /** The session that was made for the offer. */
  session: S | undefined
  /** Why the connection is refused. */
  reason: Ledger.RefuseReason | undefined
  /** Whether the worker let the offer run out. */
  late = false
  /** Whether the connection was on offer before: then it goes before those that never were. */
  readonly returned: boolean
  /** Whether a worker had its session, and had parked it (X1): then it waits under any policy. */
  readonly moved: boolean
  /** Whether it goes past connections that wait. */
  passes = false
  /** The worker that it is not to go to: the one that has its session now. */
  except: M | undefined
  /** Whether the connection needs no key, or its key has been asked for; and the key's hash. */
  isKnown: boolean
  key: number | undefined
  /** When the connection came, in milliseconds of `MonotonicTime`, where that matters for how long it may be held. */
  cameAt = -Infinity
  /**
   * When the connection has been held for as long as it may be: the time runs from when it was first held, over all its
   * tickets. Milliseconds of `MonotonicTime`; `Infinity` while it never was held.
   */
  heldUntil = Infinity
  /** Whether a queue stood when it came (X7), and whether it may be held for less than `holdTime` therefore. */
  cameLate = false
  isBrief = false
  /** Whether the ticket stands in line. */
  waits = false
  /** Since when it does, or since when it is on offer, in milliseconds of `MonotonicTime`. */
  since = Infinity
  ahead: Ticket<C, M, S> | undefined = undefined
  behind: Ticket<C, M, S> | undefined = undefined
  /** How many seats the rotor has looked at for the ticket, and whether it has passed over one that takes sessions. */
  looked = 0
  passedOver = false
  /** The weight that the worker tried last has for the key; workers still to be tried have less. */
  below = Affinity.ABOVE_ALL

  constructor(
    connection: C,
    rank: number,
    isKnown: boolean,
    key: number | undefined,
    returned: boolean,
    moved: boolean
  ) {
    super()
    this.connection = connection
    this.rank = rank
    this.isKnown = isKnown
    this.key = key
    this.returned = returned
    this.moved = moved
  }
}
