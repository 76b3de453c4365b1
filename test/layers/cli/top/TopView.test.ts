import { assert, describe, it } from "@effect/vitest"
import { initial, type TopChoice } from "../../../../src/layers/cli/top/TopChoice.ts"
import { sessionQuery, workersOf } from "../../../../src/layers/cli/top/TopRows.ts"
import { type Key, type Known, press, type Pressed } from "../../../../src/layers/cli/top/TopView.ts"
import { app, overview, worker } from "../../../support/Overviews.ts"
import * as Reports from "../../../support/Reports.ts"

const workers = [
  worker({ handle: "0.0" }),
  worker({ handle: "1.0", worker: 1, behindMillis: 3000, congested: true }),
  worker({ handle: "2.0", worker: 2, state: "BACKOFF", claim: { p99Millis: 9 } })
]
const known: Known = {
  overview: overview({ workers }),
  sessions: { total: 2, sessions: [Reports.session(), Reports.session({ handle: "8.1" })] },
  rows: 10,
  above: 12
}

const keyOf = (key: string): Key =>
  key.startsWith("^")
    ? { name: key.slice(1), text: "", ctrl: true }
    : { name: key, text: key.length === 1 ? key : "", ctrl: false }

/** The view after these keys, and what the last one wants done. */
const after = (keys: string, from: TopChoice = initial): Pressed =>
  keys.split(" ").reduce<Pressed>(({ view }, key) => press(view, keyOf(key), known), { view: from })

