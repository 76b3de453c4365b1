/** The JSON Schema of a configuration file: what an editor checks and completes it with. */
import * as Schema from "effect/Schema"
import type { Setting } from "./Setting.ts"

const DIALECT = "https://json-schema.org/draft/2020-12/schema"

/** The key by which a file names its schema. It says nothing to the host. */
export const SCHEMA_KEY = "$schema"

/** The JSON Schema of files with these settings. */
export const make = (title: string, settings: ReadonlyArray<Setting>): Readonly<Record<string, unknown>> => {
  const file = Schema.Struct({
    [SCHEMA_KEY]: Schema.optionalKey(Schema.String.annotate({ description: "Where this schema is" })),
    ...Object.fromEntries(settings.map(({ json, key }) => [key, Schema.optionalKey(json)]))
  })
  const { schema } = Schema.toJsonSchemaDocument(file, { onExcessProperty: "error" })
  return { [SCHEMA_KEY]: DIALECT, title, ...schema }
}
