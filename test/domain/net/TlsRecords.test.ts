import { assert, describe, it } from "@effect/vitest"
import * as TlsRecords from "../../../src/domain/net/TlsRecords.ts"
import * as Random from "../../support/random.ts"

const record = (length: number): Buffer => {
  const bytes = Buffer.alloc(5 + length, 0xee)
  bytes.set([23, 3, 3, length >> 8, length & 0xff])
  return bytes
}

describe("records of TLS", () => {
  it("a last one that may be an alert stands alone, and one by itself is whole", () => {
    const records = new TlsRecords.TlsRecords()
    const [first, second, last] = [record(300), record(0), record(19)]
    const all = Buffer.concat([first, second, last])
    assert.strictEqual(records.beforeAlert(all), first.length + second.length)
    assert.strictEqual(records.beforeAlert(last), last.length)
    assert.strictEqual(records.beforeAlert(first), first.length)
    const plain = Buffer.from("15030300020100", "hex")
    assert.strictEqual(records.beforeAlert(Buffer.concat([first, plain])), first.length)
    assert.strictEqual(records.beforeAlert(plain), plain.length)
    assert.strictEqual(records.beforeAlert(Buffer.concat([last, first])), last.length + first.length)
  })

  it("in pieces of any size nothing is lost, and what stands alone is an alert whose header has come", () => {
    const numbers = Random.make(7)
    for (let round = 0; round < 200; round++) {
      const sizes = Array.from({ length: 1 + numbers(6) }, () => numbers(2) === 0 ? 19 : numbers(40))
      const all = Buffer.concat(sizes.map(record))
      const starts = sizes.map((_, i) => sizes.slice(0, i).reduce((sum, size) => sum + 5 + size, 0))
      const records = new TlsRecords.TlsRecords()
      let given = 0
      for (let from = 0; from < all.length;) {
        const piece = all.subarray(from, from + 1 + numbers(60))
        for (let rest = piece; rest.length > 0;) {
          const end = given + rest.length
          const last = starts.findLastIndex((start) => start > given && start < end)
          const stands = last >= 0 && sizes[last] === 19 && starts[last]! + 5 <= end
          const part = records.beforeAlert(rest)
          assert.strictEqual(part, stands ? starts[last]! - given : rest.length)
          given += part
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
