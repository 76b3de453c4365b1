import { assert, describe, it } from "@effect/vitest"
import type * as Report from "../../../src/domain/report/Report.ts"
import * as ShowLocal from "../../../src/layers/cli/ShowLocal.ts"
import * as Reports from "../../support/Reports.ts"

const text = (lines: ReadonlyArray<string>) => lines.join("\n")

const listener = { namespace: "default", endpoint: "local://billing", app: "billing", appIndex: 1, listener: "2.0" }

const locals: Report.LocalsReport = {
  listeners: [listener],
  sessions: [Reports.localSession()],
  connects: [Reports.connect({ scope: "local", endpoint: "local://billing" })]
}

describe("ShowLocal", () => {
  it("W21 says what there is none of", () => {
    assert.strictEqual(
      ShowLocal.format({ listeners: [], sessions: [], connects: [] }, { verbose: false }),
      text(["no local listeners", "", "no local sessions", "", "no local connects"])
    )
  })

  it("W16 W17 W21 shows local listeners, sessions with both their ends, and connects", () => {
    assert.strictEqual(
      ShowLocal.format(locals, { verbose: false }),
      text([
        "Listener  Endpoint         App      Namespace",
        "2.0       local://billing  billing  default",
        "",
        "Endpoint         Server     Session  State  Client  Session  State",
        "local://billing  billing 1  8.0      READY  http 0  9.4      TRANSPORT_CLOSING",
        "",
        "App   Worker  Endpoint         Source  Scope     Age  Timeout",
        "http  0       local://billing  -       local  250 ms     10 s"
      ])
    )
  })

  it("W16 shows workers' handles, memory and age when verbose", () => {
    const [, , , head, session] = ShowLocal.format(locals, { verbose: true }).split("\n")
    assert.match(head!, /Server worker +Client worker +Segment +Age$/)
    assert.match(session!, / 3\.1 +0\.0 +128\.3 KiB +1 min 1 s$/)
  })

  it("fits 80 columns, however long names are", () => {
    const app = "n".repeat(64)
    const end = {
      app,
      appIndex: 9,
      worker: 255,
      workerHandle: "9.9",
      session: "16777.99",
      state: "TRANSPORT_CLOSED"
    } as const
    const long: Report.LocalsReport = {
      listeners: [{ ...listener, app, namespace: app, endpoint: `local://${app}` }],
      sessions: [Reports.localSession({ endpoint: `local://${app}`, server: end, client: { ...end, state: "READY" } })],
      connects: []
    }
    for (const line of ShowLocal.format(long, { verbose: false }).split("\n")) assert.isAtMost(line.length, 80, line)
  })
})
