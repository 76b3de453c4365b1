import { assert, describe, it } from "@effect/vitest"
import * as Ledger from "../../../src/domain/state/Ledger.ts"
import * as ShowListeners from "../../../src/layers/cli/ShowListeners.ts"
import * as Reports from "../../support/Reports.ts"

const text = (lines: ReadonlyArray<string>) => lines.join("\n")

const some = [
  Reports.listener({
    workers: [1, 0],
    sessions: 14,
    held: 2,
    refused: { congested: 3, "rule-denied": 1 },
    ended: { idle: 7 }
  }),
  Reports.listener({
    handle: "5.0",
    app: "billing",
    appIndex: 1,
    client: "shop",
    endpoint: "tcp://[::1]:49152",
    requested: "tcp://[::1]:0",
    scopes: ["local", "global"],
    managers: [{ worker: 0, manager: 2 }, { worker: 1, manager: 0 }]
  }),
  Reports.listener({
    handle: "6.0",
    endpoint: "local://billing",
    requested: "local://billing",
    scopes: ["local"],
    managers: []
  })
]

describe("ShowListeners", () => {
  it("W21 says so when there are none", () => {
    assert.strictEqual(ShowListeners.format([], { verbose: false }), "no active listeners")
    assert.strictEqual(ShowListeners.format([], { verbose: true }), "no active listeners")
  })

  it("W21 shows handle, endpoint, app and scope, and why connections were refused", () => {
    assert.strictEqual(
      ShowListeners.format(some, { verbose: false }),
      text([
        "Listener  Endpoint        App      Scope   Workers  Sessions  Held  Refused",
        "0.1       127.0.0.1:8080  http     global  0-1            14     2        4",
        "  congested 3, rule-denied 1, ended idle 7",
        "5.0       [::1]:49152     billing  both    0               0     0        0",
        "6.0       billing         http     local   0               0     0        0"
      ])
    )
  })

  it("W21 W7 shows client, what was asked for, and segment managers when verbose", () => {
    const [, , , row] = ShowListeners.format(some, { verbose: true }).split("\n")
    assert.match(row!, /^5\.0 .* shop +tcp:\/\/\[::1\]:0 +0: 2, 1: 0$/)
  })

  it("fits 80 columns, however long the names are", () => {
    const report = Reports.listener({
      handle: "65535.9",
      endpoint: `tcp://${"host.".repeat(50)}example:65535`,
      app: "n".repeat(64),
      workers: Array.from({ length: 128 }, (_, index) => index * 2),
      sessions: 16_777_216,
      refused: Object.fromEntries(Ledger.RefuseReasons.map((reason) => [reason, 123_456]))
    })
    const lines = ShowListeners.format([report], { verbose: false }).split("\n")
    for (const line of lines) assert.isAtMost(line.length, 80, line)
    assert.match(lines[1]!, /…\S+example:65535 /)
    for (const reason of Ledger.RefuseReasons) assert.include(lines.join("\n"), `${reason} 123456`)
  })
})
