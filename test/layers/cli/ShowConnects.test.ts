import { assert, describe, it } from "@effect/vitest"
import * as ShowConnects from "../../../src/layers/cli/ShowConnects.ts"
import * as Reports from "../../support/Reports.ts"

const text = (lines: ReadonlyArray<string>) => lines.join("\n")

describe("ShowConnects", () => {
  it("W21 says so when there are none", () => {
    for (const verbose of [false, true]) assert.strictEqual(ShowConnects.format([], { verbose }), "no connects")
  })

  it("W14 W21 shows whose connects they are, where they go, and how long they may take", () => {
    const some = [Reports.connect(), Reports.connect({ scope: "local", source: "tcp://10.0.0.1:0", ageMillis: 9_900 })]
    assert.strictEqual(
      ShowConnects.format(some, { verbose: false }),
      text([
        "App   Worker  Endpoint            Source            Scope      Age  Timeout",
        "http  0       tcp://10.0.0.7:443  -                 global  250 ms     10 s",
        "http  0       tcp://10.0.0.7:443  tcp://10.0.0.1:0  local    9.9 s     10 s"
      ])
    )
    assert.strictEqual(
      ShowConnects.format(some.slice(0, 1), { verbose: true }),
      text([
        "App   Worker  Endpoint            Source  Scope      Age  Timeout  App index  Worker handle  Request",
        "http  0       tcp://10.0.0.7:443  -       global  250 ms     10 s          0  0.0                  3"
      ])
    )
  })

  it("fits 80 columns, however long names are", () => {
    const long = Reports.connect({
      app: "n".repeat(64),
      worker: 255,
      endpoint: `tcp://${"host.".repeat(50)}example:65535`,
      source: "tcp://[2001:db8:1111:2222:3333:4444:5555:6666]:65535",
      timeoutMillis: 599_000
    })
    for (const line of ShowConnects.format([long], { verbose: false }).split("\n")) {
      assert.isAtMost(line.length, 80, line)
    }
  })
})
