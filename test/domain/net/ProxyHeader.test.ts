import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Net from "node:net"
import * as ProxyHeader from "../../../src/domain/net/ProxyHeader.ts"

const line = (text: string): Uint8Array => Buffer.from(text, "latin1")
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex")

const SIGNATURE = "0d0a0d0a000d0a515549540a"
const V2_IPV4 = hex(`${SIGNATURE} 21 11 000c c0000201 c0000202 c822 01bb`)
const V2_IPV6 = hex(
  `${SIGNATURE} 21 21 0024 20010db8000000000000000000000001 20010db8000000000000000000000002 c822 01bb`
)

const ipv4: ProxyHeader.ProxyEnds = {
  source: { host: "192.0.2.1", port: 51234 },
  destination: { host: "192.0.2.2", port: 443 }
}
const ipv6: ProxyHeader.ProxyEnds = {
  source: { host: "2001:db8::1", port: 51234 },
  destination: { host: "2001:db8::2", port: 443 }
}

const header = (bytes: number, ends: ProxyHeader.ProxyEnds | undefined): ProxyHeader.Parsed => ({
  _tag: "Header",
  bytes,
  ends
})

const detail = (bytes: Uint8Array): string => {
  const parsed = ProxyHeader.parse(bytes)
  if (parsed._tag !== "Invalid") throw new Error(`it was taken: ${JSON.stringify(parsed)}`)
  return parsed.detail
}

/** A version 2 header with something after the addresses. */
const withExtras = (extras: Buffer, base = V2_IPV4): Buffer => {
  const bytes = Buffer.concat([base, extras])
  bytes.writeUInt16BE(bytes.length - 16, 14)
  return bytes
}

/** CRC32c bit by bit. */
const crc32c = (bytes: Uint8Array): number => {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let i = 0; i < 8; i++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return (crc ^ 0xffffffff) >>> 0
}

const Ipv4 = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))).check(
  Schema.isBetweenLength(4, 4)
)
const Ipv6 = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65535 }))).check(
  Schema.isBetweenLength(8, 8)
)
const Port = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65535 }))
const Bytes = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
const Version = Schema.Literals(["v1", "v2"])

const short = (groups: ReadonlyArray<number>): string =>
  new Net.SocketAddress({ family: "ipv6", address: groups.map((group) => group.toString(16)).join(":") }).address

const endsOf = (
  is4: boolean,
  four: ReadonlyArray<ReadonlyArray<number>>,
  six: ReadonlyArray<ReadonlyArray<number>>
) => ({
  source: is4 ? four[0]!.join(".") : short(six[0]!),
  destination: is4 ? four[1]!.join(".") : short(six[1]!)
})

