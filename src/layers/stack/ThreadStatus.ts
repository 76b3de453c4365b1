/**
 * What a worker's thread says of its start, over the thread's own port. A thread imports the type alone: it has no use for
 * schemas, which take longer to load than all the rest of it.
 */
import * as Schema from "effect/Schema"
import { ExitReasons } from "../../domain/state/WorkerEnd.ts"

export const ThreadStatus = Schema.Union([
  Schema.TaggedStruct("Ready", {}),
  Schema.TaggedStruct("Failed", {
    reason: Schema.Literals(ExitReasons),
    detail: Schema.String,
    trace: Schema.optionalKey(Schema.String)
  }),
  Schema.TaggedStruct("Runs", { task: Schema.String }),
  Schema.TaggedStruct("Leaving", { trace: Schema.String }),
  Schema.TaggedStruct("Loaded", { url: Schema.String }),
  Schema.TaggedStruct("Collected", { heapUsed: Schema.Finite })
])
export type ThreadStatus = typeof ThreadStatus.Type

/** Whether the thread says something of its start; what else an application posts there is not meant for the host. */
export const isThreadStatus = Schema.is(ThreadStatus)
