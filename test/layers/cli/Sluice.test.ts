/** The command line as a value: what it says of itself, and of what it does not know. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import { version } from "../../../src/domain/report/Version.ts"
import * as Cli from "../../support/Cli.ts"

describe("sluice", () => {
  it.live("succeeds with 0 and what was asked for", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Cli.run(["--version"]), { code: 0, stdout: `sluice v${version}\n`, stderr: "" })
    }))

  it.live("says what it can do", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* Cli.run(["--help"])
      assert.deepStrictEqual({ code, stderr }, { code: 0, stderr: "" })
      assert.match(stdout, /serve +Serve an application/)
      assert.match(stdout, /show +Look into a running host/)
      assert.strictEqual((yield* Cli.run([])).stdout, stdout)
    }))

  it.live("explains each setting of serve", () =>
    Effect.gen(function*() {
      const { stdout } = yield* Cli.run(["serve", "--help"])
      for (const flag of ["--listen <uri>", "--workers <number|range|auto>", "--in-process", "--rx-fifo-size <size>"]) {
        assert.include(stdout, flag)
      }
      assert.match(stdout, /--revoke-after <time> [^]*?default:\s+5 ms/)
    }))

  it.live("refuses a subcommand that it does not know", () =>
    Effect.gen(function*() {
      yield* Cli.fails(["srve"], {
        code: 2,
        says: "Unknown subcommand \"srve\" for \"sluice\"; did you mean serve? (see: sluice --help)"
      })
      yield* Cli.fails(["show", "nothing"], {
        code: 2,
        says: "Unknown subcommand \"nothing\" for \"sluice show\" (see: sluice show --help)"
      })
    }))

  it.live("refuses a flag that it does not know, and one without its value", () =>
    Effect.gen(function*() {
      yield* Cli.fails(["serve", "--wrokers", "2"], {
        code: 2,
        says: "Unrecognized flag: --wrokers in command sluice serve; did you mean --workers? (see: sluice serve --help)"
      })
      yield* Cli.fails(["serve", "--listen"], { code: 2, says: /^sluice: --listen has no value; give it <uri>/ })
    }))

  it.live("serves until it hears a signal, wherever that comes from", () =>
    Effect.gen(function*() {
      const serving = yield* Cli.serve(["--in-process"])
      assert.match(serving.line, /^sluice: http listening on tcp:\/\/127\.0\.0\.1:\d+ \(2 in-process workers\)/)
      yield* serving.kill("SIGTERM")
      assert.strictEqual((yield* serving.result).code, 0)
      assert.isFalse(Fs.existsSync(serving.control))
    }))
})
