/** Pictures of the last minute. Each has a text for whoever does not see it. */
import { SECONDS } from "./history.js"
import { NOTHING } from "./words.js"

const SVG = "http://www.w3.org/2000/svg"

/** An element of a picture. */
const shape = (name, attributes = {}) => {
  const made = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  return made
}

/** An element of the page. What it says is a text, never markup. */
export const make = (name, attributes = {}, ...inside) => {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value)
    else if (value !== undefined) made.setAttribute(key, value)
  }
  made.append(...inside)
  return made
}

/** Sets a text, where it is another one: a page that changes nothing costs nothing. */
export const say = (element, text) => {
  if (element.textContent !== text) element.textContent = text
}

export const set = (element, name, value) => {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value)
}

const at = (index, count) => SECONDS - count + index

/** A line through what is known, broken where nothing is. `high` is the value at the top. */
const line = (values, high, height) => {
  let path = ""
  let isDown = false
  for (const [index, value] of values.entries()) {
    if (value === null) isDown = false
    else {
      const y = height - Math.min(1, high === 0 ? 0 : value / high) * (height - 2) - 1
      path += `${isDown ? "L" : "M"}${at(index, values.length)} ${y.toFixed(2)}`
      // a single second would have no length
      if (!isDown) path += "h.4"
      isDown = true
    }
  }
  return path
}

const last = (values) => values.at(-1) ?? null
const highest = (values) => values.reduce((high, value) => Math.max(high, value ?? 0), 0)

const describe = (title, values, words) =>
  last(values) === null
    ? `${title}: nothing is known`
    : `${title}: now ${words(last(values))}, highest in the last minute ${words(highest(values))}`

const HEIGHT = 20

/** A line in the width of a cell. */
export class Spark {
  element = shape("svg", {
    class: "spark",
    role: "img",
    viewBox: `0 0 ${SECONDS} ${HEIGHT}`,
    preserveAspectRatio: "none"
  })
  #area = shape("path", { class: "area" })
  #line = shape("path")
  #over = shape("path", { class: "over" })

  constructor() {
    this.element.append(this.#area, this.#line, this.#over)
  }

  /** `over` has, for each second, whether it is to be marked. */
  draw(title, values, words, high = highest(values), over = []) {
    const path = line(values, high, HEIGHT)
    set(this.#line, "d", path)
    const from = at(values.findIndex((value) => value !== null), values.length)
    set(this.#area, "d", path === "" || path.lastIndexOf("M") > 0 ? "" : `${path}V${HEIGHT}H${from}Z`)
    const marks = over.flatMap((is, index) => is ? [`M${at(index, over.length)} ${HEIGHT - 1}h.9`] : [])
    set(this.#over, "d", marks.join(""))
    set(this.element, "aria-label", describe(title, values, words))
  }
}

const BOX = 10

/** A row of sixty boxes: how much of each second something was the case. */
export class Strip {
  element = shape("svg", { role: "img", viewBox: `0 0 ${SECONDS} ${BOX}`, preserveAspectRatio: "none" })
  #levels = ["clear", "some", "much"].map((level) => shape("path", { class: level }))

  constructor() {
    this.element.append(...this.#levels)
  }

  draw(title, values) {
    const paths = ["", "", ""]
    let sum = 0
    for (const [index, value] of values.entries()) {
      if (value === null) continue
      sum += value
      const level = value === 0 ? 0 : value < .5 ? 1 : 2
      paths[level] += `M${at(index, values.length)} 0h.86v${BOX}h-.86z`
    }
    for (const [level, path] of paths.entries()) set(this.#levels[level], "d", path)
    const seconds = Math.ceil(sum)
    set(this.element, "aria-label", `${title}: congested for ${seconds} of the last ${values.length} seconds`)
    return sum / Math.max(1, values.length)
  }
}

const CHART = 100
const STEPS = [1, 2, 5]

/** The next round number above: the top of a scale that seldom changes. */
const roundUp = (value) => {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-3)))
  for (const step of [...STEPS, 10]) if (value <= step * power) return step * power
  return 10 * power
}

const axis = () =>
  make("p", { class: "axis", "aria-hidden": "true" }, make("span", {}, `${SECONDS} s ago`), make("span", {}, "now"))

/** Several lines on one scale, each named and with what it is now. */
export class Chart {
  #plot = shape("svg", { role: "img", viewBox: `0 0 ${SECONDS} ${CHART}`, preserveAspectRatio: "none" })
  #lines
  #titles
  /** What each is now. */
  #values
  #top = make("span", { class: "top", "aria-hidden": "true" })
  #title
  #words

  constructor(place, title, names, words) {
    this.#title = title
    this.#words = words
    for (const y of [1, CHART / 2, CHART - 1]) {
      this.#plot.append(shape("path", { class: "grid", d: `M0 ${y}H${SECONDS}` }))
    }
    this.#lines = names.map((_, index) => shape("path", { class: `line-${index + 1}` }))
    this.#titles = names
    this.#plot.append(...this.#lines)
    this.#values = names.map(() => make("b"))
    const legend = names.flatMap((name, index) => [
      make("span", { class: `key mark-${index + 1}` }),
      `${name} `,
      this.#values[index]
    ])
    place.append(make("p", { class: "legend" }, ...legend), this.#top, this.#plot, axis())
  }

  /** `columns` has the values of each line. */
  draw(columns) {
    const high = roundUp(Math.max(...columns.map(highest)))
    for (const [index, values] of columns.entries()) {
      set(this.#lines[index], "d", line(values, high, CHART))
      const now = last(values)
      say(this.#values[index], now === null ? NOTHING : this.#words(now))
    }
    say(this.#top, this.#words(high))
    const text = columns.map((values, index) => describe(this.#titles[index], values, this.#words))
    set(this.#plot, "aria-label", `${this.#title}; ${text.join("; ")}`)
  }
}

/** How full something is: a bar with a mark at the highest, beside its words. */
export class Gauge {
  #fill = make("i")
  #mark = make("b")
  #track = make("span", { class: "track", "aria-hidden": "true" }, this.#fill, this.#mark)
  #text = make("span")
  element = make("div", { class: "gauge" }, this.#track, this.#text)

  draw(now, highest, limit, text) {
    const part = (value) => limit === 0 ? 0 : Math.min(1, value / limit)
    const width = `${(100 * part(now)).toFixed(1)}%`
    if (this.#fill.style.width !== width) this.#fill.style.width = width
    this.#mark.style.left = `calc(${(100 * part(highest)).toFixed(1)}% - 2px)`
    this.#mark.hidden = highest === 0
    set(this.#track, "data-level", part(now) >= .9 ? "bad" : part(now) >= .75 ? "warning" : "ok")
    say(this.#text, text)
  }
}
