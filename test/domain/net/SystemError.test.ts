import { assert, it } from "@effect/vitest"
import * as ConnectionLoss from "../../../src/domain/net/ConnectionLoss.ts"
import * as SystemError from "../../../src/domain/net/SystemError.ts"

it("what an error means goes by its code, and what has none means nothing", () => {
  assert.strictEqual(SystemError.kindOf(SystemError.make("ENOTDIR", "open")), "NotFound")
  assert.strictEqual(SystemError.kindOf({ code: "EROFS" }), "PermissionDenied")
  for (const none of [undefined, null, "ENOENT", new Error("ENOENT"), { code: "EWHATEVER" }, { code: "toString" }]) {
    assert.isUndefined(SystemError.kindOf(none))
  }
})

it("an error that we find out ourselves looks as the system's do", () => {
  const { code, message, syscall } = SystemError.make("ECONNREFUSED", "connect")
  assert.deepStrictEqual([code, message, syscall], ["ECONNREFUSED", "connect ECONNREFUSED", "connect"])
})

it("why a connection is gone is a sentence, and in the system's words where there is none", () => {
  assert.strictEqual(ConnectionLoss.sentence(SystemError.make("ECONNRESET", "read")), "the peer reset the connection")
  assert.strictEqual(ConnectionLoss.sentence(SystemError.make("EPIPE", "write")), "the peer closed the connection")
  assert.strictEqual(ConnectionLoss.sentence(new Error("out of words")), "out of words")
  assert.strictEqual(ConnectionLoss.sentence(undefined), ConnectionLoss.GIVEN_UP)
})
