import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Cli from "../../support/Cli.ts"
import { has } from "../../support/programs.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"

const script = (shell: string) => Effect.map(Cli.run(["--completions", shell]), ({ stdout }) => stdout)

/** What bash offers for the last of these words. */
const offers = (script: string, cwd: string, ...words: ReadonlyArray<string>): ReadonlyArray<string> => {
  const quoted = words.map((word) => `'${word}'`).join(" ")
  const ask = `COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; COMP_LINE="${words.join(" ")}"
    _sluice sluice '${words.at(-1)}' '${words.at(-2)}'; printf '%s\\n' "\${COMPREPLY[@]}"`
  const { status, stderr, stdout } = spawnSync("bash", ["--norc", "-c", `${script}\n${ask}`], { cwd, encoding: "utf8" })
  assert.deepStrictEqual({ status, stderr }, { status: 0, stderr: "" })
  return stdout.split("\n").filter((line) => line !== "").toSorted()
}

describe("ShellCompletions", () => {
  it.live.runIf(has("bash"))(
    "bash: files where a file is expected, the choices of a flag, and subcommands",
    () =>
      Effect.gen(function*() {
        const directory = yield* TempDirectory.make
        for (const name of ["app.js", "apple.ts", "sluice.json"]) Fs.writeFileSync(Path.join(directory, name), "")
        const bash = yield* script("bash")
        const complete = (...words: ReadonlyArray<string>) => offers(bash, directory, "sluice", ...words)
        assert.deepStrictEqual(complete("serve", "app"), ["app.js", "apple.ts"])
        assert.deepStrictEqual(complete("serve", "--workers", "3", "sl"), ["sluice.json"])
        for (const flag of ["--config", "--tls-cert", "--tls-key", "--client-ca", "--server-ca", "--control"]) {
          assert.deepStrictEqual(complete("serve", flag, "sl"), ["sluice.json"], flag)
        }
        assert.deepStrictEqual(complete("show", "app", "--control", "sl"), ["sluice.json"])
        assert.deepStrictEqual(complete("serve", "--placement", ""), ["shared", "transfer"])
        assert.deepStrictEqual(complete("proxy", "--send-proxy", "v"), ["v1", "v2"])
        assert.deepStrictEqual(complete("serve", "--affinity", "s"), ["source"])
        assert.deepStrictEqual(complete("show", "sessions", "--transport", ""), ["local", "tcp", "tls", "udp", "unix"])
        assert.deepStrictEqual(complete("serve", "--polic"), ["--policy"])
        assert.deepStrictEqual(complete("work"), ["worker"])
        // an application that runs is no file
        assert.deepStrictEqual(complete("show", "app", "app"), [])
      })
  )

  it.live("zsh and fish: the same", () =>
    Effect.gen(function*() {
      const zsh = yield* script("zsh")
      assert.match(zsh, /--placement\[.*\]:[^:]*:\(shared transfer\)/)
      assert.match(zsh, /--config\[.*\]:[^:]*:_files/)
      assert.match(zsh, /--tls-cert\[.*\]:[^:]*:_files/)
      const fish = yield* script("fish")
      assert.match(fish, /-l placement .* -r -f -a 'shared transfer'/)
      assert.match(fish, /-l config .* -r -F\n/)
      assert.notMatch(fish, /complete -c sluice -n '__fish_seen_subcommand_from serve' -f\n/)
    }))
})
