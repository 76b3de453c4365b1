import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { LocalTable } from "../../../src/domain/admission/LocalTable.ts"
import * as Endpoint from "../../../src/domain/net/Endpoint.ts"

const at = (uri: string) => Result.getOrThrow(Endpoint.parse(uri))
const any = () => true

describe("LocalTable", () => {
  it("W16 an endpoint is taken once, however it is spelled", () => {
    const table = new LocalTable<string>()
    const spellings = [
      ["tcp://[::1]:1", "tcp://[0:0:0:0:0:0:0:1]:1"],
      ["tcp://10.0.0.1:1", "tcp://[::ffff:10.0.0.1]:1"],
      ["tcp://10.0.0.2:1", "tcp://[::ffff:a00:2]:1"],
      ["tcp://LOCALHOST:1", "tcp://localhost:1"]
    ] as const
    for (const [one, other] of spellings) {
      assert.isTrue(table.add(at(one), one))
      assert.isFalse(table.add(at(other), other))
      assert.strictEqual(table.lookup(at(other), any), one)
      table.remove(at(other))
      assert.isUndefined(table.get(at(one)))
    }
    assert.strictEqual(table.size, 0)
  })

  it("W17 local endpoints are told apart by case, and zones by their names", () => {
    const table = new LocalTable<string>()
    for (const uri of ["local://a", "local://A", "tcp://[fe80::1%a]:1", "tcp://[fe80::1%b]:1", "tcp://10.0.0.1:2"]) {
      assert.isTrue(table.add(at(uri), uri))
    }
    assert.strictEqual(table.lookup(at("local://A"), any), "local://A")
    assert.isUndefined(table.lookup(at("tcp://10.0.0.1:1"), any))
  })

  it("W17 W18 the very endpoint goes before any address, that before any port, and those not eligible are passed over", () => {
    const table = new LocalTable<string>()
    const entries = ["tcp://[::]:*", "tcp://0.0.0.0:*", "tcp://[::]:80", "tcp://0.0.0.0:80", "tcp://10.0.0.1:80"]
    for (const uri of entries) table.add(at(uri), uri)
    const to = at("tcp://10.0.0.1:80")
    const found: Array<string> = []
    for (;;) {
      const next = table.lookup(to, (uri) => !found.includes(uri))
      if (next === undefined) break
      found.push(next)
    }
    assert.deepStrictEqual(found, entries.toReversed())
    assert.strictEqual(table.lookup(at("tcp://[::1]:80"), any), "tcp://[::]:80")
    assert.strictEqual(table.lookup(at("tcp://[::1]:81"), any), "tcp://[::]:*")
    assert.isUndefined(table.lookup(at("local://a"), any))
  })
})
