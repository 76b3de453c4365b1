/**
 * Options for the log of a host and its workers: how much is told, and how it looks.
 */
import * as Schema from "effect/Schema"
import { choice } from "./OptionFields.ts"

/** How the lines of the log look. */
export const logFormats = ["pretty", "json"] as const

/** The levels, from everything to nothing. */
export const logLevels = ["all", "trace", "debug", "info", "warn", "error", "fatal", "none"] as const

/** What is logged, and how. */
export const LogOptions = Schema.Struct({
  /** Lines for people (`"pretty"`), or one JSON object each (`"json"`); `"pretty"`. */
  format: choice({
    words: logFormats,
    default: "pretty",
    description: "Lines of the log on stderr: for people, or one JSON object each"
  }),
  /** The lowest level that is logged; `"info"`. */
  level: choice({
    words: logLevels,
    default: "info",
    description: "The lowest level that is logged, by the host and by its workers"
  })
})
export type LogOptions = typeof LogOptions.Type
