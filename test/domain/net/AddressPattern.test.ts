import { assert, describe, it } from "@effect/vitest"
import * as AddressPattern from "../../../src/domain/net/AddressPattern.ts"

const passes = (text: string, uri: string): boolean => {
  const pattern = AddressPattern.parse(text)
  assert.isDefined(pattern, text)
  return AddressPattern.matches(pattern!, uri)
}

const uris = [
  "tcp://10.0.0.7:443",
  "tcp://10.0.0.7:4430",
  "tcp://10.0.0.70:443",
  "tcp://[::1]:443",
  "tcp://[fe80::1%eth0]:443",
  "tcp://Example.com:443",
  "tcp://0.0.0.0:*",
  "tcp://billing:9",
  "local://billing",
  "local://app0.worker1"
]

describe("AddressPattern", () => {
  const rows: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
    ["10.0.0.7", ["tcp://10.0.0.7:443", "tcp://10.0.0.7:4430"]],
    ["10.0.0.7:443", ["tcp://10.0.0.7:443"]],
    ["tcp://10.0.0.7:443", ["tcp://10.0.0.7:443"]],
    ["::ffff:10.0.0.7", ["tcp://10.0.0.7:443", "tcp://10.0.0.7:4430"]],
    ["[::ffff:a00:7]:443", ["tcp://10.0.0.7:443"]],
    ["::1", ["tcp://[::1]:443"]],
    ["[::1]", ["tcp://[::1]:443"]],
    ["0:0:0:0:0:0:0:1", ["tcp://[::1]:443"]],
    ["[0:0::1]:443", ["tcp://[::1]:443"]],
    ["[::1]:444", []],
    ["fe80::1%eth0", ["tcp://[fe80::1%eth0]:443"]],
    ["fe80::1", []],
    ["example.COM", ["tcp://Example.com:443"]],
    ["example.com.:443", ["tcp://Example.com:443"]],
    ["0.0.0.0", ["tcp://0.0.0.0:*"]],
    ["tcp://0.0.0.0:*", ["tcp://0.0.0.0:*"]],
    ["billing", ["tcp://billing:9", "local://billing"]],
    ["local://Billing", ["local://billing"]],
    ["app0.worker1", ["local://app0.worker1"]]
  ]
  for (const [text, expected] of rows) {
    it(`${text} lets pass ${expected.join(" and ") || "nothing else"}`, () => {
      assert.deepStrictEqual(uris.filter((uri) => passes(text, uri)), [...expected])
    })
  }

  it("a port of a local endpoint is none: a name with a port is no local endpoint", () => {
    assert.isFalse(passes("billing:80", "local://billing"))
  })

  it("refuses what is no address", () => {
    const bad = ["", " ", "a b", "10.0.0", "256.0.0.1", "10.0.0.7:", "10.0.0.7:99999", ":80", "[10.0.0.7]", "[::1", "*"]
    for (const text of [...bad, "quic://10.0.0.7:1", "tcp://10.0.0.7", "tcp://a/b:1", "local://", "tcp://10.0.0.7:*"]) {
      assert.isUndefined(AddressPattern.parse(text), text)
    }
  })

  it("lets nothing pass that is no endpoint", () => {
    for (const uri of ["", "10.0.0.7", "10.0.0.7:443", "tcp://"]) assert.isFalse(passes("10.0.0.7", uri))
  })
})
