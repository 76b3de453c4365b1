/**
 * Which files a thread loads as modules: what an application is made of, whichever way its modules refer to each other.
 *
 * A file is told before it is read, so that one with an error of syntax is among them; one that does not exist is told,
 * too: it may come to be.
 */
import * as Predicate from "effect/Predicate"
import { registerHooks } from "node:module"

const isOfPackage = (url: string): boolean => url.includes("/node_modules/")

/** The file that a module asks for and that is not there, as far as that is known. */
const missing = (error: unknown, specifier: string, parent: string | undefined): string | undefined => {
  if (Predicate.hasProperty(error, "url") && typeof error.url === "string") return error.url
  return /^\.{0,2}\//.test(specifier) && parent !== undefined ? new URL(specifier, parent).href : undefined
}

/** Tells each file that is loaded from now on, once, apart from those in `node_modules`; `main` is told at once. */
export const watch = (tell: (url: string) => void, main: string): void => {
  const told = new Set<string>()
  const report = (url: string): void => {
    const file = url.replace(/[?#].*$/s, "")
    if (!file.startsWith("file:") || told.has(file)) return
    told.add(file)
    tell(file)
  }
  report(main)
  registerHooks({
    resolve: (specifier, context, next) => {
      try {
        const resolved = next(specifier, context)
        if (!isOfPackage(resolved.url)) report(resolved.url)
        return resolved
      } catch (error) {
        const url = missing(error, specifier, context.parentURL)
        if (url !== undefined) report(url)
        throw error
      }
    }
  })
}
