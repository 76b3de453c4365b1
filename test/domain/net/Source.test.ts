import { assert, describe, it } from "@effect/vitest"
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Address from "../../../src/domain/net/Address.ts"
import * as Source from "../../../src/domain/net/Source.ts"
import * as Random from "../../support/random.ts"

const each = { ipv4: 32, ipv6: 64 }

describe("the source of a connection", () => {
  it("is an IPv4 address, and the network of an IPv6 one, whatever the port and the transport", () => {
    assert.strictEqual(Source.of("tcp://192.0.2.1:80", each), "192.0.2.1")
    assert.strictEqual(Source.of("tls://192.0.2.1:81", each), "192.0.2.1")
    const six = Source.of("tcp://[2001:db8:1:2::3]:80", each)
    assert.isDefined(six)
    assert.strictEqual(Source.of("udp://[2001:db8:1:2:3:4:5:6]:9", each), six)
    assert.strictEqual(Source.of("tcp://[fe80::1%eth0]:9", each), Source.of("tcp://[fe80::2%eth1]:9", each))
    assert.notStrictEqual(Source.of("tcp://[2001:db8:1:3::3]:80", each), six)
  })

  it("is none where there is no address", () => {
    for (const uri of ["unix://", "unix:///run/a.sock", "local://service", ""]) {
      assert.isUndefined(Source.of(uri, each), uri)
    }
  })

  it("is the same for two addresses exactly if they share the bits, for each number of bits", () => {
    const random = Random.make(7)
    const word = () => random(3) === 0 ? 0 : random(65536)
    const six = () => Address.canonical(Array.from({ length: 8 }, () => word().toString(16)).join(":"))
    const four = () => Array.from({ length: 4 }, () => random(256)).join(".")
    // an address that differs from the other one from some bit on
    const near = (address: string, bits: number): string => {
      const at = random(bits)
      const bytes = NetAddress.match(NetAddress.ipFromStringUnsafe(address), {
        onIpv4: (ip) => [...NetAddress.ipv4ToOctets(ip)],
        onIpv6: (ip) => [...NetAddress.ipv6ToOctets(ip)]
      })
      bytes[at >> 3]! ^= 128 >> (at & 7)
      const other = bits === 32
        ? NetAddress.ipv4FromBytesUnsafe(Uint8Array.from(bytes))
        : NetAddress.ipv6FromBytesUnsafe(Uint8Array.from(bytes))
      return Address.canonical(NetAddress.formatIp(other))
    }
    const network = (address: string, length: number): string =>
      IpNetwork.format(IpNetwork.fromAddressUnsafe(NetAddress.ipFromStringUnsafe(address), length))
    let same = 0
    for (let i = 0; i < 2000; i++) {
      const bits = { ipv4: 8 + random(25), ipv6: 16 + random(113) }
      const isFour = random(2) === 0
      const one = isFour ? four() : six()
      const other = near(one, isFour ? 32 : 128)
      const uri = (address: string) => isFour ? `tcp://${address}:1` : `tcp://[${address}]:1`
      const length = isFour ? bits.ipv4 : bits.ipv6
      const expected = network(one, length) === network(other, length)
      if (expected) same++
      assert.strictEqual(
        Source.of(uri(one), bits) === Source.of(uri(other), bits),
        expected,
        `${one} ${other} /${length}`
      )
    }
    assert.isAbove(same, 300)
  })

  it("reads addresses that the system writes with an IPv4 one at their end", () => {
    const all = { ipv4: 32, ipv6: 128 }
    assert.strictEqual(Source.of("tcp://[::10.0.0.1]:1", all), Source.of("tcp://[::a00:1]:1", all))
    assert.notStrictEqual(Source.of("tcp://[::10.0.0.1]:1", all), Source.of("tcp://[::10.0.0.2]:1", all))
  })
})
