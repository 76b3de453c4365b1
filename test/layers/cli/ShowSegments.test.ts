import { assert, describe, it } from "@effect/vitest"
import * as ShowSegments from "../../../src/layers/cli/ShowSegments.ts"
import * as Reports from "../../support/Reports.ts"

const MiB = 1024 * 1024

const text = (lines: ReadonlyArray<string>) => lines.join("\n")

const unknown = { manager: null, users: [], blocks: [], usedPercent: null }

const managers = [
  Reports.manager(),
  Reports.manager({
    ...unknown,
    kind: "worker",
    count: 1,
    bytes: 4 * MiB,
    segments: [{ index: 3, bytes: 4 * MiB, hostBytes: 0, used: null, free: null, protected: false }]
  }),
  Reports.manager({ ...unknown, kind: "local", count: 40, bytes: 40 * MiB, segments: [] })
]

describe("ShowSegments", () => {
  it("says so when there are none", () => {
    for (const verbose of [false, true]) assert.strictEqual(ShowSegments.format([], { verbose }), "no segments")
  })

  it("W6 W7 shows managers, whom they serve, and what is used and free where the host knows", () => {
    assert.strictEqual(
      ShowSegments.format(managers, { verbose: false }),
      text([
        "App   Worker  Manager  Users                   Segments  Memory   Used     Free",
        "http  0       0        listener 0.1, connects         2   8 MiB  1 MiB  4.5 MiB",
        "http  0       worker   -                              1   4 MiB      -        -",
        "http  0       local    -                             40  40 MiB      -        -"
      ])
    )
  })

  it("W6 shows segments, blocks by size and watermarks when verbose", () => {
    assert.strictEqual(
      ShowSegments.format(managers, { verbose: true }),
      text([
        "http, worker 0 (0.0), manager 0",
        "  memory      2 segments with 8 MiB",
        "  users       listener 0.1, connects",
        "  in use      18.3 %: 1 MiB, 4.5 MiB free",
        "  watermarks  a segment is added above 80 %, an empty one removed at 50 %",
        "  blocks      12 of 256 B, 3 of 64 KiB",
        "",
        "  Segment  Memory   Used     Free  Worker's part  Protected",
        "        0   4 MiB  1 MiB  512 KiB          2 MiB  yes",
        "        2   4 MiB  256 B    4 MiB            0 B  no",
        "",
        "http, worker 0 (0.0), worker segments",
        "  memory  1 segment with 4 MiB",
        "",
        "  Segment  Memory  Used  Free  Worker's part  Protected",
        "        3   4 MiB     -     -          4 MiB  no",
        "",
        "http, worker 0 (0.0), local segments",
        "  memory  40 segments with 40 MiB"
      ])
    )
  })

  it("says when a segment is on its way", () => {
    assert.include(
      ShowSegments.format([Reports.manager({ growing: true })], { verbose: true }),
      "removed at 50 %; one is on its way\n"
    )
  })

  it("fits 80 columns, however many users there are", () => {
    const long = Reports.manager({
      app: "n".repeat(64),
      worker: 255,
      users: Array.from({ length: 30 }, (_, index) => `listener ${index}.0`),
      count: 1024,
      bytes: 1023.9 * MiB
    })
    for (const line of ShowSegments.format([long], { verbose: false }).split("\n")) {
      assert.isAtMost(line.length, 80, line)
    }
  })
})
