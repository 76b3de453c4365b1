/**
 * Names that people give: of applications, clients, namespaces, and session rules.
 */
import * as Schema from "effect/Schema"

const LONGEST_NAME = 64

/**
 * A name of an application, a client or a namespace: 1 to 64 characters, without control characters, and without spaces
 * at either end.
 *
 * @category models
 * @since 0.1.0
 */
export const Name = Schema.String.check(
  Schema.isMinLength(1),
  Schema.isMaxLength(LONGEST_NAME),
  Schema.isTrimmed(),
  Schema.makeFilter((text) => !/\p{Cc}/u.test(text))
)
/**
 * What a right {@link Name} is, worded to follow "must be".
 *
 * @category constants
 * @since 0.1.0
 */
export const NAME_RIGHT =
  `a text of 1 to ${LONGEST_NAME} characters, without control characters, and without spaces at either end`

/** A name in a JSON file: the part of its rules that a JSON Schema can tell. */
export const NAME_JSON = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(LONGEST_NAME))
