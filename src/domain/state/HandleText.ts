/**
 * Handles as text from outside: `12.3` for slot 12 in its generation 3, as `Handle.format` writes them.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Handle from "./Handle.ts"

const FORM = /^(0|[1-9]\d{0,7})\.(0|[1-9]\d{0,8})$/

/**
 * What a handle is, worded to follow "must be".
 *
 * @category constants
 * @since 0.1.0
 */
export const HANDLE_RIGHT = `a handle such as "12.3", as show prints it`

/**
 * Reads a handle; `undefined` for a text that is not one.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = <H extends Handle.Handle>(text: string): H | undefined => {
  const match = FORM.exec(text)
  if (match === null) return undefined
  const [index, generation] = [Number(match[1]), Number(match[2])]
  return Handle.isValid(index, generation) ? Handle.make<H>(index, generation) : undefined
}

/**
 * Text on the outside, a handle on the inside.
 *
 * @category codecs
 * @since 0.1.0
 */
export const HandleFromString = <H extends Handle.Handle>() =>
  Schema.String.pipe(
    Schema.decodeTo(
      Schema.declare((input): input is H => typeof input === "number"),
      SchemaTransformation.transformEffect({
        decode: (text: string, options) => {
          const handle = parse<H>(text)
          return handle === undefined
            ? Effect.fail(new SchemaIssue.InvalidValue({ message: `it must be ${HANDLE_RIGHT}` }, text, options))
            : Effect.succeed(handle)
        },
        encode: (handle: H) => Effect.succeed(Handle.format(handle))
      })
    )
  )
