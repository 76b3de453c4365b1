import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as ListenerOptions from "../../../src/domain/options/ListenerOptions.ts"
import * as Options from "../../../src/domain/options/Options.ts"

const decoded = (input: unknown): Options.AppOptions => Result.getOrThrow(Options.decodeApp(input))
const messages = (input: unknown): ReadonlyArray<string> => {
  const { more, reason } = Result.getOrThrow(Result.flip(Options.decodeApp(input)))
  return [reason, ...more].map(({ message }) => message)
}

describe("ListenerOptions", () => {
  it("a listener keeps its sockets, ends TLS in the host and trusts no proxy unless it is told otherwise", () => {
    const { listener } = decoded({})
    assert.strictEqual(listener.placement, "shared")
    assert.strictEqual(listener.tlsIn, "host")
    assert.strictEqual(listener.clientCertificate, "none")
    assert.deepStrictEqual(listener.proxyTrust, [])
    assert.strictEqual(listener.affinity, "none")
    assert.strictEqual(listener.unixMode, 0o600)
  })

  it("an endpoint has its own options in place of those of all, however its URI is spelled", () => {
    const app = decoded({
      listener: { placement: "transfer", alpn: ["h2"] },
      listeners: { "TCP://127.0.0.1:80": { handshakeTimeout: "2s" } }
    })
    const own = ListenerOptions.of(app, "tcp://127.0.0.1:80")
    assert.strictEqual(own.handshakeTimeout, 2000)
    assert.strictEqual(own.placement, "shared")
    assert.strictEqual(ListenerOptions.of(app, "tcp://127.0.0.1:81").placement, "transfer")
    // no inherited name is taken for an endpoint
    assert.strictEqual(ListenerOptions.of(app, "constructor"), app.listener)
  })

  it("what is no endpoint can't have options", () => {
    assert.match(messages({ listeners: { "127.0.0.1:80": {} } })[0]!, /^listeners: .*which "127\.0\.0\.1:80" is not$/)
  })

  it("permissions are a number or octal text", () => {
    for (const [given, mode] of [["0660", 0o660], ["0o777", 0o777], ["7", 7], [0o644, 0o644]] as const) {
      assert.strictEqual(decoded({ listener: { unixMode: given } }).listener.unixMode, mode)
    }
    for (const given of ["0888", "rw", "07777", -1, 0o1000, 1.5, ""]) {
      assert.match(messages({ listener: { unixMode: given } })[0]!, /^listener\.unixMode: got .*octal text/)
    }
  })

  it("affinity is a word or a function, prefixes are prefixes", () => {
    const affinity: ListenerOptions.Affinity = ({ remote }) => remote
    assert.strictEqual(decoded({ listener: { affinity } }).listener.affinity, affinity)
    assert.strictEqual(decoded({ listener: { affinity: "source" } }).listener.affinity, "source")
    assert.match(
      messages({ listener: { affinity: "sticky" } })[0]!,
      /^listener\.affinity: got "sticky"; it must be "none"/
    )
    const { listener } = decoded({ listener: { proxyTrust: ["10.0.0.0/8", "::1"] } })
    assert.deepStrictEqual(listener.proxyTrust.map(String), ["10.0.0.0/8", "::1"])
    assert.match(messages({ listener: { proxyTrust: ["10.0.0.1/8"] } })[0]!, /^listener\.proxyTrust: .*10\.0\.0\.0\/8/)
  })
})
