/**
 * docs/production.md: a row for each kind of event with the fields it has, and each reason there is. docs/operate.md: a row
 * for each reason, with what it means and what to do.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { HostEvent } from "../src/domain/events/HostEvent.ts"
import { MoveReason } from "../src/domain/report/Report.ts"
import { DropReasons, EndReasons, RefuseReasons } from "../src/domain/state/Ledger.ts"
import { ExitReasons, UnresponsiveReasons } from "../src/domain/state/WorkerEnd.ts"

const page = Fs.readFileSync(Path.join(import.meta.dirname, "../docs/production.md"), "utf8")
const section = page.slice(page.indexOf("\n## Events\n"), page.indexOf("\n## The log\n"))

/** What events have by what they are about; all have the first ones. */
const stamp = ["serial", "time", "at", "kind"]
const listener = ["app", "listener", "endpoint"]
const common: Readonly<Record<string, ReadonlyArray<string>>> = {
  host: [],
  app: ["app"],
  worker: ["app", "worker", "workerHandle", "generation"],
  listener,
  session: [...listener, "worker", "workerHandle", "session", "peer", "connection", "count", "withinMillis"]
}

const rows = Array.from(
  section.matchAll(/^\| `(\w+-[\w-]+)` \| (\w+) \| [^|]+ \| ([^|]*) \|$/gm),
  ([, kind = "", about = "", own = ""]) => ({
    kind,
    fields: [...stamp, ...common[about]!, ...Array.from(own.matchAll(/`(\w+)`/g), ([, name]) => name!)].sort()
  })
)

describe("the events of docs/production.md", () => {
  it("X5 are all that there are, each with its fields", () => {
    assert.deepStrictEqual(
      rows,
      HostEvent.members.map(({ fields }) => ({ kind: fields.kind.literal, fields: Object.keys(fields).sort() }))
    )
  })

  it("X5 have all reasons that there are", () => {
    const reasons = [
      ...RefuseReasons,
      ...MoveReason.literals,
      ...EndReasons,
      ...DropReasons,
      ...ExitReasons,
      ...UnresponsiveReasons
    ]
    assert.deepStrictEqual(reasons.filter((reason) => !section.includes(`\`${reason}\``)), [])
  })
})

describe("the reasons of docs/operate.md", () => {
  it("X5 are all that there are, each with what it means and what to do", () => {
    const operate = Fs.readFileSync(Path.join(import.meta.dirname, "../docs/operate.md"), "utf8")
    const table = operate.slice(operate.indexOf("<!-- reasons -->"), operate.indexOf("<!-- end of reasons -->"))
    const listed = Array.from(
      table.matchAll(/^\| `([\w-]+)` +\| `([\w-]+)` +\| +\S[^|]+\| +\S[^|]+\|$/gm),
      ([, kind, reason]) => `${kind} ${reason}`
    )
    const all = HostEvent.members.flatMap(({ fields }) =>
      "reason" in fields ? fields.reason.literals.map((reason) => `${fields.kind.literal} ${reason}`) : []
    )
    assert.sameMembers(listed, all)
  })
})
