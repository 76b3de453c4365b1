/**
 * What `sluice serve` and `sluice proxy` can be told, and under which names.
 *
 * Each option of an application has one name in three spellings, all made from the table of options: `--revoke-after`,
 * `SLUICE_REVOKE_AFTER`, and `revokeAfter` in the file. What a setting means and how its value is written come from
 * that table, too.
 */
import * as Schema from "effect/Schema"
import { AppOptions } from "../../domain/options/AppOptions.ts"
import { mostLike } from "../../domain/options/Likeness.ts"
import { LogOptions } from "../../domain/options/LogOptions.ts"
import { type FieldInfo, infosOf, jsonOf, phraseOf } from "../../domain/options/OptionFields.ts"
import * as Options from "../../domain/options/Options.ts"

/** One thing that can be set. */
export interface Setting {
  /** Its name in the configuration file. */
  readonly key: string
  /** Its name as a flag, without the dashes; `undefined` when there is none. */
  readonly flag: string | undefined
  /** Its name in the environment; `undefined` when there is none. */
  readonly variable: string | undefined
  /** Path of the option in `AppOptions`; `undefined` for what concerns the host alone. */
  readonly option: string | undefined
  readonly form: "text" | "switch" | "list"
  readonly description: string
  /** What the value is, for help texts. */
  readonly metavar: string
  /** The value in the configuration file. */
  readonly json: Schema.Codec<unknown>
}

const capital = (name: string): string => `${name.charAt(0).toUpperCase()}${name.slice(1)}`

const words = (key: string): ReadonlyArray<string> =>
  key.replace("MiB", "Mib").split(/(?=[A-Z])/).map((word) => word.toLowerCase())

/** A setting by its key, which gives it its flag and its variable. */
export const setting = (key: string, rest: Omit<Setting, "key" | "flag" | "variable">, flag = true): Setting => ({
  key,
  flag: flag ? words(key).join("-") : undefined,
  variable: `SLUICE_${words(key).join("_").toUpperCase()}`,
  ...rest
})

/** A setting of the command itself, which is no option of an application. */
const ownSetting = (
  key: string,
  form: Setting["form"],
  metavar: string,
  description: string,
  flag = true
): Setting =>
  setting(key, { option: undefined, form, metavar, description, json: jsonOfSetting({ form, description }) }, flag)

/** A setting in the file, where a list may be a text that would do as a flag or in the environment. */
export const jsonOfSetting = (
  { form, json = jsonOf(form), ...info }: Pick<Setting, "form" | "description"> & Partial<FieldInfo>
): Schema.Codec<unknown> =>
  (form === "list" ? Schema.Union([json, Schema.String]) : json).annotate({
    description: phraseOf({ default: "none", ...info })
  })

/** Options of these groups have the group in their names: without it the name would say too little. */
const prefixed = ["scope", "tlsClient"]

const keyOf = (option: string): string => {
  if (option === "worker.kind") return "inProcess"
  const [group = "", name] = option.split(".")
  if (name === undefined) return group
  return prefixed.includes(group) ? `${group}${capital(name)}` : name
}

/**
 * Options that have no flag: those that an application with settings from a command line does not need, and the secret,
 * which anybody who lists the processes of the machine could read. The environment and the file may have them.
 */
const withoutFlag = ["secret", "proxiedTransports", "tlsEngine"]

/**
 * Options for the file alone: on the command line and in the environment, `config` is the file itself, authorities are
 * texts of many lines, and the others are not text.
 */
const inFileOnly = ["config", "listeners", "certificates", "listener.clientAuthorities", "tlsClient.authorities"]

const infos = new Map(infosOf(AppOptions.fields))

const IN_PROCESS = "Run the workers on the host's own event loop instead of a thread for each"

