/** The files that scripts come from, and the source maps that lead to what they were made of. */
import * as Effect from "effect/Effect"
import * as Fs from "node:fs/promises"
import type { SourceMapPayload } from "node:module"
import * as Url from "node:url"

/** The largest source map that is read, in bytes. */
const LARGEST = 64 * 1024 * 1024

/** A file's path; a URL of anything else stays as it is. */
export const pathOf = (url: string): string => url.startsWith("file:") ? Url.fileURLToPath(url) : url

/** A URL, or a path, that stands in the script of a URL, or in the map beside it. */
export const resolve = (given: string, url: string): string =>
  URL.canParse(given, url) ? new URL(given, url).href : given

const DATA = /^data:application\/json[^,]*?(;base64)?,/

const fromData = (url: string): string | undefined => {
  const [prefix, base64] = DATA.exec(url) ?? []
  if (prefix === undefined) return undefined
  const body = url.slice(prefix.length)
  return base64 === undefined ? decodeURIComponent(body) : Buffer.from(body, "base64").toString()
}

const read = async (url: string): Promise<string | undefined> => {
  const path = pathOf(url)
  if (path === url || (await Fs.stat(path)).size > LARGEST) return undefined
  return Fs.readFile(path, "utf8")
}

/** The source map of a script, which stands in the script or in a file; `undefined` where there is none. */
export const mapOf = (
  { sourceMapURL, url }: { readonly url: string; readonly sourceMapURL: string }
): Effect.Effect<SourceMapPayload | undefined, unknown> =>
  sourceMapURL === "" ? Effect.undefined : Effect.tryPromise(async () => {
    const text = fromData(sourceMapURL) ?? await read(resolve(sourceMapURL, url))
    return text === undefined ? undefined : JSON.parse(text)
  })
