import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestConsole from "effect/testing/TestConsole"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { version } from "../../../src/domain/report/Version.ts"
import { Signals } from "../../../src/layers/cli/Signals.ts"
import * as Sluice from "../../../src/layers/cli/Sluice.ts"
import * as Host from "../../../src/layers/Host.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"

const run = Sluice.run(Host.layer)

const given = (env: Readonly<Record<string, string>> = {}) =>
  Layer.mergeAll(NodeServices.layer, ConfigProvider.layer(ConfigProvider.fromEnv({ env })), TestConsole.layer)

const printed = Effect.all({ out: TestConsole.logLines, errors: TestConsole.errorLines })

describe("the command as a value", () => {
  it.effect("succeeds with 0 and what was asked for", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* run(["--version"]), 0)
      assert.deepStrictEqual(yield* printed, { out: [`sluice v${version}`], errors: [] })
    }).pipe(Effect.provide(given())))

  it.effect("succeeds with 2 and one sentence when it is called wrongly", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* run(["srve"]), Sluice.USAGE)
      const says = "sluice: Unknown subcommand \"srve\" for \"sluice\"; did you mean serve? (see: sluice --help)"
      assert.deepStrictEqual(yield* printed, { out: [], errors: [says] })
    }).pipe(Effect.provide(given())))

  it.effect("reads the environment that it is given", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* run(["serve"]), Sluice.USAGE)
      const says = "sluice: SLUICE_WORKERS: got \"two\"; it must be a whole number from 1 to 256"
      assert.deepStrictEqual(yield* printed, { out: [], errors: [says] })
    }).pipe(Effect.provide(given({ SLUICE_WORKERS: "two" }))))

  it.live("serves until it hears a signal, wherever that comes from", () =>
    Effect.gen(function*() {
      const control = Path.join(yield* TempDirectory.make, "control.sock")
      const signal = Deferred.makeUnsafe<NodeJS.Signals>()
      const line = Deferred.makeUnsafe<string>()
      const fiber = yield* run(["serve", "--in-process", "--listen", "tcp://127.0.0.1:0", "--control", control]).pipe(
        Effect.provideService(Signals, {
          ending: Effect.succeed(Deferred.await(signal)),
          hangup: Effect.succeed(Effect.never)
        }),
        Effect.provideService(Console.Console, {
          ...(yield* Console.Console),
          log: (text: string) => Deferred.doneUnsafe(line, Effect.succeed(text))
        }),
        Effect.forkChild
      )
      const said = yield* Deferred.await(line)
      assert.match(said, /^sluice: http listening on tcp:\/\/127\.0\.0\.1:\d+ \(2 in-process workers\)/)
      yield* Deferred.succeed(signal, "SIGTERM")
      assert.strictEqual(yield* Fiber.join(fiber), 0)
      assert.isFalse(Fs.existsSync(control))
    }).pipe(Effect.scoped, Effect.provide(given())))
})
