/**
 * What was thrown, for whoever runs a program: in one line, and as a stack that leads to the program's own code.
 *
 * Anything may be thrown, even a value that can't be turned into text, and it may come from a worker: texts are bounded
 * here, and whoever shows them escapes what is in them (`Visible`).
 */
import * as Cause from "effect/Cause"
import * as Formatter from "effect/Formatter"
import * as Util from "node:util"

/** The longest sentence and the longest stack, in characters. */
const MAX_SENTENCE = 1000
const MAX_STACK = 8000

const bounded = (text: string, longest: number): string => text.length <= longest ? text : `${text.slice(0, longest)} …`

/** What was thrown, told twice. */
export interface Trouble {
  /** One line, with the place in the program where that is known: `boom (/srv/app.ts:3:9)`. */
  readonly sentence: string
  /** The stack with its causes, or a code frame, as Node shows them; `undefined` where it has none. */
  readonly stack: string | undefined
}

/** Its first line: the rest is a stack. Anything may be thrown, even a value that can't be turned into text. */
export const sentenceOf = (thrown: unknown): string => {
  const text = messageOf(thrown)
  return bounded(text.split("\n", 1)[0]!, MAX_SENTENCE)
}

/** Errors that come from another thread are made without their constructor, so they are no native ones. */
const isError = (thrown: unknown): thrown is Error => {
  try {
    return Util.types.isNativeError(thrown) || thrown instanceof Error
  } catch {
    return false
  }
}

const messageOf = (thrown: unknown): string => {
  if (typeof thrown === "string") return thrown
  try {
    if (isError(thrown)) return String(thrown.message || thrown.name)
    return Formatter.format(thrown)
  } catch {
    return "what was thrown can't be shown"
  }
}

// ---- stacks

/** Where this program's own files are. */
const own = new URL("../../", import.meta.url).href

/** Frames in which no user finds anything: of this program, of Effect, and of Node's loader. */
const isForeign = (frame: string): boolean =>
  frame.includes(own) || frame.includes(own.slice("file://".length))
  || /[/\\]node_modules[/\\](?:effect|@effect[/\\][^/\\]+)[/\\]|node:internal[/\\](?:modules|process)[/\\]/.test(frame)
  || /at (?:async )?(?:Generator\.next \(<anonymous>\)|AsyncResource\.runInAsyncScope )/.test(frame)

const isFrame = (line: string): boolean => /^\s+at .*\S/.test(line)

const hasPlace = (frame: string): boolean => /:\d+:\d+\)?(?: \{)?$/.test(frame) && !frame.includes("node:")

/** The first line of a code frame: a file and a line in it. */
const isCodeFrame = (line: string): boolean => /^(?:file:\/\/)?\/.*:\d+$/.test(line)

/** The frames of a program: all of them where none is the program's. */
const trimmed = (text: string): string => {
  const lines = text.split("\n")
  const isOurs = lines.some((line) => isFrame(line) && isForeign(line) && hasPlace(line))
  const isTheirs = isCodeFrame(lines[0]!) || lines.some((line) => isFrame(line) && !isForeign(line) && hasPlace(line))
  const kept: Array<string> = []
  for (const line of lines) {
    if (!isFrame(line) || isOurs && !isTheirs || !isForeign(line)) kept.push(line)
    // what an error has besides its stack begins on the line of the last frame
    else if (line.endsWith(" {")) kept.push(`${kept.pop() ?? ""} {`)
  }
  return kept.join("\n")
}

/** As Node shows it, with its causes; getters are not called, nor what an object is shown by. */
const inspected = (thrown: unknown): string | undefined => {
  try {
    const text = Util.inspect(thrown, {
      customInspect: false,
      depth: 4,
      maxArrayLength: 10,
      maxStringLength: MAX_SENTENCE,
      breakLength: 120
    })
    // the name of one that comes from another thread
    return text.replace(/\b(\w+Error) \[Error\]/g, "$1")
  } catch {
    return undefined
  }
}

const pathOf = (place: string): string => {
  try {
    return decodeURI(place.replace(/^file:\/\//, ""))
  } catch {
    return place
  }
}

/** Where it happened: the place that a code frame names, or the first frame of the program. */
const placeOf = (stack: string): string | undefined => {
  const lines = stack.split("\n")
  const framed = isCodeFrame(lines[0]!) ? lines[0] : undefined
  const frame = lines.find((line) => isFrame(line) && !isForeign(line) && hasPlace(line))
  const place = framed ?? (frame === undefined ? undefined : /\(?([^\s(]+:\d+:\d+)\)?(?: \{)?$/.exec(frame)?.[1])
  return place === undefined ? undefined : pathOf(place)
}

const failureOf = (thrown: unknown, spans: ReadonlyArray<string>): Trouble => {
  const sentence = sentenceOf(thrown)
  if (!isError(thrown)) return { sentence, stack: undefined }
  const text = inspected(thrown)
  if (text === undefined) return { sentence, stack: undefined }
  const [first = "", ...rest] = trimmed(text).split("\n")
  const end = rest.findLastIndex(isFrame) + 1
  const stack = [first, ...rest.slice(0, end), ...spans, ...rest.slice(end)].join("\n")
  const place = placeOf(stack)
  return {
    sentence: place === undefined || sentence.includes(place) ? sentence : `${sentence} (${place})`,
    // what leads nowhere says no more than the sentence
    stack: end > 0 || place !== undefined || /\[(?:cause|errors)\]: /.test(stack)
      ? bounded(stack, MAX_STACK)
      : undefined
  }
}

/** What was thrown. */
export const of = (thrown: unknown): Trouble => failureOf(thrown, [])

/** What an effect has failed with, with the spans in which that happened. */
export const ofCause = (cause: Cause.Cause<unknown>): Trouble => {
  const error = Cause.squash(cause)
  const known = isError(error) ? inspected(error) ?? "" : ""
  const spans = Cause.prettyErrors(cause).flatMap(({ stack = "" }) => stack.split("\n"))
    .filter((line) => isFrame(line) && !isForeign(line) && !known.includes(line.trim()))
  return failureOf(error, [...new Set(spans)])
}
