import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as History from "../../../../src/domain/overview/History.ts"
import type * as Report from "../../../../src/domain/report/Report.ts"
import type { WorkerHandle } from "../../../../src/domain/state/Handle.ts"
import { textOf, widthOf } from "../../../../src/layers/cli/top/ScreenText.ts"
import { draw, print } from "../../../../src/layers/cli/top/TopDrawing.ts"
import { app, listener, overview, worker } from "../../../support/Overviews.ts"
import * as Reports from "../../../support/Reports.ts"
import { handleOf } from "../../../support/Stage.ts"
import { at, frame, picture, rows } from "../../../support/TopFrames.ts"

const screen = (columns: number, rows: number) => ({ columns, rows })

const fixture = (name: string): ReadonlyArray<string> =>
  Fs.readFileSync(new URL(`../../../fixtures/top/${name}.txt`, import.meta.url), "utf8").replace(/\n$/, "").split("\n")

const restart = { _tag: "Restart", worker: handleOf<WorkerHandle>("0.1") } as const

describe("the screen of top", () => {
  it.each([[80, 24], [100, 30], [200, 50]])("is this at %d columns and %d rows", (columns, height) => {
    assert.deepStrictEqual(rows(screen(columns, height), { view: { worker: "0.1" } }), fixture(`${columns}x${height}`))
  })

  it("is in docs/operate.md as it is", () => {
    const docs = Fs.readFileSync(new URL("../../../../docs/operate.md", import.meta.url), "utf8")
    assert.include(docs, `\`\`\`text\n${picture()}\n\`\`\``)
  })

  it("is in the README, the more important lines of it", () => {
    const readme = Fs.readFileSync(new URL("../../../../README.md", import.meta.url), "utf8")
    const [, quoted = ""] = /```text\n(.*?)\n```/s.exec(readme) ?? []
    const lines = quoted.split("\n")
    assert.isAbove(lines.length, 5)
    const all = picture().split("\n")
    assert.deepStrictEqual(lines, all.filter((line) => lines.includes(line)))
  })

  it("is exactly as large as it is to be, however small, on every page", () => {
    const sessions: Report.SessionsReport = { total: 1, sessions: [Reports.session()] }
    for (const page of ["main", "listeners", "sessions", "why", "help"] as const) {
      for (const [columns, height] of [[1, 1], [10, 3], [40, 10], [80, 11], [80, 12], [79, 24], [250, 80]] as const) {
        for (const asked of [undefined, restart]) {
          const lines = draw(frame({ sessions, view: { page, asked } }), screen(columns, height)).map(textOf)
          assert.strictEqual(lines.length, height, `${page} ${columns}x${height}`)
          for (const line of lines) assert.isAtMost(widthOf(line), columns)
        }
      }
    }
  })

  it("says STALE and since when, and still shows what is known", () => {
    const [title, first, ...others] = rows(screen(80, 24), { stale: { millis: 4200, why: "no host answers on /x" } })
    assert.match(title!, /○ stale 4 s$/)
    assert.strictEqual(first, "STALE: the host does not answer, and this is how it was; no host answers on /x")
    assert.include(others.join("\n"), "STUCK")
  })

  it("names the command that does the same before anything is done", () => {
    const shown = rows(screen(80, 24), { control: "/run/my host.sock", view: { asked: restart } })
    assert.deepStrictEqual(shown.slice(-3), [
      "Restart worker 0.1? Its 41 sessions may finish until the drain timeout.",
      "the same as: sluice worker restart 0.1 --control '/run/my host.sock'",
      "y yes   any other key no"
    ])
  })

  it("keeps the selected worker on the screen, and says how many there are", () => {
    const workers = Array.from({ length: 40 }, (_, index) => worker({ handle: `${index}.0`, worker: index }))
    const history = History.add(undefined, overview({ workers }))
    const shown = rows(screen(80, 24), { history, view: { worker: "30.0" } })
    assert.isTrue(shown.some((line) => line.startsWith(">30.0")))
    assert.match(shown.find((line) => line.includes("Worker "))!, / \d+ of 40 workers$/)
    const filtered = rows(screen(80, 24), { history, view: { filter: "api 39" } })
    assert.match(filtered.find((line) => line.includes("Worker "))!, / filter "api 39" hides 39$/)
  })

  it("is not broken by names that are wide, long, or would command a terminal", () => {
    const name = "\u001b[2J界界界界界\u202e\n\t🎉e\u0301e\u0301e\u0301\u200b"
    const history = History.add(
      undefined,
      overview({
        apps: [app({ name })],
        workers: [worker({ app: name, lastFailure: name, state: "BACKOFF", takes: "nothing" })],
        listeners: [listener({ app: name, endpoint: `unix:///${name}` })],
        host: { machine: name },
        events: [{ serial: 1, time: 0, kind: "app-attached", app: name, worker: null, text: name }]
      })
    )
    for (const columns of [20, 80, 100, 200]) {
      const lines = rows(screen(columns, 24), { history })
      for (const line of lines) {
        assert.isAtMost(widthOf(line), columns)
        assert.notMatch(line, /[\p{Cc}\u202e]/u)
      }
    }
  })

  it("has sessions with their ends, and those that do not fit", () => {
    const sessions: Report.SessionsReport = {
      total: 9502,
      next: "age:9:1",
      sessions: [Reports.session(), Reports.session({ handle: "8.0" })]
    }
    const shown = rows(screen(80, 24), { sessions, view: { page: "sessions", session: "8.0", of: "0.0" } })
    assert.deepStrictEqual(shown.slice(7, 11), [
      " 2 of 9,502 sessions of worker 0.0, by age, n shows more",
      " Session  App      State      Remote                            Age*    In   Out",
      " 7.2      http 0   READY      127.0.0.1:54321                  1.5 s    1K    2K",
      ">8.0      http 0   READY      127.0.0.1:54321                  1.5 s    1K    2K"
    ])
  })

  it("prints the same facts without a screen, all of them", () => {
    const lines = print(frame({ interval: undefined }), 120).map(textOf)
    assert.strictEqual(lines[0], "sluice 0.3.0  web-1 4711  gen 4, up 3 h 12 min (all 9 d 4 h)")
    assert.strictEqual(lines.filter((line) => /^ [01]\.1 /.test(line)).length, 2)
    assert.strictEqual(lines.filter((line) => line.startsWith(" 12:04")).length, at(12).events.length)
    assert.notInclude(lines.join("\n"), "q quit")
  })
})
