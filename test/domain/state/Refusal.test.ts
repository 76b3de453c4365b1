import { assert, describe, it } from "@effect/vitest"
import * as Ledger from "../../../src/domain/state/Ledger.ts"
import * as Refusal from "../../../src/domain/state/Refusal.ts"

const operations = {
  listen: Refusal.ListenReasons,
  unlisten: Refusal.UnlistenReasons,
  connect: Refusal.ConnectReasons,
  transport: Refusal.TransportReasons,
  host: Refusal.Whys
}

describe("Refusal", () => {
  it("has each reason once, and every reason of an operation has a code", () => {
    assert.strictEqual(new Set(Refusal.Reasons).size, Refusal.Reasons.length)
    for (const [operation, reasons] of Object.entries(operations)) {
      assert.strictEqual(new Set(reasons).size, reasons.length, operation)
      assert.includeMembers<string>([...Refusal.Reasons], [...reasons], operation)
    }
  })

  it("has no reason that no operation can end with", () => {
    const { connect, host, listen, unlisten } = operations
    assert.sameMembers([...Refusal.Reasons], [...new Set<string>([...listen, ...unlisten, ...connect, ...host])])
  })

  it("M7 a connect can be refused for whatever a listener can refuse a connection for", () => {
    assert.includeMembers<string>([...Refusal.Whys], [...Ledger.RefuseReasons])
  })

  it("tells the host's own reasons from those of the request and of the system", () => {
    for (const reason of Refusal.Reasons) {
      assert.strictEqual(Refusal.isWhy(reason), /^[a-z-]+$/.test(reason), reason)
      assert.strictEqual(Refusal.isListenReason(reason), (operations.listen as ReadonlyArray<string>).includes(reason))
      assert.strictEqual(
        Refusal.isUnlistenReason(reason),
        (operations.unlisten as ReadonlyArray<string>).includes(reason)
      )
      assert.strictEqual(
        Refusal.isConnectReason(reason),
        (operations.connect as ReadonlyArray<string>).includes(reason)
      )
    }
  })

  it("calls a transport's answer by its own name wherever the operation can meet it", () => {
    for (const reason of Refusal.TransportReasons) {
      assert.strictEqual(Refusal.ofListen[reason], Refusal.isListenReason(reason) ? reason : "TransportFailed")
      assert.strictEqual(Refusal.ofConnect[reason], Refusal.isConnectReason(reason) ? reason : "TransportFailed")
    }
  })
})
