/** A host that a bundler has made a few files of, which run where nothing is installed. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { promisify } from "node:util"
import { rolldown } from "rolldown"
import { root } from "./support/serving.ts"
import * as TempDirectory from "./support/TempDirectory.ts"

const folder = Path.join(root, "test/fixtures/bundle")

/** Makes files of the host, of its application, and of what its workers' threads begin with. */
const bundle = async (dir: string): Promise<void> => {
  const input = { host: Path.join(folder, "host.ts"), app: Path.join(folder, "app.ts"), thread: "sluice/thread" }
  const bundled = await rolldown({ cwd: root, input, platform: "node", logLevel: "silent" })
  await bundled.write({ dir, format: "esm" })
  await bundled.close()
  Fs.writeFileSync(Path.join(dir, "package.json"), "{ \"type\": \"module\" }")
}

describe("a host in a bundle", () => {
  it.live("serves on its own loop and on threads", () =>
    Effect.gen(function*() {
      const directory = yield* TempDirectory.make
      yield* Effect.promise(() => bundle(directory))
      const { stderr, stdout } = yield* Effect.promise(() =>
        promisify(execFile)(process.execPath, [Path.join(directory, "host.js")], { cwd: directory })
      )
      assert.deepStrictEqual({ stderr, stdout }, { stderr: "", stdout: "from the host's loop\nfrom a thread\n" })
    }))
})
