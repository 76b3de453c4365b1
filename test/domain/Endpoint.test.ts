import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Endpoint from "../../src/domain/Endpoint.ts"

const tcp = (host: string, port: number): Endpoint.Endpoint => ({ _tag: "tcp", host, port })
const parsed = (text: string) => Result.getOrThrow(Endpoint.parse(text))
const refused = (text: string) => Result.getOrThrow(Result.flip(Endpoint.parse(text)))

const octet = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
const group = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65535 })))
const label = Arbitrary.schema(Schema.String.check(Schema.isPattern(/^[a-z]([a-z0-9-]{0,8}[a-zA-Z0-9])?$/)))
const kind = Arbitrary.schema(Schema.Literals(["v4", "v6", "v6 short", "v6 mapped", "name", "rooted name"]))

const hosts = Arbitrary.all({
  kind,
  octets: Arbitrary.all([octet, octet, octet, octet]),
  groups: Arbitrary.all([group, group, group, group, group, group, group, group]),
  labels: Arbitrary.array(label, { minLength: 1, maxLength: 4 })
}).pipe(Arbitrary.map(({ groups, kind, labels, octets }) => {
  const hex = groups.map((n) => n.toString(16))
  switch (kind) {
    case "v4":
      return octets.join(".")
    case "v6":
      return hex.join(":")
    case "v6 short":
      return `${hex[0]}::${hex[1]}`
    case "v6 mapped":
      return `::ffff:${octets.join(".")}`
    case "name":
      return labels.join(".")
    case "rooted name":
      return `${labels.join(".")}.`
  }
}))