describe("the keys of top", () => {
  it("has whoever is in trouble on top, and other orders", () => {
    const handles = (view: TopChoice) => workersOf(known.overview, view).map(({ handle }) => handle)
    assert.deepStrictEqual(handles(initial), ["1.0", "2.0", "0.0"])
    assert.deepStrictEqual(handles(after("O").view), ["0.0", "2.0", "1.0"])
    assert.deepStrictEqual(handles(after("o").view), ["2.0", "0.0", "1.0"])
    assert.strictEqual(after("o").view.said?.text, "ordered by Claim p99")
    assert.deepStrictEqual(handles(after("o o o o o o o").view), handles(initial))
  })

  it("selects workers in the order in which they stand, and stays at the ends", () => {
    assert.strictEqual(after("down").view.worker, "1.0")
    assert.strictEqual(after("j j").view.worker, "2.0")
    assert.strictEqual(after("j j j j k").view.worker, "2.0")
    assert.strictEqual(after("G").view.worker, "0.0")
    assert.strictEqual(after("pagedown up").view.worker, "1.0")
    assert.isUndefined(after("j escape").view.worker)
  })

  it("does nothing to a host before y has answered, and any other key is a no", () => {
    const { intent, view } = after("j R")
    assert.isUndefined(intent)
    assert.strictEqual(view.asked?._tag, "Restart")
    assert.deepStrictEqual(after("y", view).intent, { _tag: "Act", action: view.asked! })
    for (const key of ["n", "q", "escape", "return", "Y", "R", " "]) {
      const no = press(view, keyOf(key), known)
      assert.isUndefined(no.intent, key)
      assert.isUndefined(no.view.asked, key)
      assert.strictEqual(no.view.said?.text, "worker 1.0 was not restarted")
    }
    assert.deepStrictEqual(after("^c", view).intent, { _tag: "Quit" })
  })

  it("asks about what is selected, and says what to select where nothing is", () => {
    assert.deepInclude(after("j d").view.asked, { _tag: "Delete" })
    assert.deepInclude(after("j r").view.asked, { _tag: "Reload", app: "api" })
    // there is no other application
    assert.deepInclude(after("r").view.asked, { _tag: "Reload", app: "api" })
    const two = { ...known, overview: overview({ workers, apps: [app(), app({ index: 1, name: "jobs" })] }) }
    assert.include(press(initial, keyOf("r"), two).view.said?.text, "select a worker")
    assert.include(after("R").view.said?.text, "select a worker")
    assert.include(after("c").view.said?.text, "show sessions with s")
    assert.deepInclude(after("s j c").view.asked, { _tag: "Close" })
  })

  it("leads to sessions, listeners, stories and help, and back by Esc", () => {
    assert.deepInclude(after("j s").view, { page: "sessions", of: "1.0" })
    assert.deepStrictEqual(after("j return").intent, { _tag: "Refresh" })
    assert.strictEqual(after("s escape").view.page, "main")
    assert.strictEqual(after("l").view.page, "listeners")
    assert.strictEqual(after("l l").view.page, "main")
    assert.strictEqual(after("l ? escape").view.page, "listeners")
    assert.deepStrictEqual(after("j w").intent, { _tag: "Tell", kind: "worker", handle: "1.0" })
    assert.deepStrictEqual(after("s j j w").intent, { _tag: "Tell", kind: "session", handle: "8.1" })
    assert.strictEqual(after("j w q").view.page, "main")
    assert.deepStrictEqual(after("q").intent, { _tag: "Quit" })
    assert.deepStrictEqual(after("^z").intent, { _tag: "Suspend" })
  })

  it("asks for other sessions by order, filter and page, and begins again at the first page", () => {
    const next = { ...known, sessions: { ...known.sessions!, next: "age:8:5" } }
    const pressed = (keys: string) =>
      keys.split(" ").reduce<Pressed>(({ view }, key) => press(view, keyOf(key), next), { view: initial })
    const asked = (keys: string) => sessionQuery(pressed(keys).view)
    assert.deepStrictEqual(asked("j s"), { worker: "1.0", sort: "age", limit: 100 })
    assert.deepStrictEqual(asked("s n"), { after: "age:8:5", sort: "age", limit: 100 })
    assert.deepStrictEqual(asked("s n n p p"), { sort: "age", limit: 100 })
    assert.deepStrictEqual(asked("s n o"), { sort: "in", limit: 100 })
    assert.deepStrictEqual(asked("s n O"), { sort: "age", reversed: true, limit: 100 })
    assert.deepStrictEqual(asked("s n / a b"), { search: "ab", sort: "age", limit: 100 })
    assert.deepStrictEqual(asked("s / a return n"), { search: "a", after: "age:8:5", sort: "age", limit: 100 })
    assert.deepStrictEqual(asked("s / a return n escape"), { sort: "age", limit: 100 })
    for (const keys of ["s n", "s o", "s O", "s / a", "s / a escape", "s / a return escape"]) {
      assert.deepStrictEqual(pressed(keys).intent, { _tag: "Refresh" }, keys)
    }
    assert.isUndefined(pressed("s / a return").intent)
    assert.include(pressed("s p").view.said?.text, "first page")
    assert.include(after("s n").view.said?.text, "last page")
    // not what the workers are sorted by
    assert.strictEqual(pressed("s o").view.order, 0)
  })

  it("scrolls what is read, and no further than its end", () => {
    assert.strictEqual(after("? j j k").view.above, 1)
    assert.strictEqual(after("? pagedown pagedown").view.above, 12)
    assert.strictEqual(after("? G k").view.above, 11)
    assert.strictEqual(after("? k").view.above, 0)
    assert.strictEqual(after("l end home").view.above, 0)
  })

  it("filters as it is typed; keys are letters then", () => {
    const typing = after("/ a p i q").view
    assert.strictEqual(typing.typing, "apiq")
    assert.deepStrictEqual(workersOf(known.overview, typing), [])
    const set = after("backspace return", typing).view
    assert.deepInclude(set, { filter: "api", typing: undefined })
    assert.strictEqual(after("escape", set).view.filter, "")
    assert.strictEqual(after("/ x escape", set).view.filter, "api")
    assert.strictEqual(workersOf(known.overview, after("/ b a c k").view).length, 1)
    // what a terminal would obey is not typed
    assert.strictEqual(press(typing, { name: "", text: "\u001b[2J", ctrl: false }, known).view.typing, "apiq")
  })
})
