/**
 * Options for what is let in and for what goes out: connections that arrive, and connects.
 */
import * as Schema from "effect/Schema"
import { choice, MINUTE, number, SECOND } from "./OptionFields.ts"

/**
 * What happens to a connection when it comes in (M6, M15), and how much a worker may connect (W14).
 *
 * **Details**
 *
 * - `revokeAfter`: milliseconds, 1 to 10000; 5 (M15).
 * - `policy`: `"hold"` or `"refuse"`, when every worker is congested; `"hold"` (M6).
 * - `holdMax`: connections, 0 to 65536; 1024 (M6).
 * - `holdTime`: milliseconds, 1 to 300000; 5000 (M6).
 * - `maxSessionsPerWorker`, `maxSessionsPerListener`, `maxSessions`: sessions, 1 to 16777216; 16384, 65536 and 65536.
 * - `backlog`: connections that the system keeps for the listener until it accepts them, 1 to 65535; 511.
 * - `connectTimeout`: milliseconds, 1 to 600000; 10000 (W14).
 * - `maxHalfOpen`: connects per worker, 1 to 65536; 1024 (W14).
 *
 * @category models
 * @since 0.1.0
 */
export const AdmissionOptions = Schema.Struct({
  revokeAfter: number({
    unit: "milliseconds",
    min: 1,
    max: 10 * SECOND,
    default: 5,
    requirement: "M15",
    description: "Time a worker has to claim a session offered to it before another worker gets the offer"
  }),
  policy: choice({
    words: ["hold", "refuse"],
    default: "hold",
    requirement: "M6",
    description: "What a listener does with a connection when every worker is congested"
  }),
  holdMax: number({
    unit: "connections",
    min: 0,
    max: 65536,
    default: 1024,
    requirement: "M6",
    description: "The most connections that one listener holds"
  }),
  holdTime: number({
    unit: "milliseconds",
    min: 1,
    max: 5 * MINUTE,
    default: 5 * SECOND,
    requirement: "M6",
    description: "The longest time for which a connection is held"
  }),
  maxSessionsPerWorker: number({
    unit: "sessions",
    min: 1,
    max: 2 ** 24,
    default: 16384,
    description: "The most sessions that one worker may have open"
  }),
  maxSessionsPerListener: number({
    unit: "sessions",
    min: 1,
    max: 2 ** 24,
    default: 65536,
    description: "The most sessions that one listener may have open"
  }),
  maxSessions: number({
    unit: "sessions",
    min: 1,
    max: 2 ** 24,
    default: 65536,
    description: "The most sessions that the application may have open"
  }),
  backlog: number({
    unit: "connections",
    min: 1,
    max: 65535,
    default: 511,
    description: "Connections that the system holds until the listener accepts them"
  }),
  connectTimeout: number({
    unit: "milliseconds",
    min: 1,
    max: 10 * MINUTE,
    default: 10 * SECOND,
    requirement: "W14",
    description: "Time a connect has to succeed before it fails"
  }),
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
