/**
 * How the lines of the log look: for people (`pretty`), or one JSON object a line (`json`).
 *
 * What is logged may come from anywhere, and applications log what they like. So nothing that a terminal would obey is
 * written, lines of one entry behind its first are indented, and no value makes a logger throw: nobody can forge a line.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Formatter from "effect/Formatter"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import * as Util from "node:util"
import type { LogOptions } from "../../domain/options/LogOptions.ts"
import * as Thrown from "../../domain/report/Thrown.ts"
import * as Visible from "../../domain/report/Visible.ts"

/**
 * How the lines of the log look.
 *
 * @category models
 * @since 0.1.0
 */
export type LogFormat = LogOptions["format"]

/**
 * The look of a log, with what its terminal takes.
 *
 * @category models
 * @since 0.1.0
 */
export interface LogStyle {
  readonly format: LogFormat
  readonly colours: boolean
}

/** The longest line of the pretty format, in characters, without the date and what else comes before the message. */
const MAX_LINE = 4000
/** The most lines of one entry in the pretty format. */
const MAX_LINES = 200

/** What is told by one entry of the log. The application and the worker are annotations of their own. */
interface Entry {
  readonly timestamp: string
  readonly level: string
  readonly app: unknown
  readonly worker: unknown
  readonly message: string
  /** The stacks of errors. */
  readonly stack: string | undefined
  readonly annotations: Readonly<Record<string, unknown>>
  /** How long each span has lasted, in milliseconds. */
  readonly spans: Readonly<Record<string, number>>
  readonly fiberId: string
}

const textOf = (value: unknown): string => {
  if (typeof value === "string") return value
  try {
    return Formatter.format(value)
  } catch {
    return "[a value that can't be shown]"
  }
}

const troubleOf = (cause: Cause.Cause<unknown>): Thrown.Trouble => {
  const { sentence, stack } = Thrown.ofCause(cause)
  // a cause of several reasons has them all in its own text
  return { sentence, stack: cause.reasons.length === 1 ? stack : Cause.pretty(cause) }
}

const entryOf = (options: Logger.Options<unknown>): Entry => {
  const { annotations: { app, stack, worker, ...annotations }, fiberId, level, spans, timestamp } = Logger
    .formatStructured.log({ ...options, message: [], cause: Cause.empty })
  const words: Array<string> = []
  const stacks = stack === undefined ? [] : [textOf(stack)]
  const tell = (trouble: Thrown.Trouble): void => {
    words.push(trouble.sentence)
    if (trouble.stack !== undefined) stacks.push(trouble.stack)
  }
  for (const part of Arr.ensure(options.message)) {
    if (Util.types.isNativeError(part)) tell(Thrown.of(part))
    else words.push(textOf(part))
  }
  if (options.cause.reasons.length > 0) tell(troubleOf(options.cause))
  return {
    timestamp,
    level,
    app,
    worker,
    message: words.join(" "),
    stack: stacks.length === 0 ? undefined : stacks.join("\n"),
    annotations,
    spans,
    fiberId
  }
}

// ---- pretty

type Style = Parameters<typeof Util.styleText>[0]

const styles: Readonly<Record<LogLevel.LogLevel, Style>> = {
  All: "reset",
  None: "reset",
  Trace: "gray",
  Debug: "blue",
  Info: "green",
  Warn: "yellow",
  Error: "red",
  Fatal: ["bold", "red"]
}

const bounded = (line: string): string => line.length <= MAX_LINE ? line : `${line.slice(0, MAX_LINE)} …`

const linesOf = (text: string): ReadonlyArray<string> => Visible.lines(text).map(bounded)

