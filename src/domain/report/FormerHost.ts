/**
 * A host that another one has followed (X4), and that has not ended yet: it finishes what it had in hand.
 */
import * as Schema from "effect/Schema"
import { Count } from "./ReportFields.ts"

/**
 * @category models
 * @since 0.1.0
 */
export const FormerHost = Schema.Struct({
  pid: Count,
  /** The sessions that it still has. */
  sessions: Count,
  /** Milliseconds after which it ends, whatever it has then. */
  endsWithinMillis: Schema.Finite
})
export type FormerHost = typeof FormerHost.Type
