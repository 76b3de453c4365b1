import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Report from "../../../src/domain/report/Report.ts"
import * as SessionFilter from "../../../src/domain/report/SessionFilter.ts"
import * as Reports from "../../support/Reports.ts"

const all = [
  Reports.session({ handle: "0.0" }),
  Reports.session({ handle: "1.0", worker: 1, workerHandle: "3.1", state: "CLOSING", remote: "tcp://10.0.0.7:1" }),
  Reports.session({ handle: "2.0", app: "billing", appIndex: 1, workerHandle: "4.0" }),
  Reports.session({
    handle: "3.0",
    transport: "local",
    kind: "cut-through server",
    local: "tcp://10.0.0.7:80",
    remote: "local://app1.worker0"
  })
]

const passing = (filter: Report.SessionFilter) =>
  all.filter(SessionFilter.compile(filter)).map(({ handle }) => handle).join(" ")

describe("SessionFilter", () => {
  it("W21 without fields lets all sessions pass", () => {
    assert.strictEqual(passing({}), "0.0 1.0 2.0 3.0")
    assert.strictEqual(passing({ appIndex: undefined, worker: undefined, local: undefined }), "0.0 1.0 2.0 3.0")
  })

  it("W21 lets those pass that one field fits", () => {
    assert.strictEqual(passing({ appIndex: 1 }), "2.0")
    assert.strictEqual(passing({ appIndex: 0 }), "0.0 1.0 3.0")
    assert.strictEqual(passing({ worker: "1" }), "1.0")
    assert.strictEqual(passing({ worker: "0" }), "0.0 2.0 3.0")
    assert.strictEqual(passing({ worker: "0.0" }), "0.0 3.0")
    assert.strictEqual(passing({ worker: "3.1" }), "1.0")
    assert.strictEqual(passing({ worker: "3.0" }), "")
    assert.strictEqual(passing({ state: "CLOSING" }), "1.0")
    assert.strictEqual(passing({ transport: "local" }), "3.0")
    assert.strictEqual(passing({ local: "127.0.0.1:8080" }), "0.0 1.0 2.0")
    assert.strictEqual(passing({ remote: "10.0.0.7" }), "1.0")
    assert.strictEqual(passing({ remote: "app1.worker0" }), "3.0")
    assert.strictEqual(passing({ listener: "0.1" }), "0.0 1.0 2.0 3.0")
    assert.strictEqual(passing({ listener: "1.1" }), "")
  })

  it("W21 finds a text in handle, application and worker, addresses and state", () => {
    assert.strictEqual(passing({ search: "" }), "0.0 1.0 2.0 3.0")
    assert.strictEqual(passing({ search: "2.0" }), "2.0")
    assert.strictEqual(passing({ search: "BILL" }), "2.0")
    assert.strictEqual(passing({ search: "http 1" }), "1.0")
    assert.strictEqual(passing({ search: "closing" }), "1.0")
    assert.strictEqual(passing({ search: "10.0.0.7" }), "1.0 3.0")
    assert.strictEqual(passing({ search: "Worker0" }), "3.0")
    assert.strictEqual(passing({ search: "10.0.0.7", worker: "0" }), "3.0")
    assert.strictEqual(passing({ search: "nothing" }), "")
  })

  it("W21 lets only those pass that all fields fit", () => {
    assert.strictEqual(passing({ appIndex: 0, worker: "0", transport: "tcp" }), "0.0")
    assert.strictEqual(passing({ appIndex: 1, state: "CLOSING" }), "")
    assert.strictEqual(passing({ local: "10.0.0.7", remote: "10.0.0.7" }), "")
  })

  it("refuses addresses and workers that are none", () => {
    const is = Schema.is(Report.SessionFilter)
    assert.isTrue(is({ worker: "3.1", local: "::1", remote: "tcp://10.0.0.7:80" }))
    for (const worker of ["", "x", "-1", "01", "1.", "1.2.3", "1e3"]) assert.isFalse(is({ worker }), worker)
    for (const address of ["", "a b", ":80"]) {
      assert.isFalse(is({ local: address }), address)
      assert.isFalse(is({ remote: address }), address)
    }
  })
})
