import { assert, describe, it } from "@effect/vitest"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import * as Address from "../../../src/domain/net/Address.ts"

describe("Address", () => {
  const spellings: ReadonlyArray<
    readonly [given: string, canonical: string, plain: string, family: 4 | 6 | undefined]
  > = [
    ["10.0.0.1", "10.0.0.1", "10.0.0.1", 4],
    ["0:0:0:0:0:0:0:1", "::1", "::1", 6],
    ["2001:DB8:0:0::1", "2001:db8::1", "2001:db8::1", 6],
    ["::ffff:10.0.0.1", "::ffff:10.0.0.1", "10.0.0.1", 4],
    ["0:0:0:0:0:FFFF:a00:1", "::ffff:10.0.0.1", "10.0.0.1", 4],
    ["::ffff:a00:1%eth0", "::ffff:10.0.0.1%eth0", "10.0.0.1", 4],
    ["::10.0.0.1", "::10.0.0.1", "::10.0.0.1", 6],
    ["::ffff:0:10.0.0.1", "::ffff:0:a00:1", "::ffff:0:a00:1", 6],
    ["FE80:0::1%eth0", "fe80::1%eth0", "fe80::1%eth0", 6],
    ["Example.com", "Example.com", "Example.com", undefined],
    ["256.0.0.1", "256.0.0.1", "256.0.0.1", undefined],
    ["", "", "", undefined]
  ]
  for (const [given, canonical, plain, family] of spellings) {
    it(`${JSON.stringify(given)} is ${canonical}, whatever its family ${plain}`, () => {
      assert.strictEqual(Address.canonical(given), canonical)
      assert.strictEqual(Address.plain(given), plain)
      assert.strictEqual(Address.family(given), family)
      assert.strictEqual(Address.canonical(canonical), canonical)
    })
  }

  const reported: ReadonlyArray<readonly [address: string, uri: string]> = [
    ["0.0.0.0", "tcp://0.0.0.0:80"],
    ["255.255.255.255", "tcp://255.255.255.255:80"],
    ["127.0.0.1", "tcp://127.0.0.1:80"],
    ["::ffff:192.0.2.1", "tcp://192.0.2.1:80"],
    ["::", "tcp://[::]:80"],
    ["2001:db8::1", "tcp://[2001:db8::1]:80"],
    ["fe80::1%eth0", "tcp://[fe80::1%eth0]:80"]
  ]
  for (const [address, uri] of reported) {
    it(`a socket's ${address} is ${uri}, and the same once it has been packed`, () => {
      assert.strictEqual(Address.uri("tcp", address, 80), uri)
      for (const port of [0, 1, 80, 65535]) {
        const packed = Address.pack("tls", address, port)
        assert.strictEqual(typeof packed, uri.includes("[") ? "string" : "number")
        assert.strictEqual(Address.unpack("tls", packed), Address.uri("tls", address, port))
        assert.strictEqual(Address.isPackedMapped(packed), address.startsWith("::ffff:"))
        if (Address.isMapped(address)) assert.strictEqual(Address.toMapped(Address.unmapped(address)), address)
        else assert.isFalse(Address.isPackedMapped(packed))
      }
    })
  }

  it("a socket whose connection is gone has no address to pack, and any address in its URI", () => {
    assert.isUndefined(Address.pack("tcp", undefined, undefined))
    assert.strictEqual(Address.unpack("tcp", undefined), "tcp://0.0.0.0:0")
    assert.strictEqual(Address.uri("tls", undefined, undefined), "tls://0.0.0.0:0")
  })

  it("host and port of an endpoint, whatever its transport; none where there is no port", () => {
    assert.deepStrictEqual(Address.hostPort("udp://1.2.3.4:5678"), { host: "1.2.3.4", port: 5678 })
    assert.deepStrictEqual(Address.hostPort("tls://[::1]:443"), { host: "::1", port: 443 })
    for (const uri of ["local://room", "unix:///run/a:1", "tcp://[::]:*"]) {
      assert.isUndefined(Address.hostPort(uri), uri)
    }
  })

  it("an address of Effect's is an address with its port, a path, or the URI itself", () => {
    const inet = Result.getOrThrow(Address.fromUri("tcp://[::1]:80"))
    assert.strictEqual(NetAddress.isInetAddress(inet) && NetAddress.formatInet(inet), "[::1]:80")
    for (const [uri, path] of [["unix:///run/a.sock", "/run/a.sock"], ["local://room", "local://room"]] as const) {
      const address = Result.getOrThrow(Address.fromUri(uri))
      assert.strictEqual(NetAddress.isUnixPathAddress(address) && address.path, path)
    }
    assert.isTrue(Result.isFailure(Address.fromUri("tcp://name.test:80")))
    assert.isTrue(Result.isFailure(Address.fromUri("tcp://1.2.3.4:99999")))
  })
})
