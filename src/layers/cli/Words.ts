/** How values are written for people: texts, sizes, times, shares, numbers of things. */
import * as ByteSize from "effect/ByteSize"

/** Control characters, other line ends, and what changes the direction of writing. */
const OBEYED = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu

/** Text on one line, without what a terminal would obey. */
export const printable = (text: string): string => text.replace(OBEYED, " ").trim()

/** As {@link printable}; a dash for nothing. */
export const orNone = (text: string | null): string => text === null || text === "" ? "-" : printable(text)

/** The words of a text in lines of this width; a longer word has a line of its own. */
export const folded = (text: string, width: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (const word of text.split(" ")) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

/** JSON on one line, in which nothing is left that a terminal would obey. */
const escaped = (line: string): string =>
  line.replace(
    OBEYED,
    (run) => Array.from(run, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`).join("")
  )

/** JSON for people and programs. */
export const json = (value: unknown): string => JSON.stringify(value, undefined, 2).split("\n").map(escaped).join("\n")

/** The same on one line. */
export const jsonLine = (value: unknown): string => escaped(JSON.stringify(value))

/** The address of an endpoint URI. */
export const address = (uri: string): string => printable(uri.replace(/^[a-z]+:\/\/(?=.)/, ""))

/** A number of things that may be many: `9,502`. */
export const grouped = (count: number): string => count.toLocaleString("en-US")

const oneDecimal = (value: number): string => String(Math.round(value * 10) / 10)

/** A size as a person reads it: `512 B`, `64 KiB`, `1.5 MiB`. */
export const size = (bytes: number): string =>
  ByteSize.format(ByteSize.fromInputUnsafe(Math.max(0, Math.round(bytes))), { precision: 1 })

/** A time as a person reads it: `0.4 ms`, `12 ms`, `1.5 s`, `2 min 3 s`, `5 h 6 min`, `3 d 4 h`. */
export const time = (millis: number): string => {
  if (millis < 10) return `${oneDecimal(millis)} ms`
  if (millis < 999.5) return `${Math.round(millis)} ms`
  if (millis < 59_950) return `${oneDecimal(millis / 1000)} s`
  const pair = (value: number, per: number, unit: string, rest: string) =>
    `${Math.floor(value / per)} ${unit} ${value % per} ${rest}`
  const seconds = Math.round(millis / 1000)
  if (seconds < 3600) return pair(seconds, 60, "min", "s")
  const minutes = Math.floor(seconds / 60)
  if (minutes < 24 * 60) return pair(minutes, 60, "h", "min")
  return pair(Math.floor(minutes / 60), 24, "d", "h")
}

/** Times in a few words: `p50 0.2 ms, p99 4.8 ms, longest 12 ms, 81 times`. */
export const times = ({ count, maxMillis, p50Millis, p99Millis }: {
  readonly count: number
  readonly maxMillis: number
  readonly p50Millis: number
  readonly p99Millis: number
}): string =>
  count === 0
    ? "-"
    : `p50 ${time(p50Millis)}, p99 ${time(p99Millis)}, longest ${time(maxMillis)}, ${plural(count, "time")}`

/** A share as a person reads it: `0 %`, `12.5 %`. */
export const percent = (value: number): string => `${oneDecimal(value)} %`

/** A date and a time of day, in UTC: `2027-03-01 12:30`. */
export const moment = (millis: number): string =>
  Math.abs(millis) <= 8.64e15 ? new Date(millis).toISOString().slice(0, -8).replace("T", " ") : "-"

/** A time of day with milliseconds, in UTC: `12:30:05.250`. */
export const clock = (millis: number): string =>
  Math.abs(millis) <= 8.64e15 ? new Date(millis).toISOString().slice(11, -1) : "-"

/** A number of things: `1 session`, `2 sessions`. */
export const plural = (count: number, one: string): string => `${grouped(count)} ${one}${count === 1 ? "" : "s"}`

/** Numbers in order, with neighbours joined: `0-3,7`. */
export const ranges = (numbers: ReadonlyArray<number>): string => {
  const runs: Array<[number, number]> = []
  for (const number of numbers.toSorted((a, b) => a - b)) {
    const last = runs.at(-1)
    if (last !== undefined && number <= last[1] + 1) last[1] = number
    else runs.push([number, number])
  }
  return runs.length === 0 ? "-" : runs.map(([from, to]) => from === to ? `${from}` : `${from}-${to}`).join(",")
}
