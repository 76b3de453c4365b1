/**
 * The plan for one start of a worker: the layers of its stack take their options from it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type { AppOptions } from "../domain/options/AppOptions.ts"
import type { Histogram } from "../domain/state/Histogram.ts"
import type * as Ledger from "../domain/state/Ledger.ts"
import type { AppModule } from "./AppWorker.ts"
import type { WorkerInfo } from "./Sessions.ts"

/**
 * @category services
 * @since 0.1.0
 */
export class WorkerPlan extends Context.Service<WorkerPlan, {
  /** Which worker it is: its numbers, its application's name, and how often it was started. */
  readonly info: WorkerInfo
  /** The application's options. */
  readonly app: AppOptions
  /** Endpoint URIs that the application was told to serve. */
  readonly endpoints: ReadonlyArray<string>
  /** Whether the options name no endpoints: a program that listens by itself then listens where it says. */
  readonly suggested: boolean
  readonly module: AppModule
  /** Where the worker runs. */
  readonly place: WorkerInfo["kind"]
  /** Is told the URL of each file that the worker's thread loads as a module, apart from those in `node_modules`. */
  readonly loaded?: ((url: string) => void) | undefined
  /**
   * Is told that the worker's thread has not ended in time when it was to end, and when it has: it is in native code, and
   * what it can write to must stay as it is.
   */
  readonly lingers?: ((ended: Promise<unknown>) => void) | undefined
  /** Counts the worker's messages; it outlives the stack, so the counts add up over the worker's starts. */
  readonly ledger: Ledger.MessageLedger
  /** Counts for how long messages are postponed; it outlives the stack, too. */
  readonly ages?: Histogram | undefined
}>()("sluice/services/WorkerPlan") {}
