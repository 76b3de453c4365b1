/** What ARCHITECTURE.md shows is what the code says. */
import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as ListenerState from "../src/domain/state/ListenerState.ts"
import * as SessionState from "../src/domain/state/SessionState.ts"
import * as TakeoverState from "../src/domain/state/TakeoverState.ts"
import * as WorkerState from "../src/domain/state/WorkerState.ts"

const text = Fs.readFileSync(new URL("../ARCHITECTURE.md", import.meta.url), "utf8")

describe("the pictures of the state machines", () => {
  const { predecessor, successor } = TakeoverState
  for (const machine of [SessionState.machine, WorkerState.machine, ListenerState.machine, predecessor, successor]) {
    it(`ARCHITECTURE.md shows the states of a ${machine.name} as its table has them`, () => {
      const marker = `<!-- ${machine.name} states -->`
      const wanted = `${marker}\n\n\`\`\`mermaid\n${machine.diagram()}\n\`\`\`\n\n<!-- end -->`
      const start = text.indexOf(marker)
      const shown = start < 0 ? "" : text.slice(start, text.indexOf("<!-- end -->", start) + "<!-- end -->".length)
      assert(
        shown === wanted,
        `paste this into ARCHITECTURE.md, in place of what is between the same marks:\n\n${wanted}\n`
      )
    })
  }
})
