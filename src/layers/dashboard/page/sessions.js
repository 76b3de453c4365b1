/**
 * Sessions, of a worker or of all. The host finds and sorts them among all that it has, and tells of a hundred at a time, so
 * that one of thousands is found.
 */
import { acts, askForToken, button, cancel, confirm, dialog } from "./actions.js"
import { ask, token } from "./live.js"
import { make, say } from "./pictures.js"
import { place } from "./seen.js"
import { column, Table, text } from "./tables.js"
import { bytes, known, NOTHING, number, things, time } from "./words.js"

const PAGE = 100

/** Milliseconds without a key after which the host is asked for what was typed. */
const TYPED = 200

/** What they can be sorted by, and what it is called. */
const SORTS = [
  ["age", "oldest first"],
  ["in", "most bytes in"],
  ["out", "most bytes out"],
  ["unread", "most unread"],
  ["unsent", "most unsent"],
  ["moves", "most moves"],
  ["remote", "peer"],
  ["worker", "worker"],
  ["state", "state"]
]

const sessionColumns = (isOfAll) => [
  text("Session", ({ handle }) => handle),
  ...(isOfAll ? [text("Worker", ({ app, worker }) => `${app} ${worker}`)] : []),
  text("Peer", ({ remote }) => remote ?? NOTHING),
  text("State", ({ parked, state }) => parked ? "parked" : state, "middle"),
  text("Age", ({ ageMillis }) => time(ageMillis), "number"),
  text("In", ({ bytesIn }) => known(bytesIn, bytes), "number middle"),
  text("Out", ({ bytesOut }) => known(bytesOut, bytes), "number middle"),
  column("", (cell) => {
    let session
    cell.append(
      button("Close", () => confirm(acts.closeSession(session))),
      " ",
      button("Reset", () => confirm(acts.resetSession(session)))
    )
    return (next) => void (session = next)
  })
]

/** What is asked for: whose sessions, which, in what order; and where the pages up to this one went on. */
const pathOf = ({ after, reversed, search, sort, worker }) => {
  const query = new URLSearchParams({ sort, limit: PAGE })
  if (worker !== undefined) query.set("worker", worker.handle)
  if (search !== "") query.set("search", search)
  if (reversed) query.set("reversed", "true")
  if (after.length > 0) query.set("after", after.at(-1))
  return `/v1/sessions?${query}`
}

/** How many there are, and which of them are shown. */
const countOf = ({ after, search }, { next, sessions, total }) => {
  const before = after.length * PAGE
  const all = `${things(total, "session")}${search === "" ? "" : ` with “${search}”`}`
  if (before === 0 && next === undefined) return all
  return `${before === 0 ? "" : `${number(before + 1)} to `}${number(before + sessions.length)} of ${all}`
}

class SessionList {
  #wanted
  #answered = { sessions: [], total: 0 }
  #asked = 0
  #typed
  #count = make("p", { class: "dim", role: "status" })
  #rows
  #back = button("Back", () => this.#turn(this.#wanted.after.slice(0, -1)))
  #next = button("Next", () => this.#turn([...this.#wanted.after, this.#answered.next]))

  constructor(worker) {
    this.#wanted = { worker, search: "", sort: "age", reversed: false, after: [] }
  }

  open() {
    const { worker } = this.#wanted
    const search = make("input", {
      id: "session-search",
      type: "search",
      placeholder: "peer, worker, state, handle…",
      autocomplete: "off",
      spellcheck: "false",
      "aria-label": "Find sessions"
    })
    search.addEventListener("input", () => {
      clearTimeout(this.#typed)
      this.#typed = setTimeout(() => this.#change({ search: search.value.trim() }), TYPED)
    })
    // Enter would close the dialog
    search.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault())
    const sort = make(
      "select",
      { "aria-label": "Order" },
      ...SORTS.map(([by, name]) => make("option", { value: by }, name))
    )
    sort.addEventListener("change", () => this.#change({ sort: sort.value }))
    const reversed = make("input", { type: "checkbox" })
    reversed.addEventListener("change", () => this.#change({ reversed: reversed.checked }))
    const table = make("table", { id: "sessions" })
    this.#rows = new Table(table, sessionColumns(worker === undefined), ({ handle }) => handle)
    dialog.open(worker === undefined ? "Sessions" : `Sessions of worker ${worker.worker} of ${worker.app}`, [
      make("div", { class: "find" }, search, sort, make("label", {}, reversed, " reversed")),
      this.#count,
      make("div", { class: "scroll" }, table)
    ], [this.#back, this.#next, cancel("Close")])
    search.focus()
    void this.#ask()
  }

  #change(change) {
    this.#wanted = { ...this.#wanted, ...change, after: [] }
    void this.#ask()
  }

  #turn(after) {
    this.#wanted = { ...this.#wanted, after }
    void this.#ask()
  }

  async #ask() {
    const asked = ++this.#asked
    try {
      const answer = await ask("GET", pathOf(this.#wanted))
      // others may be wanted by now, or another dialog be open
      if (asked === this.#asked && this.#count.isConnected) this.#draw(answer)
    } catch (error) {
      if (asked !== this.#asked || !this.#count.isConnected) return
      if (error.status !== 401) return void dialog.tell("bad", error.message)
      token.forget()
      if (await askForToken(error.message)) void openSessions(this.#wanted.worker)
    }
  }

  #draw(answer) {
    this.#answered = answer
    dialog.tell("", "")
    say(this.#count, countOf(this.#wanted, answer))
    this.#rows.draw(answer.sessions)
    this.#back.disabled = this.#wanted.after.length === 0
    this.#next.disabled = answer.next === undefined
  }
}

/** Shows those of a worker, or of all. */
export const openSessions = async (worker) => {
  if (token.get() === undefined && !(await askForToken("Sessions are shown to whoever has the host's token"))) return
  new SessionList(worker).open()
}

place("all-sessions").addEventListener("click", () => openSessions())
