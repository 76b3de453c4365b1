/**
 * Tables whose rows stay themselves: a row is drawn once for each thing, and then only what has changed of it. So a row
 * keeps its focus, and a screen reader its place, while numbers change every second.
 */
import { make, say } from "./pictures.js"

/**
 * A column: its head, and what makes a cell. `cell` is called once for each row, and returns what draws it from then on.
 * `kind` is a class: `number`, `picture`, `middle` or `wide` for what a narrow screen leaves out.
 */
export const column = (head, cell, kind = "", hint = undefined) => ({ head, cell, kind, hint })

/** A cell that is a text. */
export const text = (head, words, kind, hint) => column(head, (cell) => (item) => say(cell, words(item)), kind, hint)

export class Table {
  #body = make("tbody")
  #columns
  #rows = new Map()
  #keyOf
  #tone

  /** `tone` gives a row its rank, for its colours. */
  constructor(table, columns, keyOf, tone = () => 0) {
    this.#columns = columns
    this.#keyOf = keyOf
    this.#tone = tone
    const heads = columns.map(({ head, hint, kind }) =>
      make(
        "th",
        { scope: "col", class: kind, title: hint },
        head === "" ? make("span", { class: "unseen" }, "actions") : head
      )
    )
    table.append(make("thead", {}, make("tr", {}, ...heads)), this.#body)
  }

  draw(items) {
    const there = new Set()
    let place = this.#body.firstElementChild
    for (const item of items) {
      const key = this.#keyOf(item)
      there.add(key)
      const row = this.#rows.get(key) ?? this.#add(key)
      row.element.dataset.rank = this.#tone(item)
      for (const draw of row.cells) draw(item)
      if (row.element === place) place = place.nextElementSibling
      else move(this.#body, row.element, place)
    }
    for (const [key, { element }] of this.#rows) {
      if (there.has(key)) continue
      element.remove()
      this.#rows.delete(key)
    }
  }

  #add(key) {
    const element = make("tr", { "data-key": key })
    const cells = this.#columns.map(({ cell, kind }, index) => {
      const place = index === 0 ? make("th", { scope: "row", class: kind }) : make("td", { class: kind })
      element.append(place)
      return cell(place)
    })
    const row = { element, cells }
    this.#rows.set(key, row)
    return row
  }
}

/** Moves a row, which keeps its focus. */
const move = (body, row, before) => {
  const focused = row.contains(document.activeElement) ? document.activeElement : undefined
  body.insertBefore(row, before)
  focused?.focus({ preventScroll: true })
}
