/**
 * Why options were not taken.
 */
import * as Schema from "effect/Schema"

/**
 * What is wrong with an option.
 *
 * **Details**
 *
 * - `InvalidValue`: the value is not well formed or out of its bounds, or there is no such option.
 * - `UnsupportedConfig`: the value is right, but this runtime can't serve it.
 *
 * `option` is a path such as `queue.indexQueue`; `message` names it, the value given and what would be right.
 *
 * @category errors
 * @since 0.1.0
 */
export const OptionsErrorReason = Schema.TaggedUnion({
  InvalidValue: { option: Schema.String, message: Schema.String },
  UnsupportedConfig: { option: Schema.String, message: Schema.String }
})
export type OptionsErrorReason = typeof OptionsErrorReason.Type

/**
 * The options were not taken: nothing has changed.
 *
 * **Details**
 *
 * `reason` is the first problem, `more` are the others; the message has a line for each.
 *
 * @category errors
 * @since 0.1.0
 */
export class OptionsError extends Schema.TaggedError<OptionsError>()("OptionsError", {
  reason: OptionsErrorReason,
  more: Schema.Array(OptionsErrorReason)
}) {
  override get message(): string {
    return [this.reason, ...this.more].map((reason) => reason.message).join("\n")
  }
}
