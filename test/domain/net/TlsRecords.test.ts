import { assert, describe, it } from "@effect/vitest"
import * as TlsRecords from "../../../src/domain/net/TlsRecords.ts"
import * as Random from "../../support/random.ts"

const record = (length: number): Buffer => {
  const bytes = Buffer.alloc(5 + length, 0xee)
  bytes.set([23, 3, 3, length >> 8, length & 0xff])
  return bytes
}

describe("records of TLS", () => {
  it("the last one stands alone, and one by itself is whole", () => {
    const records = new TlsRecords.TlsRecords()
    const [first, second, last] = [record(300), record(0), record(19)]
    const all = Buffer.concat([first, second, last])
    assert.strictEqual(records.beforeLast(all), first.length + second.length)
    assert.strictEqual(records.beforeLast(last), last.length)
    assert.strictEqual(records.beforeLast(first), first.length)
  })

  it("in pieces of any size nothing is lost, and no piece has a last record and others before it", () => {
    const numbers = Random.make(7)
    for (let round = 0; round < 200; round++) {
      const sizes = Array.from({ length: 1 + numbers(6) }, () => numbers(4) === 0 ? 0 : numbers(40))
      const all = Buffer.concat(sizes.map(record))
      const starts = new Set<number>()
      for (let at = 0, i = 0; i < sizes.length; at += 5 + sizes[i++]!) starts.add(at)
      const records = new TlsRecords.TlsRecords()
      let given = 0
      for (let from = 0; from < all.length;) {
        const piece = all.subarray(from, from + 1 + numbers(60))
        for (let rest = piece; rest.length > 0;) {
          const part = records.beforeLast(rest)
          assert.isAbove(part, 0)
          const end = given + part
          const begins = [...starts].filter((start) => start > given && start < end)
          // what is left behind begins with a record, and what is handed on whole has none but its first
          if (part < rest.length) assert.isTrue(starts.has(end))
          else assert.deepStrictEqual(begins, [])
          given = end
          rest = rest.subarray(part)
        }
        from += piece.length
      }
      assert.strictEqual(given, all.length)
    }
  })

  it("a client's first word is known by its first bytes", () => {
    assert.isTrue(TlsRecords.isHello(Buffer.from("1603010200010001fc", "hex")))
    assert.isTrue(TlsRecords.isHello(Buffer.from("160301", "hex")))
    assert.isFalse(TlsRecords.isHello(Buffer.from("GET / HTTP/1.1")))
    assert.isFalse(TlsRecords.isHello(Buffer.from("1603030035140000", "hex")))
    assert.isFalse(TlsRecords.isHello(Buffer.alloc(0)))
  })
})
