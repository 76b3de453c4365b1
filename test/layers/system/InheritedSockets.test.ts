import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Path from "node:path"
import * as Endpoint from "../../../src/domain/net/Endpoint.ts"
import { InheritedSockets } from "../../../src/layers/system/InheritedSockets.ts"

const endpointOf = (uri: string): Endpoint.TransportEndpoint => Result.getOrThrow(Endpoint.parseTransport(uri))

const socketsOf = (...uris: ReadonlyArray<string>): InheritedSockets =>
  new InheritedSockets(
    uris.map((uri, index) => ({ name: `s${index}`, descriptor: 3 + index, endpoint: endpointOf(uri) }))
  )

/** The descriptor that a listener at the endpoint gets, or why it gets none. */
const take = (sockets: InheritedSockets, uri: string): number | "taken" | undefined => {
  const taken = sockets.take(endpointOf(uri))
  return typeof taken === "object" ? taken.descriptor : taken
}

describe("InheritedSockets", () => {
  it("a listener gets the socket of its address, in whatever spelling, over TCP with TLS or without", () => {
    const sockets = socketsOf("tcp://[::1]:80", "tcp://0.0.0.0:443", "udp://0.0.0.0:443", "unix:///run/a.sock")
    assert.strictEqual(take(sockets, "tcp://127.0.0.1:80"), undefined)
    assert.strictEqual(take(sockets, "tcp://[::]:443"), undefined)
    assert.strictEqual(take(sockets, "tcp://[0:0:0:0:0:0:0:1]:80"), 3)
    assert.strictEqual(take(sockets, "udp://0.0.0.0:443"), 5)
    assert.strictEqual(take(sockets, "tls://0.0.0.0:443"), 4)
    assert.strictEqual(take(sockets, `unix://${Path.relative(process.cwd(), "/run/a.sock")}`), 6)
    assert.deepStrictEqual(sockets.free, [])
  })

  it("a socket goes to one listener, and to the next one only if the first has given it back", () => {
    const sockets = socketsOf("tcp://0.0.0.0:80", "tcp://0.0.0.0:80")
    const first = sockets.take(endpointOf("tcp://0.0.0.0:80"))
    assert.strictEqual(take(sockets, "tls://0.0.0.0:80"), 4)
    assert.strictEqual(take(sockets, "tcp://0.0.0.0:80"), "taken")
    assert.ok(typeof first === "object")
    sockets.giveBack(first)
    assert.deepStrictEqual(sockets.free, [first])
    assert.strictEqual(take(sockets, "tcp://0.0.0.0:80"), 3)
  })
})
