/**
 * The page, as one text: its markup, its style and its scripts stand in files of their own beside this one, in `page/`,
 * and are put together once, when the port opens.
 *
 * The scripts are modules, for editors and tests. On the page they stand one after the other in one element, so their
 * `import` lines are left out, and a name means the same thing in all of them. Nothing else is built or translated.
 *
 * The page loads nothing: its policy allows its own style and script, by their digests, and requests to its own origin.
 */
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import * as Fs from "node:fs/promises"

const folder = new URL("page/", import.meta.url)

/** In the order in which they stand on the page: each uses those before it. */
const scripts =
  "words history pictures tables live actions seen verdict events sessions workers minute panels keys main".split(
    " "
  )

/** What the page can do without: its imports, comments that stand on lines of their own, and how lines are indented. */
const NEEDLESS = [/^import [^]*? from ".*"\n/gm, /^ *\/\*\*[^]*?\*\/\n/gm, /^ *\/\/.*\n/gm, /^ +/gm, /^\n/gm]

const compact = (source: string): string => NEEDLESS.reduce((text, needless) => text.replace(needless, ""), source)

export interface PageText {
  readonly html: string
  /** Its `Content-Security-Policy`. */
  readonly policy: string
}

const digest = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

/** A page with this style and this script in it, which get past its policy. */
export const assemble = (markup: string, style: string, script: string): PageText => ({
  // a function, because in a text `$&` would be something else
  html: markup.replace("/* style */", () => style).replace("/* script */", () => script),
  policy: [
    "default-src 'none'",
    `style-src ${digest(style)}`,
    `script-src ${script === "" ? "'none'" : digest(script)}`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'"
  ].join("; ")
})

const read = (name: string): Effect.Effect<string> =>
  // a file of this package: without it, nothing can be done
  Effect.promise(() => Fs.readFile(new URL(name, folder), "utf8"))

/** The style, which all pages have. */
export const style = Effect.map(read("page.css"), compact)

export const text: Effect.Effect<PageText> = Effect.gen(function*() {
  const sources = yield* Effect.forEach(scripts, (name) => read(`${name}.js`))
  return assemble(
    yield* read("index.html"),
    yield* style,
    sources.map(compact).join("")
  )
})
