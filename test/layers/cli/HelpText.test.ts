import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ProxyCommand from "../../../src/layers/cli/ProxyCommand.ts"
import * as Setting from "../../../src/layers/cli/Setting.ts"
import * as Cli from "../../support/Cli.ts"

const help = (...page: ReadonlyArray<string>) => Effect.map(Cli.run([...page, "--help"]), ({ stdout }) => stdout)

const subcommands = (text: string): ReadonlyArray<string> =>
  Array.from(/^SUBCOMMANDS\n((?: +.*\n)+)/m.exec(text)?.[1]?.matchAll(/^ {2}(\w+)/gm) ?? [], ([, name = ""]) => name)

/** Every command with its page, found from the pages above it. */
const pages = (...path: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<readonly [string, string]>> =>
  Effect.gen(function*() {
    const text = yield* help(...path)
    const below = yield* Effect.forEach(subcommands(text), (name) => pages(...path, name))
    return [[path.join(" "), text] as const, ...below.flat()]
  })

const headings = (text: string) => text.split("\n").filter((line) => /^[A-Z]/.test(line))

describe("HelpText", () => {
  it.live("has no line of more than 80 columns on any page, and no word is lost", () =>
    Effect.gen(function*() {
      const all = yield* pages()
      assert.includeMembers(all.map(([page]) => page), [
        "",
        "serve",
        "proxy",
        "show sessions",
        "worker restart",
        "deny list"
      ])
      assert.isAtLeast(all.length, 28)
      for (const [page, text] of all) {
        assert.match(text, new RegExp(`^USAGE\\n {2}sluice${page === "" ? "" : ` ${page}`}\\b`, "m"))
        assert.match(text, /^DESCRIPTION\n {2}\S/)
        for (const line of text.split("\n")) assert.isAtMost(line.length, 80, `${page}: ${line}`)
      }
      const words = (text: string) => text.replace(/\s+/g, " ")
      const serve = words(yield* help("serve"))
      for (const { description, flag } of Setting.settings) {
        if (flag !== undefined) assert.include(serve, words(description))
      }
      const proxy = words(yield* help("proxy"))
      for (const { description, flag } of ProxyCommand.own) assert.include(proxy, `--${flag}`, description)
    }))

  it.live("has subcommands before flags, and the flags of serve in groups", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(headings(yield* help()), ["DESCRIPTION", "USAGE", "SUBCOMMANDS", "GLOBAL FLAGS"])
      const groups = [
        "FLAGS FOR THE APPLICATION",
        "FLAGS FOR WORKERS",
        "FLAGS FOR CERTIFICATES",
        "FLAGS FOR ADMISSION",
        "FLAGS FOR LISTENERS",
        "FLAGS FOR CONNECTS OVER TLS",
        "FLAGS FOR SHARED MEMORY",
        "FLAGS FOR EVENT QUEUES"
      ]
      const serve = ["DESCRIPTION", "USAGE", "ARGUMENTS", "FLAGS", ...groups, "GLOBAL FLAGS", "EXAMPLES"]
      assert.deepStrictEqual(headings(yield* help("serve")), serve)
      const proxy = headings(yield* help("proxy"))
      assert.deepStrictEqual(proxy.slice(2, -2), ["FLAGS", "FLAGS FOR UPSTREAMS", ...groups])
    }))
})
