import { assert, describe, it } from "@effect/vitest"
import * as ShowSessions from "../../../src/layers/cli/ShowSessions.ts"
import * as Reports from "../../support/Reports.ts"

const text = (lines: ReadonlyArray<string>) => lines.join("\n")

const accepted = Reports.session()
const cutThrough = Reports.session({
  handle: "16.9",
  listener: null,
  state: "TRANSPORT_CLOSING",
  transport: "local",
  kind: "cut-through client",
  local: "local://app0.worker0",
  remote: "local://billing",
  rx: null,
  tx: null
})

describe("ShowSessions", () => {
  it("W21 says so when there are none", () => {
    assert.strictEqual(ShowSessions.format({ total: 0, sessions: [] }, { verbose: false }), "no sessions")
    assert.strictEqual(ShowSessions.format({ total: 0, sessions: [] }, { verbose: true }), "no sessions")
  })

  it("W21 shows handle, app, worker, state and both ends", () => {
    assert.strictEqual(
      ShowSessions.format({ total: 1, sessions: [accepted] }, { verbose: false }),
      text([
        "Session  App   Worker  State  Local                 Remote                   Age",
        "7.2      http  0       READY  tcp://127.0.0.1:8080  tcp://127.0.0.1:54321  1.5 s"
      ])
    )
  })

  it("W21 X1 shows which sessions are parked, and how often and why they have moved", () => {
    const moved = Reports.session({ handle: "8.0", worker: 1, parked: true, moves: 2, moved: "late" })
    const sessions = [{ ...accepted, parked: true }, moved]
    assert.strictEqual(
      ShowSessions.format({ total: 2, sessions }, { verbose: false }),
      text([
        "Session  App   Worker  State   Moved   Local           Remote             Age",
        "7.2      http  0       parked  -       127.0.0.1:8080  127.0.0.1:54321  1.5 s",
        "8.0      http  1       parked  2 late  127.0.0.1:8080  127.0.0.1:54321  1.5 s"
      ])
    )
  })

  it("W21 leaves the transport out before it cuts addresses", () => {
    assert.strictEqual(
      ShowSessions.format({ total: 2, sessions: [accepted, cutThrough] }, { verbose: false }),
      text([
        "Session  App   Worker  State              Local           Remote             Age",
        "7.2      http  0       READY              127.0.0.1:8080  127.0.0.1:54321  1.5 s",
        "16.9     http  0       TRANSPORT_CLOSING  app0.worker0    billing          1.5 s"
      ])
    )
  })

  it("W21 W16 shows origin, kind and fifos when verbose; cut-through has no fifos here", () => {
    const [head = "", first = "", second = ""] = ShowSessions.format(
      { total: 2, sessions: [accepted, cutThrough] },
      { verbose: true }
    ).split("\n")
    const cells = (line: string) => line.split(/ {2,}/)
    assert.deepStrictEqual(cells(head), [
      "Session",
      "App",
      "Worker",
      "Worker handle",
      "Listener",
      "Transport",
      "Kind",
      "Placement",
      "State",
      "Parked",
      "Moved",
      "Local",
      "Remote",
      "Age",
      "Rx",
      "Rx size",
      "Rx memory",
      "Tx",
      "Tx size",
      "Tx memory",
      "Dropped"
    ])
    assert.deepStrictEqual(cells(first).slice(3), [
      "0.0",
      "0.1",
      "tcp",
      "accepted",
      "shared",
      "READY",
      "no",
      "-",
      "tcp://127.0.0.1:8080",
      "tcp://127.0.0.1:54321",
      "1.5 s",
      "0 B",
      "64 KiB",
      "0 B",
      "100 B",
      "64 KiB",
      "4 KiB",
      "0"
    ])
    assert.deepStrictEqual(cells(second).slice(3, 9), [
      "0.0",
      "-",
      "local",
      "cut-through client",
      "shared",
      "TRANSPORT_CLOSING"
    ])
    assert.deepStrictEqual(cells(second).slice(-7), ["-", "-", "-", "-", "-", "-", "0"])
  })

  it("W21 says that there are more", () => {
    const shown = ShowSessions.format({ total: 5, sessions: [accepted] }, { verbose: false })
    assert.isTrue(shown.endsWith("\n\n1 of 5 sessions; --limit shows more"), shown)
  })

  it("fits 80 columns, and shows ports, however long names and addresses are", () => {
    const long = Reports.session({
      handle: "16777215.9",
      app: "n".repeat(64),
      worker: 255,
      state: "TRANSPORT_CLOSING",
      local: "tcp://[2001:db8:1111:2222:3333:4444:5555:6666]:65535",
      remote: "tcp://[2001:db8:1111:2222:3333:4444:5555:7777]:65534",
      ageMillis: 7_380_000
    })
    const lines = ShowSessions.format({ total: 1, sessions: [long] }, { verbose: false }).split("\n")
    for (const line of lines) assert.isAtMost(line.length, 80, line)
    assert.match(lines[1]!, /…\S*:65535 +…\S*:65534 /)
  })
})