describe("ProxyHeader", () => {
  it("writes and reads the header of each version, byte for byte", () => {
    const v1 = line("PROXY TCP4 192.0.2.1 192.0.2.2 51234 443\r\n")
    const v1six = line("PROXY TCP6 2001:db8::1 2001:db8::2 51234 443\r\n")
    const table: ReadonlyArray<readonly [ProxyHeader.Version, ProxyHeader.ProxyEnds, Uint8Array]> = [
      ["v1", ipv4, v1],
      ["v1", ipv6, v1six],
      ["v2", ipv4, V2_IPV4],
      ["v2", ipv6, V2_IPV6]
    ]
    for (const [version, ends, bytes] of table) {
      assert.deepStrictEqual(Buffer.from(ProxyHeader.encode(version, ends)), Buffer.from(bytes))
      assert.deepStrictEqual(ProxyHeader.parse(bytes), header(bytes.length, ends))
    }
  })

  it.effect.prop(
    "what is written is read back, however it is cut, and what follows is left alone",
    [
      Version,
      Schema.Boolean,
      Schema.Array(Ipv4).check(Schema.isBetweenLength(2, 2)),
      Schema.Array(Ipv6).check(Schema.isBetweenLength(2, 2)),
      Port,
      Port,
      Bytes
    ],
    ([version, is4, four, six, from, to, rest]) =>
      Effect.sync(() => {
        const { destination, source } = endsOf(is4, four, six)
        const ends = { source: { host: source, port: from }, destination: { host: destination, port: to } }
        const encoded = ProxyHeader.encode(version, ends)
        const bytes = Buffer.concat([encoded, Buffer.from(rest)])
        assert.deepStrictEqual(ProxyHeader.parse(bytes), header(encoded.length, ends))
        for (let cut = 0; cut < encoded.length; cut++) {
          const parsed = ProxyHeader.parse(encoded.subarray(0, cut))
          if (parsed._tag !== "Incomplete") throw new Error(`cut at ${cut}: ${JSON.stringify(parsed)}`)
          assert.isTrue(parsed.needed > cut && parsed.needed <= encoded.length, `needs ${parsed.needed} after ${cut}`)
        }
      })
  )

  it.effect.prop(
    "whatever comes is a header, none, or the beginning of one",
    [Version, Bytes, Port],
    ([version, noise, at]) =>
      Effect.sync(() => {
        for (
          const base of [Buffer.alloc(0), Buffer.from(ProxyHeader.encode(version, ipv4)), withExtras(Buffer.alloc(9))]
        ) {
          const bytes = Buffer.concat([base.subarray(0, at % (base.length + 1)), Buffer.from(noise)])
          const parsed = ProxyHeader.parse(bytes)
          if (parsed._tag === "Header") assert.isAtMost(parsed.bytes, bytes.length)
          if (parsed._tag === "Incomplete") {
            assert.isTrue(parsed.needed > bytes.length && parsed.needed <= ProxyHeader.LONGEST)
          }
        }
      })
  )

  it("a proxy that speaks for itself, or does not know, leaves the connection's own addresses", () => {
    assert.deepStrictEqual(ProxyHeader.parse(line("PROXY UNKNOWN\r\nGET")), header(15, undefined))
    const long = `PROXY UNKNOWN ${"f".repeat(91)}\r\n`
    assert.strictEqual(long.length, 107)
    assert.deepStrictEqual(ProxyHeader.parse(line(long)), header(107, undefined))
    // LOCAL, with and without what is not looked at
    assert.deepStrictEqual(ProxyHeader.parse(hex(`${SIGNATURE} 20 00 0000`)), header(16, undefined))
    assert.deepStrictEqual(ProxyHeader.parse(hex(`${SIGNATURE} 20 ff 0003 ffffff`)), header(19, undefined))
    // PROXY of an unspecified family, of a Unix socket and of datagrams
    assert.deepStrictEqual(ProxyHeader.parse(hex(`${SIGNATURE} 21 00 0000`)), header(16, undefined))
    assert.deepStrictEqual(
      ProxyHeader.parse(hex(`${SIGNATURE} 21 31 00d8 ${"61".repeat(216)}`)),
      header(232, undefined)
    )
    const datagrams = Buffer.from(V2_IPV4)
    datagrams[13] = 0x12
    assert.deepStrictEqual(ProxyHeader.parse(datagrams), header(28, undefined))
    for (const version of ["v1", "v2"] as const) {
      const parsed = ProxyHeader.parse(ProxyHeader.encode(version, undefined))
      assert.strictEqual(parsed._tag === "Header" && parsed.ends, undefined)
      const named = { source: { host: "localhost", port: 1 }, destination: { host: "10.0.0.1", port: 2 } }
      assert.deepStrictEqual(ProxyHeader.encode(version, named), ProxyHeader.encode(version, undefined))
    }
  })

  it("an address that can be spelled in several ways is read as one", () => {
    const spelled = line("PROXY TCP6 2001:0DB8:0:0:0:0:0:1 2001:db8:0::2 51234 443\r\n")
    assert.deepStrictEqual(ProxyHeader.parse(spelled), header(spelled.length, ipv6))
  })

  it("ends of two families are written as one, and a zone is left out", () => {
    const mixed = { source: { host: "192.0.2.1", port: 1 }, destination: { host: "fe80::1%eth0", port: 2 } }
    const ends = { source: { host: "::ffff:192.0.2.1", port: 1 }, destination: { host: "fe80::1", port: 2 } }
    for (const version of ["v1", "v2"] as const) {
      const bytes = ProxyHeader.encode(version, mixed)
      assert.deepStrictEqual(ProxyHeader.parse(bytes), header(bytes.length, ends))
    }
  })

  it("what follows the addresses is passed over, if it has the form that it must have", () => {
    const extras = hex("02 0003 616263 04 0000 ea 0001 ff")
    assert.deepStrictEqual(ProxyHeader.parse(withExtras(extras)), header(28 + extras.length, ipv4))
    assert.deepStrictEqual(ProxyHeader.parse(withExtras(extras, V2_IPV6)), header(52 + extras.length, ipv6))
    const largest = Buffer.alloc(65535 - 12)
    largest[0] = 4
    largest.writeUInt16BE(largest.length - 3, 1)
    assert.deepStrictEqual(ProxyHeader.parse(withExtras(largest)), header(ProxyHeader.LONGEST, ipv4))
    assert.match(detail(withExtras(hex("02 00"))), /cut off/)
    assert.match(detail(withExtras(hex("02 0004 616263"))), /longer than the header/)
  })

  it("a checksum is held against the bytes", () => {
    const bytes = withExtras(hex("02 0001 61 03 0004 00000000 04 0002 6162"))
    const sum = crc32c(bytes)
    bytes.writeUInt32BE(sum, 28 + 4 + 3)
    assert.deepStrictEqual(ProxyHeader.parse(bytes), header(bytes.length, ipv4))
    const changed = Buffer.from(bytes)
    changed[16]!++
    assert.match(detail(changed), /checksum is wrong/)
    assert.match(detail(withExtras(hex("03 0003 000000"))), /4 bytes/)
  })

  const wrong: ReadonlyArray<readonly [string, Uint8Array, RegExp]> = [
    ["another protocol", line("GET / HTTP/1.1\r\n"), /does not begin/],
    ["lower case", line("proxy TCP4"), /does not begin/],
    ["no protocol", line("PROXY \r\n"), /is not TCP4/],
    ["another family", line("PROXY TCP4 ::1 ::1 1 2\r\n"), /addresses/],
    ["a zone", line("PROXY TCP6 fe80::1%1 ::1 1 2\r\n"), /addresses/],
    ["a name", line("PROXY TCP4 localhost 127.0.0.1 1 2\r\n"), /addresses/],
    ["a part of an address", line("PROXY TCP4 127.1 127.0.0.1 1 2\r\n"), /addresses/],
    ["a port too large", line("PROXY TCP4 127.0.0.1 127.0.0.1 65536 2\r\n"), /ports/],
    ["a port with a zero before it", line("PROXY TCP4 127.0.0.1 127.0.0.1 01 2\r\n"), /ports/],
    ["a port missing", line("PROXY TCP4 127.0.0.1 127.0.0.1 1\r\n"), /ports/],
    ["a field too many", line("PROXY TCP4 127.0.0.1 127.0.0.1 1 2 3\r\n"), /ports/],
    ["two spaces", line("PROXY TCP4  127.0.0.1 127.0.0.1 1 2\r\n"), /addresses/],
    ["UDP", line("PROXY UDP4 127.0.0.1 127.0.0.1 1 2\r\n"), /is not TCP4/],
    ["a line end without CR", line("PROXY TCP4 127.0.0.1 127.0.0.1 1 2\n"), /CR and LF/],
    ["108 bytes", line(`PROXY UNKNOWN ${"f".repeat(92)}\r\n`), /107 bytes/],
    ["107 bytes and no end", line(`PROXY UNKNOWN ${"f".repeat(93)}`), /107 bytes/],
    ["version 1 in binary", hex(`${SIGNATURE} 11`), /version is 1/],
    ["command 2", hex(`${SIGNATURE} 22`), /command is 2/],
    ["family 4", hex(`${SIGNATURE} 21 41`), /family is 4/],
    ["protocol 3", hex(`${SIGNATURE} 21 13`), /protocol is 3/],
    ["no room for IPv4", hex(`${SIGNATURE} 21 11 000b`), /no room/],
    ["no room for IPv6", hex(`${SIGNATURE} 21 21 000c`), /no room/],
    ["a signature that breaks off", hex("0d0a0d0a000d0a51554955"), /does not begin/]
  ]
  for (const [what, bytes, says] of wrong) {
    it(`refuses ${what}, as soon as it is seen`, () => {
      assert.match(detail(bytes), says)
      // what comes before its last byte may still have become one
      const before = ProxyHeader.parse(bytes.subarray(0, what.includes("107") ? 106 : 1))
      assert.strictEqual(before._tag, what === "another protocol" || what === "lower case" ? "Invalid" : "Incomplete")
    })
  }
})
