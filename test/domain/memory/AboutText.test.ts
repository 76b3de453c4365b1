import { assert, describe, it } from "@effect/vitest"
import * as AboutText from "../../../src/domain/memory/AboutText.ts"
import { FifoCorrupt } from "../../../src/domain/memory/Fifo.ts"

const tls = { protocol: "TLSv1.3", cipher: "TLS_AES_128_GCM_SHA256", resumed: false, authorized: false }
const peer = {
  subject: "CN=a",
  issuer: "CN=b",
  names: "",
  fingerprint256: "00",
  serial: "1",
  validFrom: 0,
  validTo: 1
}

describe("AboutText", () => {
  it("what is known of a session is read as it was written, also from shared memory", () => {
    const about = { tls: { ...tls, serverName: "ä.example", peer }, proxy: { remote: "tcp://a:1", local: "tcp://b:2" } }
    const text = AboutText.encode(about)!
    const shared = new Uint8Array(new SharedArrayBuffer(text.length))
    shared.set(text)
    assert.deepStrictEqual(AboutText.decode(shared), about)
  })

  it("of a session of which nothing is known there is no text", () => {
    assert.isUndefined(AboutText.encode(undefined))
    assert.strictEqual(AboutText.decode(new Uint8Array(0)), AboutText.nothing)
  })

  it("certificates that would make it too long are left out, from the last one on", () => {
    const der = "A".repeat(5000)
    const about = { tls: { ...tls, peer: { ...peer, chain: [der, der, der, der] } } }
    const text = AboutText.encode(about)!
    assert.isAtMost(text.length, 16_384)
    assert.deepStrictEqual(AboutText.decode(text).tls?.peer?.chain, [der, der, der])
    const long = { tls: { ...tls, peer: { ...peer, chain: ["A".repeat(20_000), der] } } }
    assert.deepStrictEqual(AboutText.decode(AboutText.encode(long)!), { tls: { ...tls, peer } })
  })

  it("what is no text of an object is not read", () => {
    for (const text of ["{", "[]", "null", "1"]) {
      assert.throws(() => AboutText.decode(Buffer.from(text)), FifoCorrupt, "what is known of a session")
    }
  })

  it("what is said to be where there is no memory is not read", () => {
    const text = AboutText.encode({ tls })!
    const view = (segment: number) => segment === 3 ? text : undefined
    assert.deepStrictEqual(AboutText.read(view, 3, 0, text.length, false), { tls })
    assert.strictEqual(AboutText.read(view, 4, 0, 0, false), AboutText.nothing)
    for (const [segment, offset] of [[4, 0], [3, 1], [3, 2 ** 32 - 1]] as const) {
      assert.throws(() => AboutText.read(view, segment, offset, text.length, false), FifoCorrupt, "no memory")
    }
  })

  it("a certificate that would make it too long is left out", () => {
    const text = AboutText.encode({ tls: { ...tls, peer: { ...peer, names: "DNS:x, ".repeat(4000) } } })!
    assert.isBelow(text.length, 16_384)
    assert.deepStrictEqual(AboutText.decode(text), { tls })
  })
})
