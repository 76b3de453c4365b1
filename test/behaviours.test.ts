/** docs/behaviours.md: a row for each behaviour, and tests that are there and bear its number. */
import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"

const folder = import.meta.dirname
const page = Fs.readFileSync(Path.join(folder, "../docs/behaviours.md"), "utf8")

interface Row {
  readonly id: string
  readonly sentence: string
  readonly tests: ReadonlyArray<{ readonly file: string; readonly title: string }>
}

const rows: ReadonlyArray<Row> = Array.from(
  page.matchAll(/^\| ([WMX]\d+) \| (.+) \| (.+) \|$/gm),
  ([, id = "", sentence = "", tests = ""]) => ({
    id,
    sentence,
    tests: Array.from(tests.matchAll(/`([^`]+)`: ([^<]+)/g)).flatMap(([, file = "", titles = ""]) =>
      Array.from(titles.matchAll(/“([^”]+)”/g), ([, title = ""]) => ({ file, title }))
    )
  })
)

const sources = new Map(
  Fs.readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => [name.replace(/\.test\.ts$/, ""), Fs.readFileSync(Path.join(folder, name), "utf8")])
)

const has = (source: string | undefined, title: string): boolean =>
  source?.includes(`"${title}"`) === true || source?.includes(`\`${title}\``) === true

/** Titles of tests begin with the numbers of what they show. */
const numbered = /["`]((?:[WMX]\d+,? )+)[^"`\n]*["`]/g

const numbers = (letter: string, count: number) => Array.from({ length: count }, (_, i) => `${letter}${i + 1}`)

describe("docs/behaviours.md", () => {
  it("has a row for each behaviour, in order", () => {
    assert.deepStrictEqual(
      rows.map(({ id }) => id).filter((id) => !id.startsWith("X")),
      [...numbers("W", 21), ...numbers("M", 15)]
    )
  })

  for (const { id, sentence, tests } of rows) {
    it(`${id} is a sentence, with tests that are there`, () => {
      assert.match(sentence, /^[^a-z].*\.$/)
      assert.isNotEmpty(tests)
      for (const { file, title } of tests) {
        assert.include(title.split(" "), id)
        const found = [...sources].flatMap(([name, source]) => has(source, title) ? [name] : [])
        assert.include(found, file, `“${title}”`)
      }
    })
  }

  it("has a row for each number in the title of a test", () => {
    const ids = new Set(rows.map(({ id }) => id))
    for (const [name, source] of sources) {
      for (const [, prefix = ""] of source.matchAll(numbered)) {
        for (const id of prefix.match(/[WMX]\d+/g) ?? []) assert.isTrue(ids.has(id), `${id} in ${name}`)
      }
    }
  })
})
