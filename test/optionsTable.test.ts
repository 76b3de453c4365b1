/** docs/options.md and the JSON Schemas of configuration files are what the schemas of the options say. */
import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Options from "../src/domain/options/Options.ts"
import * as Setting from "../src/layers/cli/Setting.ts"
import * as optionsTable from "./support/optionsTable.ts"

for (const [file, text] of optionsTable.generated) {
  describe(file.pathname.split("/").slice(-2).join("/"), () => {
    it("is what the schemas of the options say; npm run docs:options writes it anew", () => {
      assert.strictEqual(Fs.readFileSync(file, "utf8"), text)
    })
  })
}

describe("docs/options.md", () => {
  it("has each option once, and each name by which it can be set", () => {
    for (const { option } of Options.documentation) {
      assert.strictEqual(optionsTable.text.split(`\n| \`${option}\` |`).length, 2, option)
    }
    for (const { flag, key, variable } of Setting.settings) {
      if (flag !== undefined) assert.include(optionsTable.text, `| \`--${flag}\` |`)
      if (variable !== undefined) assert.include(optionsTable.text, `| \`${variable}\` |`)
      assert.include(optionsTable.text, `| \`${key}\` |`)
    }
  })
})
