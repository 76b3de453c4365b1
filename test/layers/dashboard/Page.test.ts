import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Manual from "../../../src/layers/dashboard/Manual.ts"
import * as Page from "../../../src/layers/dashboard/Page.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"

/** What stands between tags of this name. */
const within = (html: string, name: string): ReadonlyArray<string> =>
  [...html.matchAll(new RegExp(`<${name}[^>]*>([^]*?)</${name}>`, "g"))].map(([, text = ""]) => text)

const digest = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

describe("the page", () => {
  it.effect("X5 is one small file that loads nothing from anywhere", () =>
    Effect.gen(function*() {
      const { html, policy } = yield* Page.text
      assert.isBelow(Buffer.byteLength(html), 64 * 1024)
      assert.notMatch(html, /<link(?! rel="icon" href="data:)|<img|<iframe|@import|url\(|\bon[a-z]+="/)
      const addresses = [...html.matchAll(/\bhttps?:\/\/[^"'\s]+/g)].map(([address]) => address)
      // names, and not addresses
      assert.deepStrictEqual(addresses.filter((address) => address !== "http://www.w3.org/2000/svg"), [])
      for (const name of ["style", "script"]) {
        const [text, ...others] = within(html, name)
        assert.deepStrictEqual(others, [], name)
        assert.include(policy, `${name}-src ${digest(text!)};`)
      }
      assert.notMatch(html, / style="/)
    }))

  it.effect("X5 puts texts of others on the page as texts only", () =>
    Effect.gen(function*() {
      const [script] = within((yield* Page.text).html, "script")
      assert.notMatch(script!, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/)
    }))

  it.effect("X5 has one script, in which a name means one thing", () =>
    Effect.gen(function*() {
      const [script] = within((yield* Page.text).html, "script")
      const file = Path.join(yield* TempDirectory.make, "page.mjs")
      Fs.writeFileSync(file, script!)
      // a name that is declared twice is an error of the language
      execFileSync(process.execPath, ["--check", file])
      assert.notMatch(script!, /^import /m)
    }).pipe(Effect.scoped))

  it.effect("X5 the manual has every request of the control API, and loads nothing", () =>
    Effect.gen(function*() {
      const { html, policy } = Page.assemble(Manual.markup(), yield* Page.style, "")
      assert.include(policy, "script-src 'none'")
      for (const [path, item] of Object.entries(Manual.spec.paths)) {
        for (const method of Object.keys(item)) {
          assert.include(html, `<b>${method.toUpperCase()}</b> ${path}</code>`)
        }
      }
      // what each does, in words
      assert.notMatch(html, /<\/code> <\/summary>/)
      assert.notMatch(html, /<script|<link|<img| style="/)
      const links = [...html.matchAll(/href="([^"]*)"/g)].map(([, to]) => to)
      assert.deepStrictEqual(links, ["/", "/openapi.json"])
    }))
})
