/** Numbers in few columns, each with its unit. */
import { time } from "../Words.ts"

/** A count in up to seven columns: `81220`, `12.3M`. */
export const count = (value: number): string =>
  value < 10_000_000
    ? `${Math.round(value)}`
    : value < 1e10
    ? `${(value / 1e6).toFixed(1)}M`
    : `${(value / 1e9).toFixed(1)}G`

/** What happens in a second: `0.4`, `212`; a dash while it is not known. */
export const rate = (value: number | undefined): string =>
  value === undefined ? "-" : value < 9.95 ? `${Math.round(value * 10) / 10}` : count(value)

/** A time in up to six columns: `4.8 ms`, `12.3 s`, `12 min`, `5 h`; a dash for none. */
export const span = (millis: number): string => {
  if (millis <= 0) return "-"
  if (millis < 59_950) return time(millis)
  const minutes = Math.floor(Math.round(millis / 1000) / 60)
  if (minutes < 60) return `${minutes} min`
  return minutes < 100 * 60 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / (24 * 60))} d`
}

const SIZES = ["K", "M", "G", "T"] as const

/** A size in up to four columns, by powers of 1024: `212M`, `4.1G`. */
export const bytes = (value: number): string => {
  if (value < 1) return "0"
  let at = 0
  let size = value / 1024
  while (size >= 999.5 && at < SIZES.length - 1) {
    size /= 1024
    at++
  }
  return `${size < 9.95 ? Math.round(size * 10) / 10 : Math.round(size)}${SIZES[at]}`
}

/** A part of a whole: `61%`. */
export const share = (value: number): string => `${Math.round(100 * value)}%`

const BLOCKS = "▁▂▃▄▅▆▇█"

/** Values as a line of blocks, the latest last, of which `width` are shown; `highest` is as high as a block. */
export const sparkline = (values: ReadonlyArray<number>, highest: number, width: number): string =>
  values.slice(-width).map((value) => {
    const level = highest <= 0 ? 0 : Math.round(Math.min(1, value / highest) * (BLOCKS.length - 1))
    return BLOCKS[level]!
  }).join("").padStart(width)

/** How much of a limit is in use, and was at most. */
export const bar = (now: number, highest: number, limit: number, width: number): string => {
  const blocks = (value: number) => limit <= 0 ? 0 : Math.ceil(width * Math.min(1, value / limit))
  const full = blocks(now)
  const most = Math.max(full, blocks(highest))
  return `${"█".repeat(full)}${"▒".repeat(most - full)}${"·".repeat(Math.max(0, width - most))}`
}
