/** `sluice serve --metrics`: the port for Prometheus. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Cli from "../../support/Cli.ts"
import * as Exposition from "../../support/Exposition.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"

describe("sluice serve --metrics", () => {
  it.live("X5 answers on the port that it is given, and says where", () =>
    Effect.gen(function*() {
      const control = `${yield* TempDirectory.make}/control.sock`
      const served = ["serve", "--listen", "tcp://127.0.0.1:0", "--workers", "1", "--in-process"]
      const { printed } = yield* Cli.start([...served, "--control", control, "--metrics", "127.0.0.1:0"])
      const [, uri] = yield* printed("stderr", /metrics at (http:\S+) \(\/metrics\)/)
      const [, port] = yield* printed("stdout", /listening on tcp:\/\/127\.0\.0\.1:(\d+) /)
      const get = (url: string) => Effect.promise(() => fetch(url).then((response) => response.text()))
      yield* get(`http://127.0.0.1:${port}/`)
      // bytes are counted once the system has taken them, which the client may know before
      const all = yield* Effect.repeat(Effect.map(get(`${uri}/metrics`), Exposition.parse), {
        until: (all) => Exposition.sum(all, "sluice_bytes_total", { direction: "out" }) > 100
      })
      assert.strictEqual(Exposition.sum(all, "sluice_connections_total", { app: "http", result: "claimed" }), 1)
      assert.strictEqual(Exposition.sum(all, "sluice_claim_seconds_count", { worker: "0" }), 1)
    }).pipe(Effect.scoped), 20_000)

  it.effect("X5 says in one sentence what is wrong with an address", () =>
    Effect.gen(function*() {
      const says = (...args: ReadonlyArray<string>) => Effect.map(Cli.run(["serve", ...args]), ({ stderr }) => stderr)
      assert.include(
        yield* says("--metrics", "9100"),
        "--metrics: got \"9100\"; it must be an address and a port, such as 127.0.0.1:9000 or [::]:9000"
      )
      assert.include(
        yield* says("--metrics", "127.0.0.1:9100", "--health", "127.0.0.1:9100"),
        "--metrics: 127.0.0.1:9100 is the health port; choose another port"
      )
    }).pipe(Effect.scoped))
})
