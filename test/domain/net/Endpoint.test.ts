import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Endpoint from "../../../src/domain/net/Endpoint.ts"
import * as EndpointSchema from "../../../src/domain/net/EndpointSchema.ts"

const tcp = (host: string, port: number) => ({ _tag: "tcp" as const, host, port })
const anyPort = (host: Endpoint.AnyHost): Endpoint.Endpoint => ({ _tag: "anyPort", transport: "tcp", host })
const local = (name: string): Endpoint.Endpoint => ({ _tag: "local", name })
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
  const texts: ReadonlyArray<readonly [string, Endpoint.InetEndpoint, 4 | 6 | undefined]> = [
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
      assert.isTrue(Endpoint.isTransport(endpoint))
      assert.isFalse(Endpoint.isAnyPort(endpoint))
      assert.deepStrictEqual(Endpoint.parseTransport(text), Result.succeed(endpoint))
    })
  }

  const ofLocalScope: ReadonlyArray<readonly [string, Endpoint.Endpoint, boolean]> = [
    ["tcp://0.0.0.0:*", anyPort("0.0.0.0"), true],
    ["tcp://[::]:*", anyPort("::"), true],
    ["local://billing", local("billing"), false],
    ["local://Billing.v2_test-1", local("Billing.v2_test-1"), false],
    [`local://${"x".repeat(64)}`, local("x".repeat(64)), false]
  ]
  for (const [text, endpoint, isAnyPort] of ofLocalScope) {
    it(`W17 reads ${text} and writes it back, and no transport serves it`, () => {
      assert.deepStrictEqual(parsed(text), endpoint)
      assert.strictEqual(Endpoint.format(endpoint), text)
      assert.isFalse(Endpoint.isTransport(endpoint))
      assert.strictEqual(Endpoint.isAnyPort(endpoint), isAnyPort)
      const error = Result.getOrThrow(Result.flip(Endpoint.parseTransport(text)))
      assert.deepStrictEqual(error.reason, { _tag: "NoAddress" })
      assert.strictEqual(
        error.message,
        `endpoint "${text}": it has no address and port; use an endpoint such as "tcp://127.0.0.1:8080"`
      )
    })
  }

  it("W18 a proxy of tcp listens on any port of both families", () => {
    assert.deepStrictEqual(Endpoint.anyPorts.map(Endpoint.format), ["tcp://0.0.0.0:*", "tcp://[::]:*"])
  })

  it("says of a text that is no endpoint at all why, where one of a transport is asked for", () => {
    const error = Result.getOrThrow(Result.flip(Endpoint.parseTransport("tcp://h")))
    assert.deepStrictEqual(error.reason, { _tag: "InvalidPort", port: "" })
  })

  it("takes the transport in any case", () => {
    assert.deepStrictEqual(parsed("TCP://localhost:1"), tcp("localhost", 1))
  })

  it.effect.prop(
    "round-trips through its text form, bare and as a codec",
    { host: hosts, port: EndpointSchema.Port },
    ({ host, port }) =>
      Effect.gen(function*() {
        const endpoint = yield* Schema.decodeEffect(EndpointSchema.EndpointValue.cases.tcp)(tcp(host, port))
        const text = Endpoint.format(endpoint)
        assert.strictEqual(text.includes("["), Endpoint.family(endpoint) === 6)
        assert.deepStrictEqual(yield* Effect.fromResult(Endpoint.parse(text)), endpoint)
        assert.strictEqual(yield* Schema.encodeEffect(EndpointSchema.EndpointFromString)(endpoint), text)
        assert.deepStrictEqual(yield* Schema.decodeEffect(EndpointSchema.EndpointFromString)(text), endpoint)
      })
  )

  it.effect.prop("what it reads, it writes back to a text that reads the same", {
    text: Schema.String.check(Schema.isPattern(/^(tcp|local):\/\/[[\]:.0-9a-f%@/_-]{0,12}(:([0-9]{1,5}|\*))?$/))
  }, ({ text }) =>
    Effect.sync(() => {
      const result = Endpoint.parse(text)
      if (Result.isFailure(result)) return
      assert.deepStrictEqual(parsed(Endpoint.format(result.success)), result.success)
      assert.isTrue(Schema.is(EndpointSchema.EndpointValue)(result.success))
    }))

  const known = Endpoint.transports.map((transport) => `${transport}:`).join(", ")
  const refusals: ReadonlyArray<readonly [string, Endpoint.EndpointErrorReason, string]> = [
    ["quic://h:1", { _tag: "UnknownTransport", transport: "quic" }, `there is no transport 'quic'; use ${known}`],
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
    ["tcp://127.0.0.1:*", { _tag: "AnyPortOfOneHost", host: "127.0.0.1" }, "use \"0.0.0.0\" or \"[::]\" instead of"],
    ["tcp://[::1]:*", { _tag: "AnyPortOfOneHost", host: "::1" }, "every port of every address"],
    ["tcp://h:*", { _tag: "AnyPortOfOneHost", host: "h" }, "or give a port"],
    ["tcp://:*", { _tag: "InvalidHost", host: "" }, "the host is missing"],
    ["tcp://0.0.0.0:**", { _tag: "InvalidPort", port: "**" }, "'**' is not a port"],
    ["local://", { _tag: "InvalidName", name: "" }, "the name is missing"],
    ["local:a", { _tag: "MissingTransport" }, "it must start with a transport"],
    ["local://a:80", { _tag: "InvalidName", name: "a:80" }, "'a:80' is not a name of a local endpoint"],
    ["local://a b", { _tag: "InvalidName", name: "a b" }, "without a port"],
    ["local://a\n", { _tag: "InvalidName", name: "a\n" }, "is not a name"],
    ["local://größe", { _tag: "InvalidName", name: "größe" }, "1 to 64 letters"],
    ["local://a/b", { _tag: "UnexpectedPart", part: "path" }, "an endpoint has no path"],
    [`local://${"x".repeat(65)}`, { _tag: "InvalidName", name: "x".repeat(65) }, "is not a name"],
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
    assert.isBelow(refused(`local://${"x".repeat(10_000)}`).message.length, 600)
    assert.isBelow(refused(`tcp://h:${"1".repeat(10_000)}`).message.length, 600)
    assert.isBelow(refused(`tcp://${"x".repeat(10_000)}:1`).message.length, 600)
    assert.isBelow(refused(`${"x".repeat(10_000)}://h:1`).message.length, 600)
  })

  it.effect("the codec fails with the message of the error", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Schema.decodeEffect(EndpointSchema.EndpointFromString)("quic://h:1"))
      assert.strictEqual(error.message, refused("quic://h:1").message)
    }))

  const covered: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
    ["tcp://10.0.0.1:80", ["tcp://0.0.0.0:80", "tcp://[::]:80", "tcp://0.0.0.0:*", "tcp://[::]:*"]],
    ["tcp://localhost:80", ["tcp://0.0.0.0:80", "tcp://[::]:80", "tcp://0.0.0.0:*", "tcp://[::]:*"]],
    ["tcp://[::ffff:10.0.0.1]:80", ["tcp://0.0.0.0:80", "tcp://[::]:80", "tcp://0.0.0.0:*", "tcp://[::]:*"]],
    ["tcp://[0:0:0:0:0:ffff:a00:1]:80", ["tcp://0.0.0.0:80", "tcp://[::]:80", "tcp://0.0.0.0:*", "tcp://[::]:*"]],
    ["tcp://[2001:db8::1]:80", ["tcp://[::]:80", "tcp://[::]:*"]],
    ["tcp://[fe80::1%eth0]:80", ["tcp://[::]:80", "tcp://[::]:*"]],
    ["tcp://0.0.0.0:80", ["tcp://[::]:80", "tcp://0.0.0.0:*", "tcp://[::]:*"]],
    ["tcp://[::]:80", ["tcp://[::]:*"]],
    ["tcp://0.0.0.0:*", ["tcp://[::]:*"]],
    ["tcp://[::]:*", []],
    ["local://billing", []]
  ]
  for (const [text, by] of covered) {
    it(`W17 ${text} is covered by ${by.join(", ") || "nothing else"}, in this order`, () => {
      assert.deepStrictEqual(Endpoint.coveredBy(parsed(text)).map(Endpoint.format), by)
    })
  }
})
