/**
 * Options of workers: what they run on, and how they are started, restarted and stopped.
 */
import * as Schema from "effect/Schema"
import { choice, number, optionalNumber, rule } from "./OptionFields.ts"
import { GiB, HOUR, MiB, MINUTE, print, SECOND } from "./OptionUnits.ts"

/**
 * What the workers of an application run on, and how they are started, restarted and stopped.
 *
 * @category models
 * @since 0.1.0
 */
export const WorkerOptions = Schema.Struct({
  /** Whether a worker has a thread of its own, or runs on the host's event loop; `"thread"`. */
  kind: choice({
    words: ["thread", "in-process"],
    default: "thread",
    description: "Whether a worker has a thread of its own or runs on the host's event loop"
  }),
  /** Time that a worker has from its start until it is ready: 100 ms to 10 min; 30 s. */
  startTimeout: number({
    unit: "milliseconds",
    min: 100,
    max: 10 * MINUTE,
    default: 30 * SECOND,
    description: "Time a worker has from its start until it is ready"
  }),
  /**
   * Wait before the first restart of a crashed worker: 1 ms to 1 min, no more than `backoffMax`; 100 ms. It doubles
   * with each crash that follows.
   */
  backoffBase: number({
    unit: "milliseconds",
    min: 1,
    max: MINUTE,
    default: 100,
    description: "Wait before the first restart of a crashed worker; it doubles with each crash that follows"
  }),
  /** The longest wait before a restart: 1 ms to 1 h; 10 s. */
  backoffMax: number({
    unit: "milliseconds",
    min: 1,
    max: HOUR,
    default: 10 * SECOND,
    description: "Longest wait before a restart"
  }),
  /**
   * Time for which a worker may take nothing, though messages wait for it, before it is replaced: 1 s to 1 h; 10 s.
   * `"off"`: it is not replaced. Only a worker that has a thread of its own can be.
   */
  stuckAfter: number({
    unit: "milliseconds",
    min: SECOND,
    max: HOUR,
    zero: "off",
    default: 10 * SECOND,
    description: "Time for which a worker may take nothing, though messages wait for it, before it is replaced",
    requirement: "X6"
  }),
  /** Time that a draining worker has to end its sessions before they are closed: 0 to 1 h; 10 s. */
  drainTimeout: number({
    unit: "milliseconds",
    min: 0,
    max: HOUR,
    default: 10 * SECOND,
    description: "Time a draining worker has to end its sessions before they are closed"
  }),
  /**
   * The most generations of a worker that run at once after reloads, the one that serves included: 2 to 64; 4. With one
   * more, the oldest ends, whatever sessions it has.
   */
  generationsMax: number({
    unit: "generations",
    min: 2,
    max: 64,
    default: 4,
    description: "Most generations of a worker that run at once after reloads, the one that serves included"
  }),
  /**
   * Time for which a start that has been replaced keeps its sessions, while its successor gets new ones only: 0 to 1 min;
   * 300 ms. A reload waits twice as long before the next worker's start, while the sessions go over.
   */
  handOver: number({
    unit: "milliseconds",
    min: 0,
    max: MINUTE,
    default: 300,
    description:
      "Time for which a start that has been replaced keeps its sessions, while its successor gets new ones only"
  }),
  /**
   * Where the number of workers is a range: time for which the load must fit in one worker less, with room, before one is
   * taken away: 1 s to 24 h; 1 min.
   */
  retireAfter: number({
    unit: "milliseconds",
    min: SECOND,
    max: 24 * HOUR,
    default: MINUTE,
    description: "Where workers is a range: time for which one worker less must be enough before one is taken away",
    requirement: "X8"
  }),
  /**
   * The largest heap that one worker thread may have, in MiB: 16 to 1048576; without it, what Node chooses. It
   * becomes `resourceLimits.maxOldGenerationSizeMb` of the thread.
   */
  heapLimitMiB: optionalNumber({
    unit: "MiB",
    min: 16,
    max: 1_048_576,
    absent: "what Node chooses",
    description: "The largest heap that one worker thread may have"
  }),
  /**
   * The heap with which a worker is replaced, before it dies of it: what is in use after garbage was collected, 16 MiB to
   * 1 TiB and below `heapLimitMiB`; without it, a worker is not replaced for that. Six tenths of the limit are a good choice:
   * V8 may end a thread when four fifths are in use.
   */
  maxHeap: optionalNumber({
    unit: "bytes",
    min: 16 * MiB,
    max: 1024 * GiB,
    absent: "none",
    description: "The heap in use, after garbage was collected, with which a worker is replaced by a new start",
    requirement: "X6"
  }),
  /**
   * The sessions after which a worker is replaced, spread over the last tenth so that not all go at once: 1 to 1,000,000,000;
   * without it, a worker is not replaced for that. A session is one connection, whatever number of requests it carries.
   */
  maxSessionsPerStart: optionalNumber({
    unit: "sessions",
    min: 1,
    max: 1_000_000_000,
    absent: "none",
    description: "Sessions after which a worker is replaced by a new start, spread over the last tenth of them",
    requirement: "X6"
  })
}).check(
  Schema.makeFilter(({ heapLimitMiB, maxHeap }) =>
    rule(
      heapLimitMiB === undefined || maxHeap === undefined || maxHeap < heapLimitMiB * MiB,
      ["maxHeap"],
      `less than heapLimitMiB, which is ${print("bytes", (heapLimitMiB ?? 0) * MiB)}`
    )
  ),
  Schema.makeFilter(({ backoffBase, backoffMax }) =>
    rule(
      backoffBase <= backoffMax,
      ["backoffBase"],
      `at most backoffMax, which is ${print("milliseconds", backoffMax)}`
    )
  )
)
export type WorkerOptions = typeof WorkerOptions.Type
