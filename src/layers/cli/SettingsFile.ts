/** The configuration file: a JSON object with settings by key. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Fs from "node:fs/promises"
import * as SystemError from "../../domain/net/SystemError.ts"
import { sentenceOf } from "../../domain/report/Thrown.ts"
import { invalid } from "./Given.ts"
import { orAll, type Setting } from "./Setting.ts"
import { SCHEMA_KEY } from "./SettingsSchema.ts"

const unknownKey = (settings: ReadonlyArray<Setting>, key: string, file: string): string => {
  // the number of workers is not in the group `worker`, but is listed with it
  const group = settings.filter(({ option }) => option?.startsWith(`${key}.`) || option === `${key}s`)
  if (group.length > 0) {
    return `${key} in ${file}: its settings stand by themselves: ${group.map(({ key }) => key).join(", ")}`
  }
  return `${key} in ${file}: there is no such setting; ${orAll(settings, "key", key)}`
}

const File = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown))

/** Reads the file, which may have no keys other than those of the settings. */
export const read = Effect.fnUntraced(function*(settings: ReadonlyArray<Setting>, path: string) {
  const text = yield* Effect.tryPromise({
    // some editors begin a file with a mark of its byte order, which is not JSON's
    try: async () => (await Fs.readFile(path, "utf8")).replace(/^\uFEFF/, ""),
    catch: (cause) =>
      invalid(
        SystemError.kindOf(cause) === "NotFound"
          ? `configuration file ${path} does not exist`
          : SystemError.codeOf(cause) === "EISDIR"
          ? `configuration file ${path} is a directory; name a file in it`
          : `configuration file ${path} can't be read: ${sentenceOf(cause)}`
      )
  })
  // checked beforehand for the message, which has the place of the mistake
  yield* Effect.try({
    try: () => JSON.parse(text) as unknown,
    catch: (cause) => invalid(`configuration file ${path} is not JSON: ${sentenceOf(cause)}`)
  })
  const entries = yield* Schema.decodeEffect(File)(text).pipe(
    Effect.mapError(() => invalid(`configuration file ${path} must hold an object, such as {"workers": 4}`))
  )
  const unknown = Object.keys(entries).filter((known) =>
    known !== SCHEMA_KEY && !settings.some(({ key }) => key === known)
  )
  if (unknown.length > 0) return yield* invalid(...unknown.map((key) => unknownKey(settings, key, path)))
  return entries
})
