import { assert, it } from "@effect/vitest"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import * as SocketAddress from "../../../src/domain/net/SocketAddress.ts"

it("host and port of an endpoint, whatever its transport; none where there is no port", () => {
  assert.deepStrictEqual(SocketAddress.hostPort("udp://1.2.3.4:5678"), { host: "1.2.3.4", port: 5678 })
  assert.deepStrictEqual(SocketAddress.hostPort("tls://[::1]:443"), { host: "::1", port: 443 })
  for (const uri of ["local://room", "unix:///run/a:1", "tcp://[::]:*"]) {
    assert.isUndefined(SocketAddress.hostPort(uri), uri)
  }
})

it("an address, a path, or the URI itself", () => {
  const inet = Result.getOrThrow(SocketAddress.fromUri("tcp://[::1]:80"))
  assert.strictEqual(NetAddress.isInetAddress(inet) && NetAddress.formatInet(inet), "[::1]:80")
  for (const [uri, path] of [["unix:///run/a.sock", "/run/a.sock"], ["local://room", "local://room"]] as const) {
    const address = Result.getOrThrow(SocketAddress.fromUri(uri))
    assert.strictEqual(NetAddress.isUnixPathAddress(address) && address.path, path)
  }
  assert.isTrue(Result.isFailure(SocketAddress.fromUri("tcp://name.test:80")))
  assert.isTrue(Result.isFailure(SocketAddress.fromUri("tcp://1.2.3.4:99999")))
})