const fromOption = (row: Options.Documentation): Setting => {
  const { option } = row
  const info = infos.get(option)!
  const inFile = inFileOnly.includes(option)
  // what is given in the file alone is given as it is: a text there is not several values
  const form = inFile ? "text" : row.form
  const about = {
    option,
    form,
    metavar: row.value,
    json: jsonOfSetting({ ...info, form }),
    description: phraseOf(row) + (form === "list" ? "; can be given several times" : "")
  }
  if (inFile) return { ...about, key: keyOf(option), flag: undefined, variable: undefined }
  if (option !== "worker.kind") return setting(keyOf(option), about, !withoutFlag.includes(option))
  return { ...ownSetting(keyOf(option), "switch", "boolean", IN_PROCESS), option }
}

/** Help texts begin with what is set most often. */
const groups = ["worker", "admission", "listener", "tlsClient", "segment", "queue"]
const rank = (option: string): number => groups.indexOf(option.split(".", 1)[0]!)

/** The setting of an option of the log. */
export const ofLog = (option: string): string => `log${capital(option)}`

const logSettings = infosOf(LogOptions.fields).map(([option, info]) =>
  setting(ofLog(option), {
    option: undefined,
    form: info.form,
    metavar: info.value,
    description: phraseOf(info),
    json: jsonOfSetting(info)
  })
)

/** The settings of any host: the control socket, the log, and the options of its application. */
export const hostSettings: ReadonlyArray<Setting> = [
  ownSetting(
    "control",
    "text",
    "path",
    "Path of the control socket; default: sluice.sock in the user's runtime directory"
  ),
  ownSetting(
    "health",
    "text",
    "host:port",
    "Where GET /live and GET /ready are answered for a supervisor, besides the control socket; default: nowhere"
  ),
  ownSetting(
    "metrics",
    "text",
    "host:port",
    "Where GET /metrics is answered for Prometheus, besides the control socket; default: nowhere"
  ),
  ownSetting(
    "dashboard",
    "text",
    "host:port",
    "Where a browser is answered with the page that shows this host, live; default: nowhere"
  ),
  ownSetting(
    "dashboardName",
    "list",
    "name",
    "A name by which a browser may ask for the page, besides localhost and the port's address; can be given several times"
  ),
  ownSetting(
    "dashboardTokenFile",
    "text",
    "file",
    "File of the token with which the page acts, and is read from other machines; default: one is made and printed"
  ),
  ownSetting("dashboardToken", "text", "token", "The token itself, instead of a file", false),
  ...logSettings,
  ownSetting(
    "tlsCert",
    "list",
    "file",
    "File of a certificate for TLS listeners, with its chain; can be given several times, with as many --tls-key"
  ),
  ownSetting("tlsKey", "list", "file", "File of the key of the certificate given in the same place"),
  ownSetting("clientCa", "list", "file", "File of authorities that sign the certificates which TLS clients must have"),
  ownSetting(
    "serverCa",
    "list",
    "file",
    "File of authorities that sign the certificates of TLS servers that are connected to"
  ),
  ...Options.documentation.toSorted((a, b) => rank(a.option) - rank(b.option)).map(fromOption)
]

/** Where `sluice serve` listens if neither a setting nor the application says where. */
export const DEFAULT_LISTEN = "tcp://127.0.0.1:8080"

/** All settings of `sluice serve`. */
export const settings: ReadonlyArray<Setting> = [
  ownSetting("app", "text", "module", "Module of the application", false),
  ...hostSettings.map((setting) =>
    setting.option === "listen"
      ? {
        ...setting,
        description: `${setting.description}; default: where the application says, else ${DEFAULT_LISTEN}`
      }
      : setting
  )
]

/** The setting of an option, by the option's path. */
export const byOption: ReadonlyMap<string, Setting> = new Map(
  settings.flatMap((setting) => setting.option === undefined ? [] : [[setting.option, setting] as const])
)

/** The setting that was probably meant by a name that none has, else all names, worded to follow a complaint. */
export const orAll = (settings: ReadonlyArray<Setting>, name: "key" | "variable", unknown: string): string => {
  const meant = mostLike(unknown, settings.flatMap((setting) => setting[name] ?? []))
  return meant === undefined ? "docs/options.md has all of them" : `did you mean ${meant}?`
}