const pretty = (colours: boolean): Logger.Logger<unknown, string> => {
  const paint = (style: Style, text: string): string =>
    colours ? Util.styleText(style, text, { validateStream: false }) : text
  return Logger.make((options) => {
    const { annotations, app, level, message, spans, stack, timestamp, worker } = entryOf(options)
    const about = [app, worker].filter((name) => name !== undefined).map((name) => bounded(Visible.line(textOf(name))))
    const [first = "", ...rest] = linesOf(message)
    const more = [
      ...Object.entries(annotations).map(([name, value]) => `${name}=${textOf(value)}`),
      ...Object.entries(spans).map(([name, millis]) => `${name}=${millis}ms`)
    ]
    const line = [
      paint("gray", timestamp),
      paint(styles[options.logLevel], level.padEnd(5)),
      ...(about.length === 0 ? [] : [paint("cyan", `[${about.join(" ")}]`)]),
      first,
      ...more.map((text) => paint("gray", bounded(Visible.line(text))))
    ].join(" ")
    return [line, ...[...rest, ...(stack === undefined ? [] : linesOf(stack))].slice(0, MAX_LINES - 1)].join("\n    ")
  })
}

// ---- JSON

const isEmpty = (record: object): boolean => Object.keys(record).length === 0

const jsonOf = ({ annotations, spans, ...entry }: Entry): string => {
  const whole = {
    ...entry,
    ...(isEmpty(annotations) ? {} : { annotations }),
    ...(isEmpty(spans) ? {} : { spans })
  }
  try {
    return Formatter.formatJson(whole)
  } catch {
    const shown = Object.fromEntries(Object.entries(annotations).map(([name, value]) => [name, textOf(value)]))
    return JSON.stringify({ ...whole, app: textOf(entry.app), worker: textOf(entry.worker), annotations: shown })
  }
}

// an escape of `Visible` is one of JSON, too
const json: Logger.Logger<unknown, string> = Logger.make((options) => Visible.line(jsonOf(entryOf(options))))

// ----

/**
 * A logger that makes lines of this style, for a log that goes elsewhere than to the standard error.
 *
 * @category constructors
 * @since 0.1.0
 */
export const lineOf = ({ colours, format }: LogStyle): Logger.Logger<unknown, string> =>
  format === "json" ? json : pretty(colours)

/** Whether colours may be written there. Node decides it: by the terminal, `NO_COLOR`, `FORCE_COLOR` and `TERM`. */
const takesColours = (stream: NodeJS.WritableStream): boolean => Util.styleText("red", "-", { stream }) !== "-"

const here = (format: LogFormat): LogStyle => ({ format, colours: takesColours(process.stderr) })

/**
 * The style of the log, in which workers on threads log, too; pretty unless a layer says otherwise.
 *
 * @category references
 * @since 0.1.0
 */
export const Current = Context.Reference<LogStyle>("sluice/LogStyle", { defaultValue: () => here("pretty") })

/**
 * Logs go to the standard error in this style: standard output is for what the user asked for.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerOf = (style: LogStyle): Layer.Layer<never> =>
  Layer.mergeAll(
    Logger.layer([Logger.withConsoleError(lineOf(style)), Logger.tracerLogger]),
    // an application may have loggers of its own
    Layer.succeed(Logger.LogToStderr, true),
    Layer.succeed(Current, style)
  )

const levels = {
  all: "All",
  trace: "Trace",
  debug: "Debug",
  info: "Info",
  warn: "Warn",
  error: "Error",
  fatal: "Fatal",
  none: "None"
} as const satisfies Readonly<Record<LogOptions["level"], LogLevel.LogLevel>>

/**
 * The log of a program, and of all workers of its hosts: lines of this format on the standard error, with colours if it
 * is a terminal, from this level on.
 *
 * **Details** The format is `"pretty"` unless another is given, and the level what the program has set otherwise
 * (`References.MinimumLogLevel`).
 *
 * **Example** (A host that logs one JSON object a line)
 *
 * ```ts
 * const layer = Host.layer.pipe(Layer.provideMerge(LogStyle.layer({ format: "json" })))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = ({ format = "pretty", level }: Partial<LogOptions> = {}): Layer.Layer<never> =>
  Layer.suspend(() =>
    Layer.merge(
      layerOf(here(format)),
      level === undefined ? Layer.empty : Layer.succeed(References.MinimumLogLevel, levels[level])
    )
  )
