/** Numbers in words: each with its unit, and none so long that a column moves. */

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const LAST_DIGIT = 100
const TENTHS = 10

/** Three digits or so: `0.2`, `4.8`, `31`, `1 204`. */
export const number = (value) =>
  value < TENTHS && !Number.isInteger(value)
    ? value.toFixed(1)
    : Math.round(value).toLocaleString("en").replaceAll(",", "\u202f")

/** A time: `0.2 ms`, `31 ms`, `3.2 s`, `4 m 03 s`, `3 h 12 m`, `9 d 4 h`. */
export const time = (millis) => {
  if (millis < 1000) return `${number(millis)} ms`
  if (millis < MINUTE) return `${(millis / 1000).toFixed(millis < 10_000 ? 1 : 0)} s`
  if (millis < HOUR) return `${Math.floor(millis / MINUTE)} m ${pad(Math.floor(millis % MINUTE / 1000))} s`
  if (millis < DAY) return `${Math.floor(millis / HOUR)} h ${pad(Math.floor(millis % HOUR / MINUTE))} m`
  return `${Math.floor(millis / DAY)} d ${Math.floor(millis % DAY / HOUR)} h`
}

const pad = (value) => String(value).padStart(2, "0")

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"]

/** A size: `512 B`, `1.5 KiB`, `212 MiB`. */
export const bytes = (value) => {
  let unit = 0
  let rest = value
  while (rest >= 1024 && unit < UNITS.length - 1) {
    rest /= 1024
    unit++
  }
  return `${rest < LAST_DIGIT && unit > 0 ? rest.toFixed(1) : Math.round(rest)} ${UNITS[unit]}`
}

export const percent = (part) => `${Math.round(part * 100)} %`

/** How often in a second: `0/s`, `0.3/s`, `212/s`. */
export const rate = (value) => `${number(value)}/s`

/** How much of what there may be. */
export const part = (now, limit, words = number) => `${words(now)} / ${words(limit)}`

export const things = (count, thing) => `${number(count)} ${thing}${count === 1 ? "" : "s"}`

/** The time of day, as the reader's clock has it. */
export const clock = (epoch) => {
  const date = new Date(epoch)
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(pad).join(":")
}

/** What there is nothing to say of. */
export const NOTHING = "–"

/** `value` in words, or that it is not known. */
export const known = (value, words) => value === null || value === undefined ? NOTHING : words(value)
