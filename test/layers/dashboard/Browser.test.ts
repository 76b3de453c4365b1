/**
 * The page in a real browser: Chromium, where the machine has one (Debian's `chromium`, or `SLUICE_TEST_CHROMIUM`).
 */
import { assert, describe, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { chromium } from "playwright-core"
import type * as Overview from "../../../src/domain/overview/Overview.ts"
import * as Dashboard from "../../../src/layers/dashboard/Dashboard.ts"
import * as SessionRulesMemory from "../../../src/layers/stores/SessionRulesMemory.ts"
import * as FakeSessionLayer from "../../support/FakeSessionLayer.ts"
import * as Overviews from "../../support/Overviews.ts"
import { has } from "../../support/programs.ts"
import * as Reports from "../../support/Reports.ts"
import { until } from "../../support/until.ts"

const executablePath = process.env["SLUICE_TEST_CHROMIUM"] ?? "/usr/bin/chromium"

const isThere = has(executablePath)

/** A page at this URL. What it complains of, and what it asks for elsewhere, is in `faults`. */
const open = Effect.fnUntraced(function*(url: string, size: { readonly width: number; readonly height: number }) {
  const browser = yield* Effect.acquireRelease(
    Effect.promise(() => chromium.launch({ executablePath, args: ["--no-sandbox"] })),
    (browser) => Effect.promise(() => browser.close())
  )
  const page = yield* Effect.promise(() => browser.newPage({ viewport: size }))
  const faults: Array<string> = []
  page.on("console", (line) => line.type() === "error" && faults.push(line.text()))
  page.on("pageerror", ({ message }) => faults.push(message))
  page.on("request", (request) => {
    const asked = new URL(request.url())
    if (asked.origin !== new URL(url).origin && asked.protocol !== "data:") faults.push(asked.href)
  })
  yield* Effect.promise(() => page.goto(url))
  return { page, faults }
})

const workers = (count: number, changes: Parameters<typeof Overviews.worker>[0] = {}) =>
  Array.from({ length: count }, (_, worker) => Overviews.worker({ worker, handle: `${worker}.0`, ...changes }))

describe.skipIf(!isThere)(
  `the page in Chromium${isThere ? "" : " (skipped: no chromium)"}`,
  () => {
    it.live(
      "X5 shows that a worker is congested, drains one by a click, and fits a telephone",
      () =>
        Effect.gen(function*() {
          const hostile = "<img src=x onerror=\"document.title='broken'\">"
          let shown: ReadonlyArray<Overview.WorkerView> = workers(64)
          let second = 0
          const deleted: Array<string> = []
          const printed: Array<string> = []
          const console: Console.Console = {
            ...globalThis.console,
            log: (line: string) => void printed.push(line)
          }
          yield* Layer.build(
            Dashboard.layer({
              at: { host: "127.0.0.1", port: 0 },
              names: [],
              token: Redacted.make("a-token-of-this-host")
            }).pipe(
              Layer.provide(FakeSessionLayer.layer({
                sessionPage: ({ search = "" }, { after, limit, sort } = {}) =>
                  Effect.succeed({
                    total: 9502,
                    sessions: Array.from({ length: limit! }, (_, at) =>
                      Reports.session({
                        handle: `${at}.0`,
                        remote: `tcp://${sort}-${search}-${after ?? "first"}:${at}`
                      })),
                    ...(after === undefined ? { next: `${sort}:7:5` } : {})
                  }),
                events: () => Stream.never,
                overview: Effect.sync(() => {
                  second++
                  return Overviews.overview({
                    at: 1000 * second,
                    host: { upMillis: 1000 * second },
                    workers: shown,
                    events: [{ serial: second, time: 0, kind: "worker-up", app: hostile, worker: 0, text: hostile }]
                  })
                }),
                deleteWorker: (worker) => Effect.sync(() => void deleted.push(String(worker)))
              })),
              Layer.provide(SessionRulesMemory.layer)
            )
          ).pipe(Effect.provideService(Console.Console, console))
          const [, url = ""] = /at (http\S+)$/.exec(printed[0]!) ?? []
          const { faults, page } = yield* open(`${url}#token=a-token-of-this-host`, { width: 1280, height: 900 })
          const does = <A>(does: () => Promise<A>) => Effect.promise(does)
          const appears = (selector: string) => does(() => page.waitForSelector(selector, { state: "attached" }))
          yield* appears("#workers tbody tr:nth-child(64)")
          assert.strictEqual(page.url(), url)
          assert.strictEqual(yield* does(() => page.getAttribute("#verdict", "data-level")), "ok")
          assert.include((yield* does(() => page.textContent("#events"))) ?? "", hostile)

          // a worker turns congested
          shown = shown.map((worker) =>
            worker.worker === 40 ? { ...worker, congested: true, takes: "congested", behindMillis: 3000 } : worker
          )
          yield* appears("#workers tbody tr:first-child[data-rank='2']")
          // the first overview that has it, or the one after
          assert.strictEqual(yield* does(() => page.textContent("#workers tbody tr .name")), "api 40")
          assert.strictEqual(yield* does(() => page.getAttribute("#verdict", "data-level")), "bad")
          assert.match((yield* does(() => page.textContent("#told"))) ?? "", /^bad: worker 40\.0 \(api 40\) is stuck/)

          // it is drained
          yield* does(() => page.click("#workers tbody tr .name"))
          yield* does(() => page.click("#dialog-buttons button:text-is('Drain')"))
          assert.strictEqual(yield* does(() => page.textContent("#dialog pre")), "sluice worker delete 40.0")
          assert.deepStrictEqual(deleted, [])
          yield* does(() => page.click("#dialog-buttons button.ends"))
          yield* appears("#dialog-result[data-level='ok']")
          yield* until("it is deleted", () => deleted.length === 1)
          yield* does(() => page.keyboard.press("Escape"))
          shown = shown.filter(({ worker }) => worker !== 40)
          yield* does(() => page.waitForSelector("#workers tbody tr:nth-child(64)", { state: "detached" }))

          // one of thousands of sessions is found by the host
          const reads = Effect.fnUntraced(function*(selector: string, text: string) {
            yield* appears(`${selector}:has-text("${text}")`)
          })
          yield* does(() => page.keyboard.press("S"))
          yield* reads("#dialog-body p", "100 of 9\u202f502 sessions")
          yield* reads("#sessions tbody tr:nth-child(100)", "tcp://age--first:99")
          yield* does(() => page.fill("#session-search", "10.0.0.7"))
          yield* reads("#sessions tbody tr", "tcp://age-10.0.0.7-first:0")
          yield* does(() => page.click("#dialog-buttons button:text-is('Next')"))
          yield* reads("#sessions tbody tr", "tcp://age-10.0.0.7-age:7:5:0")
          yield* reads("#dialog-body p", "101 to 200 of 9\u202f502 sessions with “10.0.0.7”")
          yield* does(() => page.selectOption("#dialog select", "in"))
          yield* reads("#sessions tbody tr", "tcp://in-10.0.0.7-first:0")
          yield* does(() => page.keyboard.press("Escape"))

          // by keys, and on a telephone
          yield* does(() => page.keyboard.press("j"))
          yield* does(() => page.keyboard.press("j"))
          assert.strictEqual(yield* does(() => page.evaluate("document.activeElement.textContent")), "api 1")
          yield* does(() => page.setViewportSize({ width: 390, height: 844 }))
          assert.strictEqual(yield* does(() => page.evaluate("document.documentElement.scrollWidth")), 390)
          assert.strictEqual(yield* does(() => page.evaluate("document.activeElement.textContent")), "api 1")
          assert.deepStrictEqual(faults, [])
        }).pipe(Effect.scoped),
      60_000
    )
  }
)
