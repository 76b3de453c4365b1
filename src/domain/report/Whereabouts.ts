/**
 * Where the JavaScript of a thread is, or why that is not known.
 */
import * as Schema from "effect/Schema"

/**
 * A place in a program: lines and columns count from 1, and are those of the sources where a source map leads there.
 */
export const CodePlace = Schema.Struct({
  /** The function's name; `(anonymous)` for one without a name. */
  functionName: Schema.String,
  /** A path, or a URL of something that is no file. */
  file: Schema.String,
  line: Schema.Int,
  column: Schema.Int
})
export type CodePlace = typeof CodePlace.Type

/**
 * Why the place is not known.
 */
export const UnplacedReasons = [
  /** The thread has not answered in time: it is in native code, or is not run. */
  "no-answer",
  /** Somebody else may be debugging the process, and is not disturbed. */
  "inspector-in-use",
  /** This process has no inspector, or no permission to use it. */
  "no-inspector",
  /** The worker has no thread of its own. */
  "no-thread"
] as const
export type UnplacedReason = typeof UnplacedReasons[number]

/**
 * What an event says of the place.
 */
export interface Whereabouts {
  readonly place: CodePlace | null
  readonly unplaced: UnplacedReason | null
}

const why = {
  "no-answer": "its thread is in native code, or gets no processor",
  "inspector-in-use": "the inspector is in use",
  "no-inspector": "there is no inspector",
  "no-thread": "it has no thread of its own"
} as const satisfies Record<UnplacedReason, string>

/** The place as short as it can be: `spin (app.ts:12)`. */
export const brief = ({ file, functionName, line }: CodePlace): string =>
  `${functionName} (${file.slice(file.lastIndexOf("/") + 1)}:${line})`

/** The place in a few words: `in spin (app.ts:12)`, `somewhere (…)`. */
export const phrase = ({ place, unplaced }: Whereabouts): string =>
  place === null
    ? `where its code is, is not known: ${why[unplaced ?? "no-answer"]}`
    : `its code is in ${place.functionName} (${place.file}:${place.line})`
