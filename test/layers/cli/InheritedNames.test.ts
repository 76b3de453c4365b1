import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Endpoint from "../../../src/domain/net/Endpoint.ts"
import * as InheritedNames from "../../../src/layers/cli/InheritedNames.ts"
import * as Settings from "../../../src/layers/cli/Settings.ts"
import { Inherited, InheritedSockets } from "../../../src/layers/system/InheritedSockets.ts"

const socketsOf = (...sockets: ReadonlyArray<readonly [name: string, uri: string]>): InheritedSockets =>
  new InheritedSockets(
    sockets.map(([name, uri], index) => ({
      name,
      descriptor: 3 + index,
      endpoint: Result.getOrThrow(Endpoint.parseTransport(uri))
    }))
  )

const sockets = socketsOf(
  ["web", "tcp://0.0.0.0:80"],
  ["web", "tcp://[::1]:80"],
  ["web", "unix:///run/web.sock"],
  ["https", "tcp://0.0.0.0:443"],
  ["dns", "udp://0.0.0.0:53"]
)

const expand = (value: unknown, of = sockets): unknown => Result.merge(InheritedNames.expand(of, value))

const settingsOf = (listen: ReadonlyArray<string> | undefined, of: InheritedSockets) =>
  Settings.resolve({ listen }, undefined).pipe(
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: {} }))),
    Effect.provideService(Inherited, of)
  )

describe("names of inherited sockets", () => {
  it("stand for the addresses of all sockets of that name, and of TLS where it is asked for", () => {
    assert.deepStrictEqual(expand(["fd://web", "tcp://127.0.0.1:1", "tls+fd://https", "fd://dns"]), [
      "tcp://0.0.0.0:80",
      "tcp://[::1]:80",
      "unix:///run/web.sock",
      "tcp://127.0.0.1:1",
      "tls://0.0.0.0:443",
      "udp://0.0.0.0:53"
    ])
    assert.deepStrictEqual(expand({ "fd://dns": { udpPending: 1 }, "tcp://127.0.0.1:1": {} }), {
      "udp://0.0.0.0:53": { udpPending: 1 },
      "tcp://127.0.0.1:1": {}
    })
  })

  it("are as good as any where another process has the sockets", () => {
    const listen = ["fd://web", "tls+fd://https", "tcp://127.0.0.1:1"]
    assert.deepStrictEqual(expand(listen, InheritedSockets.elsewhere), [
      "tcp://127.0.0.1:0",
      "tls://127.0.0.1:0",
      "tcp://127.0.0.1:1"
    ])
  })

  it("are refused with what would be right", () => {
    assert.strictEqual(
      expand(["fd://wbe"]),
      "\"fd://wbe\": this process was started with no such socket: those that it has are named web, https, dns"
    )
    assert.strictEqual(
      expand(["fd://web"], new InheritedSockets([])),
      "\"fd://web\": this process was started with no such socket: LISTEN_FDS is not set"
    )
    assert.strictEqual(
      expand(["fd://web"], new InheritedSockets([], ["descriptor 3 (\"web\") is not open"])),
      "\"fd://web\": this process was started with no such socket: descriptor 3 (\"web\") is not open"
    )
    assert.strictEqual(
      expand(["tls+fd://dns"]),
      "\"tls+fd://dns\": TLS is served over TCP, and that socket is udp://0.0.0.0:53"
    )
  })

  it.effect("a host that is told nothing listens on the sockets that it was started with", () =>
    Effect.gen(function*() {
      const listened = (listen: ReadonlyArray<string> | undefined, of: InheritedSockets) =>
        Effect.map(settingsOf(listen, of), ({ decoded }) => decoded.listen.map(Endpoint.format))
      assert.deepStrictEqual(yield* listened(undefined, new InheritedSockets([])), ["tcp://127.0.0.1:8080"])
      assert.deepStrictEqual(yield* listened(undefined, socketsOf(["a", "tcp://0.0.0.0:80"])), ["tcp://0.0.0.0:80"])
      assert.deepStrictEqual(yield* listened(["fd://https"], sockets), ["tcp://0.0.0.0:443"])
      const { message } = yield* Effect.flip(settingsOf(["fd://no"], sockets))
      assert.match(message, /^--listen: "fd:\/\/no": this process was started with no such socket/)
    }))
})
