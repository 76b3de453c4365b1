/**
 * Options for what is let in and for what goes out: connections that arrive, and connects.
 */
import * as Schema from "effect/Schema"
import { choice, number, numberOr } from "./OptionFields.ts"
import { MINUTE, SECOND } from "./OptionUnits.ts"

/** The most sessions that an application may have open, unless an option says otherwise. */
export const MAX_SESSIONS = 65_536

/**
 * What happens to a connection when it comes in, and how much a worker may connect.
 *
 * @category models
 * @since 0.1.0
 */
export const AdmissionOptions = Schema.Struct({
  /**
   * Time that a worker has to claim a session offered to it, before another worker gets the offer: 1 ms to 10 s; 5
   * ms.
   */
  revokeAfter: number({
    unit: "milliseconds",
    min: 1,
    max: 10 * SECOND,
    default: 5,
    requirement: "M15",
    description: "Time a worker has to claim a session offered to it before another worker gets the offer"
  }),
  /**
   * The wait of an offer that is no sign of a queue, in the sense of CoDel: 1 ms to 10 s; 5 ms. A worker is congested while
   * all that it is offered waits longer for `sojournInterval`, and clear with the first that does not. 0: workers are not
   * judged by that.
   */
  sojournTarget: number({
    unit: "milliseconds",
    min: 1,
    max: 10 * SECOND,
    default: 5,
    zero: "workers are not judged by it",
    requirement: "X7",
    description: "Wait of an offer that is no sign of a queue; a worker whose offers all wait longer is congested"
  }),
  /** Time after which a queue stands, and is no burst: 10 ms to 10 s; 100 ms. */
  sojournInterval: number({
    unit: "milliseconds",
    min: 10,
    max: 10 * SECOND,
    default: 100,
    requirement: "X7",
    description: "Time after which a queue stands, and is no burst"
  }),
  /**
   * Time from its first offer on in which a worker may have few open offers: 1, then 2, 4, … up to 128, in eight steps;
   * 1 ms to 10 min; 1 s. Others get what is beyond that, if there are others that take it. With an affinity it does not
   * hold. 0: a worker has its share from the start.
   */
  slowStart: number({
    unit: "milliseconds",
    min: 1,
    max: 10 * MINUTE,
    default: 1000,
    zero: "a worker has its share from the start",
    requirement: "X7",
    description: "Time from its first offer on in which a worker may have few open offers while others take sessions"
  }),
  /** What a listener does with a connection when no worker can take it: hold it for a while, or refuse it; `"hold"`. */
  policy: choice({
    words: ["hold", "refuse"],
    default: "hold",
    requirement: "M6",
    description: "What a listener does with a connection when every worker is congested"
  }),
  /**
   * The most connections that one listener holds, not counting those whose sessions have moved: 0 to 65536; 16384. Each
   * takes some 2 KiB of the host's memory, and a descriptor.
   */
  holdMax: number({
    unit: "connections",
    min: 0,
    max: 65536,
    default: 16_384,
    requirement: "M6",
    description: "The most connections that one listener holds"
  }),
  /** The longest time for which a connection is held: 1 ms to 5 min; 5 s. */
  holdTime: number({
    unit: "milliseconds",
    min: 1,
    max: 5 * MINUTE,
    default: 5 * SECOND,
    requirement: "M6",
    description: "The longest time for which a connection is held"
  }),
  /**
   * The most sessions that one worker may have open: 1 to 16777216; 16384. A worker with as many is offered no more.
   */
  maxSessionsPerWorker: number({
    unit: "sessions",
    min: 1,
    max: 2 ** 24,
    default: 16384,
    description: "The most sessions that one worker may have open"
  }),
  /**
   * The most requests that one worker may have in hand before it is offered a further session: 1 to 16777216, or
   * `"auto"`, as many as do not make its answers slower; 0, no limit. A session is in hand from its offer, and later from
   * when bytes come, until the first byte of an answer; with placement `"transfer"` as long as it is there. For
   * applications that answer requests, and wait for something else meanwhile.
   */
  maxConcurrent: numberOr({
    unit: "sessions",
    words: ["auto"],
    min: 1,
    max: 2 ** 24,
    default: 0,
    zero: "no limit",
    description: "The most requests that one worker may have in hand before it is offered a further session"
  }),
  /** The most sessions that one listener may have open: 1 to 16777216; 65536. Further connections are refused. */
  maxSessionsPerListener: number({
    unit: "sessions",
    min: 1,
    max: 2 ** 24,
    default: 65536,
    description: "The most sessions that one listener may have open"
  }),
  /** The most sessions that the application may have open: 1 to 16777216; 65536. Further connections are refused. */
  maxSessions: number({
    unit: "sessions",
    min: 1,
    max: 2 ** 24,
    default: MAX_SESSIONS,
    description: "The most sessions that the application may have open"
  }),
  /**
   * How many more sessions, held connections and requests in hand the class `"high"` may have, beyond each limit: 0 to
   * 65536; 16. Connections of the other classes can't take these.
   */
  reserve: number({
    unit: "sessions",
    min: 0,
    max: 65536,
    default: 16,
    description: "How many more sessions connections of high priority may have, beyond each limit"
  }),
  /** Connections that the system keeps for a listener until it accepts them: 1 to 65535; 511. */
  backlog: number({
    unit: "connections",
    min: 1,
    max: 65535,
    default: 511,
    description: "Connections that the system holds until the listener accepts them"
  }),
  /** Time that a connect has to succeed before it fails: 1 ms to 10 min; 10 s. */
  connectTimeout: number({
    unit: "milliseconds",
    min: 1,
    max: 10 * MINUTE,
    default: 10 * SECOND,
    requirement: "W14",
    description: "Time a connect has to succeed before it fails"
  }),
  /** The most connects that one worker may have under way: 1 to 65536; 1024. */
  maxHalfOpen: number({
    unit: "connects",
    min: 1,
    max: 65536,
    default: 1024,
    requirement: "W14",
    description: "The most connects that one worker may have under way"
  })
})
export type AdmissionOptions = typeof AdmissionOptions.Type
