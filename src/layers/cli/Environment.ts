/** The variables of the environment that begin with `SLUICE_`: their values, and those that mean nothing. */
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { mostLike } from "../../domain/options/Likeness.ts"

/** What the names of all variables begin with. */
const PREFIX = "SLUICE"

/** The value of a variable; `undefined` if there is none, or only spaces. */
export const variable = (name: string): Effect.Effect<string | undefined> =>
  Config.option(Config.String(name)).pipe(
    Effect.orDie,
    Effect.map((text) => Option.getOrUndefined(Option.filter(text, (text) => text.trim() !== "")))
  )

/** The names of the variables that there are: a provider tells the next parts of the names that begin with `parts`. */
const namesOf = Effect.fnUntraced(function*(
  provider: ConfigProvider.ConfigProvider,
  parts: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyArray<string>> {
  const node = yield* Effect.orDie(provider.load(parts))
  if (node === undefined) return []
  const next = node._tag === "Record" ? Array.from(node.keys) : []
  const longer = yield* Effect.forEach(next, (part) => namesOf(provider, [...parts, part]))
  return [...(node.value === undefined ? [] : [parts.join("_")]), ...longer.flat()]
})

/**
 * Tells of the variables that begin with `SLUICE_` and are none of the known ones: they are ignored, as a service's
 * environment may have been made by a system with names of its own.
 */
export const warnOfOthers = Effect.fnUntraced(function*(known: ReadonlyArray<string>) {
  const names = yield* namesOf(yield* ConfigProvider.ConfigProvider, [PREFIX])
  for (const name of names) {
    if (known.includes(name)) continue
    const meant = mostLike(name, known)
    const hint = meant === undefined ? "" : `; did you mean ${meant}?`
    yield* Effect.logWarning(`${name} in the environment is no setting of this command and is ignored${hint}`)
  }
})