describe("Endpoint", () => {
  const texts: ReadonlyArray<readonly [string, Endpoint.Endpoint, 4 | 6 | undefined]> = [
    ["tcp://127.0.0.1:8080", tcp("127.0.0.1", 8080), 4],
    ["tcp://0.0.0.0:80", tcp("0.0.0.0", 80), 4],
    ["tcp://255.255.255.255:65535", tcp("255.255.255.255", 65535), 4],
    ["tcp://[::1]:0", tcp("::1", 0), 6],
    ["tcp://[::]:0", tcp("::", 0), 6],
    ["tcp://[2001:DB8::1]:443", tcp("2001:DB8::1", 443), 6],
    ["tcp://[::ffff:10.0.0.1]:1", tcp("::ffff:10.0.0.1", 1), 6],
    ["tcp://[fe80::1%eth0]:80", tcp("fe80::1%eth0", 80), 6],
    ["tcp://localhost:8080", tcp("localhost", 8080), undefined],
    ["tcp://Example.COM.:8080", tcp("Example.COM.", 8080), undefined],
    ["tcp://app_1.internal:1", tcp("app_1.internal", 1), undefined],
    ["tcp://4chan.org:80", tcp("4chan.org", 80), undefined]
  ]

  for (const [text, endpoint, family] of texts) {
    it(`reads ${text} and writes it back as it was`, () => {
      assert.deepStrictEqual(parsed(text), endpoint)
      assert.strictEqual(Endpoint.format(endpoint), text)
      assert.strictEqual(Endpoint.family(endpoint), family)
    })
  }

  it("takes the transport in any case", () => {
    assert.deepStrictEqual(parsed("TCP://localhost:1"), tcp("localhost", 1))
  })

  it.effect.prop(
    "round-trips through its text form, bare and as a codec",
    { host: hosts, port: Endpoint.Port },
    ({ host, port }) =>
      Effect.gen(function*() {
        const endpoint = yield* Schema.decodeEffect(Endpoint.Endpoint)(tcp(host, port))
        const text = Endpoint.format(endpoint)
        assert.strictEqual(text.includes("["), Endpoint.family(endpoint) === 6)
        assert.deepStrictEqual(yield* Effect.fromResult(Endpoint.parse(text)), endpoint)
        assert.strictEqual(yield* Schema.encodeEffect(Endpoint.FromString)(endpoint), text)
        assert.deepStrictEqual(yield* Schema.decodeEffect(Endpoint.FromString)(text), endpoint)
      })
  )

  it.effect.prop("what it reads, it writes back to a text that reads the same", {
    text: Schema.String.check(Schema.isPattern(/^tcp:\/\/[[\]:.0-9a-f%@/-]{0,12}(:[0-9]{1,5})?$/))
  }, ({ text }) =>
    Effect.sync(() => {
      const result = Endpoint.parse(text)
      if (Result.isFailure(result)) return
      assert.deepStrictEqual(parsed(Endpoint.format(result.success)), result.success)
      assert.isTrue(Schema.is(Endpoint.Endpoint)(result.success))
    }))

  for (const transport of ["tls", "udp", "unix", "local"] as const) {
    it(`refuses ${transport}: as known but not served`, () => {
      for (const text of [`${transport}://127.0.0.1:80`, `${transport}:/run/app.sock`]) {
        const error = refused(text)
        assert.deepStrictEqual(error.reason, { _tag: "UnsupportedTransport", transport })
        assert.strictEqual(
          error.message,
          `endpoint "${text}": transport '${transport}' is not served by this build; use tcp:`
        )
      }
    })
  }

  const refusals: ReadonlyArray<readonly [string, Endpoint.EndpointErrorReason, string]> = [
    ["quic://h:1", { _tag: "UnknownTransport", transport: "quic" }, "there is no transport 'quic'; use tcp:"],
    ["localhost:8080", { _tag: "MissingTransport" }, "it must start with a transport"],
    ["tcp:localhost:8080", { _tag: "MissingTransport" }, "it must start with a transport"],
    ["", { _tag: "MissingTransport" }, "it must start with a transport"],
    ["tcp://h:1/", { _tag: "UnexpectedPart", part: "path" }, "an endpoint has no path"],
    ["tcp://h:1?a=b", { _tag: "UnexpectedPart", part: "query" }, "an endpoint has no query"],
    ["tcp://h:1#a", { _tag: "UnexpectedPart", part: "fragment" }, "an endpoint has no fragment"],
    ["tcp://:1", { _tag: "InvalidHost", host: "" }, "the host is missing"],
    ["tcp://[]:1", { _tag: "InvalidHost", host: "" }, "the host is missing"],
    ["tcp://::1", { _tag: "InvalidHost", host: "::1" }, "an IPv6 address stands in brackets: \"[::1]\""],
    ["tcp://fe80::1:2:x", { _tag: "InvalidHost", host: "fe80::1:2" }, "stands in brackets"],
    ["tcp://256.0.0.1:1", { _tag: "InvalidHost", host: "256.0.0.1" }, "'256.0.0.1' is not a host"],
    ["tcp://127.1:1", { _tag: "InvalidHost", host: "127.1" }, "'127.1' is not a host"],
    ["tcp://0x7f000001:1", { _tag: "InvalidHost", host: "0x7f000001" }, "is not a host"],
    ["tcp://010.0.0.1:1", { _tag: "InvalidHost", host: "010.0.0.1" }, "is not a host"],
    ["tcp://[1::2::3]:1", { _tag: "InvalidHost", host: "1::2::3" }, "is not a host"],
    ["tcp://[127.0.0.1]:1", { _tag: "InvalidHost", host: "127.0.0.1" }, "is not a host"],
    ["tcp://-a:1", { _tag: "InvalidHost", host: "-a" }, "is not a host"],
    ["tcp://a..b:1", { _tag: "InvalidHost", host: "a..b" }, "is not a host"],
    ["tcp://a b:1", { _tag: "InvalidHost", host: "a b" }, "is not a host"],
    ["tcp://h", { _tag: "InvalidPort", port: "" }, "the port is missing"],
    ["tcp://[::1]", { _tag: "InvalidPort", port: "" }, "the port is missing"],
    ["tcp://h:65536", { _tag: "InvalidPort", port: "65536" }, "'65536' is not a port; use a number from 0 to 65535"],
    ["tcp://h:-1", { _tag: "InvalidPort", port: "-1" }, "'-1' is not a port"],
    ["tcp://h:080", { _tag: "InvalidPort", port: "080" }, "without leading zeros"],
    ["tcp://h:http", { _tag: "InvalidPort", port: "http" }, "'http' is not a port"],
    ["tcp://h:1\n", { _tag: "InvalidPort", port: "1\n" }, "is not a port"]
  ]

  for (const [text, reason, right] of refusals) {
    it(`refuses ${JSON.stringify(text)} with the text and what would be right`, () => {
      const error = refused(text)
      assert.deepStrictEqual(error.reason, reason)
      assert.include(error.message, `endpoint "${text}": `)
      assert.include(error.message, right)
    })
  }

  it("never shows a password", () => {
    const error = refused("tcp://me:hunter2@h:1")
    assert.deepStrictEqual(error.reason, { _tag: "UnexpectedPart", part: "userinfo" })
    assert.notInclude(error.message, "hunter2")
    assert.include(error.message, "tcp://***@h:1")
  })

  it("bounds the length of its message", () => {
    assert.isBelow(refused(`tcp://h:1/${"x".repeat(10_000)}`).message.length, 400)
  })

  it.effect("the codec fails with the message of the error", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Schema.decodeEffect(Endpoint.FromString)("tls://h:1"))
      assert.strictEqual(error.message, refused("tls://h:1").message)
    }))

  it("moves to another port and refuses one that is none", () => {
    assert.deepStrictEqual(Endpoint.withPort(tcp("::1", 0), 4711), tcp("::1", 4711))
    assert.throws(() => Endpoint.withPort(tcp("::1", 0), 65536))
  })
})
