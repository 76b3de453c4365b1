/**
 * Options of workers: what they run on, and how they are started, restarted and stopped.
 */
import * as Schema from "effect/Schema"
import { choice, HOUR, MINUTE, number, optionalNumber, print, rule, SECOND } from "./OptionFields.ts"

/**
 * What the workers of an application run on, and how they are started, restarted and stopped.
 *
 * **Details**
 *
 * - `kind`: `"thread"` or `"in-process"`; `"thread"`.
 * - `startTimeout`: milliseconds, 100 to 600000; 30000.
 * - `backoffBase`: milliseconds, 1 to 60000, at most `backoffMax`; 100.
 * - `backoffMax`: milliseconds, 1 to 3600000; 10000.
 * - `drainTimeout`: milliseconds, 0 to 3600000; 10000.
 * - `heapLimitMiB`: MiB, 16 to 1048576; when absent, what Node chooses. It becomes
 *   `resourceLimits.maxOldGenerationSizeMb` of a worker thread.
 *
 * @category models
 * @since 0.1.0
 */
export const WorkerOptions = Schema.Struct({
  kind: choice({
    words: ["thread", "in-process"],
    default: "thread",
    description: "Whether a worker has a thread of its own or runs on the host's event loop"
  }),
  startTimeout: number({
    unit: "milliseconds",
    min: 100,
    max: 10 * MINUTE,
    default: 30 * SECOND,
    description: "Time a worker has from its start until it is ready"
  }),
  backoffBase: number({
    unit: "milliseconds",
    min: 1,
    max: MINUTE,
    default: 100,
    description: "Wait before the first restart of a crashed worker; it doubles with each crash that follows"
  }),
  backoffMax: number({
    unit: "milliseconds",
    min: 1,
    max: HOUR,
    default: 10 * SECOND,
    description: "Longest wait before a restart"
  }),
  drainTimeout: number({
    unit: "milliseconds",
    min: 0,
    max: HOUR,
    default: 10 * SECOND,
    description: "Time a draining worker has to end its sessions before they are closed"
  }),
  heapLimitMiB: optionalNumber({
    unit: "MiB",
    min: 16,
    max: 1_048_576,
    absent: "what Node chooses",
    description: "The largest heap that one worker thread may have"
  })
}).check(
  Schema.makeFilter(({ backoffBase, backoffMax }) =>
    rule(
      backoffBase <= backoffMax,
      ["backoffBase"],
      `at most backoffMax, which is ${print("milliseconds", backoffMax)}`
    )
  )
)
export type WorkerOptions = typeof WorkerOptions.Type
