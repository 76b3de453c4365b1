import { assert, describe, it } from "@effect/vitest"
import * as ShowMq from "../../../src/layers/cli/ShowMq.ts"
import * as Reports from "../../support/Reports.ts"

const text = (lines: ReadonlyArray<string>) => lines.join("\n")

const queues = [Reports.queue(), Reports.queue({ worker: 1, workerHandle: "4.2", congested: true, postponed: 7 })]

describe("ShowMq", () => {
  it("says so when there are none", () => {
    for (const verbose of [false, true]) assert.strictEqual(ShowMq.format([], { verbose }), "no queues")
  })

  it("M1 M12 shows the depth of each part of both queues, and the highest there was", () => {
    assert.strictEqual(
      ShowMq.format(queues, { verbose: false }),
      text([
        "App   Worker  Queue       Index      IO  Control  Highest",
        "http  0       to worker  3/2048  2/2048    1/512  17/16/4",
        "http  0       to host    0/2048  0/2048    0/512    9/8/2",
        "http  1       to worker  3/2048  2/2048    1/512  17/16/4",
        "http  1       to host    0/2048  0/2048    0/512    9/8/2"
      ])
    )
  })

  it("M1 M12 shows all there is when verbose", () => {
    assert.strictEqual(
      ShowMq.format(queues.slice(1), { verbose: true }),
      text([
        "http, worker 1 (4.2), congested, 7 postponed",
        "  to worker",
        "    index queue   3 of 2048, highest 17",
        "    io ring       2 of 2048, highest 16",
        "    control ring  1 of 512, highest 4",
        "    messages      1003 in, 1000 out",
        "    reader        awake",
        "  to host",
        "    index queue   0 of 2048, highest 9",
        "    io ring       0 of 2048, highest 8",
        "    control ring  0 of 512, highest 2",
        "    messages      77 in, 77 out",
        "    reader        sleeps"
      ])
    )
    assert.include(ShowMq.format(queues, { verbose: true }), "\n\nhttp, worker 1 (4.2), congested")
  })

  it("fits 80 columns when queues of the usual size are full", () => {
    const full = { used: 2048, highest: 2048, size: 2048 }
    const direction = { ...queues[0]!.toHost, index: full, io: full, control: { used: 512, highest: 512, size: 512 } }
    const long = Reports.queue({ app: "n".repeat(64), worker: 255, toWorker: direction, toHost: direction })
    for (const line of ShowMq.format([long], { verbose: false }).split("\n")) assert.isAtMost(line.length, 80, line)
  })
})
