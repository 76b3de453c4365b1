/** The pages: what they link to is there, and each is found from the README, by one link or several. */
import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { root } from "./support/serving.ts"

const pages = ["README.md", ...Fs.readdirSync(Path.join(root, "docs")).map((name) => `docs/${name}`)]
const read = (page: string): string => Fs.readFileSync(Path.join(root, page), "utf8")

/** As GitHub and npm make an anchor of a heading. */
const anchorOf = (heading: string): string =>
  heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").trim().replaceAll(" ", "-")

const anchors = (page: string): ReadonlyArray<string> =>
  Array.from(read(page).matchAll(/^#+ (.*)$/gm), ([, h]) => anchorOf(h!))

const linksOf = (page: string): ReadonlyArray<string> =>
  Array.from(read(page).replaceAll(/^```.*?^```/gms, "").matchAll(/\]\(([^)]+)\)/g), ([, link]) => link!)
    .filter((link) => !/^https?:/.test(link))

describe("pages", () => {
  for (const page of pages) {
    it(`${page} links to what is there`, () => {
      for (const link of linksOf(page)) {
        const [path = "", anchor] = link.split("#")
        const target = path === "" ? page : Path.join(Path.dirname(page), path)
        assert.isTrue(Fs.existsSync(Path.join(root, target)), link)
        if (anchor !== undefined) assert.include(anchors(target), anchor, link)
      }
    })
  }

  it("are all to be found from the README", () => {
    const found = new Set(["README.md"])
    for (const page of found) {
      for (const link of linksOf(page)) {
        const target = Path.join(Path.dirname(page), link.split("#", 1)[0]!)
        if (pages.includes(target)) found.add(target)
      }
    }
    assert.deepStrictEqual(pages.filter((page) => !found.has(page)), [])
  })
})
