/**
 * Options: what can be set, in which unit and within which bounds, and what holds when nothing is set (W4).
 *
 * Each group is a schema. It decodes from what a host has at hand: a number in the option's unit, text as it comes from
 * a flag, a file or the environment, and in programs any `Duration.Input` and `ByteSize.Input`.
 *
 * | kind    | decoded to          | text, besides the plain number                               |
 * |---------|---------------------|--------------------------------------------------------------|
 * | bytes   | bytes, whole        | `"64KiB"`, `"64k"` (the same), `"1.5 GiB"`, `"64 MB"`        |
 * | time    | milliseconds        | `"5ms"`, `"5 millis"`, `"5 secs"`, `"1.5 s"`, `"1m"` (1 min) |
 * | percent | a whole number      | `"80%"`                                                      |
 * | slots   | a power of two      | –                                                            |
 * | others  | a whole number      | –                                                            |
 *
 * A number may have underscores between its digits: `"65_536"`.
 *
 * Decoded values are plain numbers in plain readonly objects, so synchronous code reads them directly and a host may
 * spread {@link defaults}. Spreading checks nothing: whatever comes from outside goes through {@link decodeApp}.
 *
 * {@link decode} collects every problem before it fails, and each names the option by its path, the value given and
 * what would be right. A key that is not an option is a problem too; the message suggests the option that was probably
 * meant.
 *
 * Each group has a file of its own, and `AppOptions.ts` puts them together. Units come
 * from `OptionUnits.ts`, fields and their words from `OptionFields.ts`, messages from `OptionProblems.ts`.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { AppOptions } from "./AppOptions.ts"
import { type Form, infosOf } from "./OptionFields.ts"
import * as OptionProblems from "./OptionProblems.ts"
import { OptionsError, type OptionsErrorReason } from "./OptionsError.ts"
import { type Unit } from "./OptionUnits.ts"

export { AdmissionOptions } from "./AdmissionOptions.ts"
export { AppOptions, type AppOptionsInput } from "./AppOptions.ts"
export { Name, NAME_RIGHT } from "./Name.ts"
export type { Form } from "./OptionFields.ts"
export { OptionsError, OptionsErrorReason } from "./OptionsError.ts"
export type { SizeInput, TimeInput, Unit, UnitInput } from "./OptionUnits.ts"
export { QueueOptions, queueSegmentSize } from "./QueueOptions.ts"
export { ScopeOptions } from "./ScopeOptions.ts"
export { SegmentOptions } from "./SegmentOptions.ts"
export { WorkerOptions } from "./WorkerOptions.ts"

/**
 * One row of the table of options.
 *
 * @category models
 * @since 0.1.0
 */
export interface Documentation {
  /** Path of the option, for example `queue.indexQueue`. */
  readonly option: string
  readonly description: string
  readonly form: Form
  /** What one value is called in a help text, for example `size`. */
  readonly value: string
  readonly unit: Unit | undefined
  /** What a right value is, bounds included. */
  readonly range: string
  readonly default: string
  /** Row of the requirements that the option or its bound comes from. */
  readonly requirement: string | undefined
}

/**
 * Every option of an application, for help texts and tables.
 *
 * @category constants
 * @since 0.1.0
 */
export const documentation: ReadonlyArray<Documentation> = infosOf(AppOptions.fields).map(([option, info]) => ({
  option,
  description: info.description,
  form: info.form,
  value: info.value,
  unit: info.unit,
  range: info.right,
  default: info.default,
  requirement: info.requirement
}))

const invalid = ({ message, option }: OptionProblems.Told): OptionsErrorReason => ({
  _tag: "InvalidValue",
  option,
  message
})

/**
 * Decodes options from outside with a schema of this module: one group, or all options.
 *
 * **Details**
 *
 * The error has all problems, or the first 64 if there are more. Rules between options are checked once each option is
 * right by itself. `undefined` is taken as "not given".
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = <A, I>(schema: Schema.Codec<A, I> & { readonly fields: Schema.Struct.Fields }) => {
  const decodeUnknown = Schema.decodeUnknownResult(schema, { errors: "all", onExcessProperty: "error" })
  const known = new Map(infosOf(schema.fields))
  return (input: unknown): Result.Result<A, OptionsError> =>
    Result.mapError(decodeUnknown(input), (error) => {
      const [reason = { option: "options", message: error.message }, ...more] = OptionProblems.tell(
        error.issue,
        input,
        known
      )
      return new OptionsError({ reason: invalid(reason), more: more.map(invalid) })
    })
}

const unsupported = (option: string, given: unknown, right: string): OptionsErrorReason => ({
  _tag: "UnsupportedConfig",
  option,
  message: `${option}: got ${OptionProblems.printGiven(given)}; ${right}`
})

const unserved = (app: AppOptions): ReadonlyArray<OptionsErrorReason> => {
  const reasons: Array<OptionsErrorReason> = []
  if (app.proxiedTransports.some((transport) => transport !== "tcp")) {
    reasons.push(unsupported("proxiedTransports", app.proxiedTransports, `this runtime serves proxies of "tcp" only`))
  } else if (app.proxiedTransports.length > 0 && !app.scope.local) {
    // no transport of the system can listen on every port
    reasons.push(
      unsupported(
        "proxiedTransports",
        app.proxiedTransports,
        "a proxy listens on every port, which only local scope can; set scope.local to true"
      )
    )
  }
  if (app.tlsEngine !== undefined) {
    reasons.push(
      unsupported("tlsEngine", app.tlsEngine, "this runtime has Node's own TLS engine and no other; leave it out")
    )
  }
  return reasons
}

const decodeAppOptions = decode(AppOptions)

/**
 * Decodes the options of an application, and refuses options that this runtime can't serve (W4).
 *
 * **Details**
 *
 * Fails with `InvalidValue` reasons if anything is not well formed, otherwise with `UnsupportedConfig` reasons for
 * proxied transports other than `"tcp"` or without `scope.local` (W18), and for a TLS engine (W4). Whether the
 * namespace exists is checked by the host.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decodeApp = (input: unknown): Result.Result<AppOptions, OptionsError> =>
  Result.flatMap(decodeAppOptions(input), (app) => {
    const [reason, ...more] = unserved(app)
    return reason === undefined ? Result.succeed(app) : Result.fail(new OptionsError({ reason, more }))
  })

/**
 * What holds when nothing is set.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: AppOptions = Result.getOrThrow(decodeApp({}))
