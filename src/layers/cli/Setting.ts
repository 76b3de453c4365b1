/**
 * What `sluice serve` and `sluice proxy` can be told, and under which names.
 *
 * Each option of an application has one name in three spellings, all made from the table of options: `--revoke-after`,
 * `SLUICE_REVOKE_AFTER`, and `revokeAfter` in the file. What a setting means and how its value is written come from
 * that table, too.
 */
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
}

const words = (key: string): ReadonlyArray<string> =>
  key.replace("MiB", "Mib").split(/(?=[A-Z])/).map((word) => word.toLowerCase())

/** A setting by its key, which gives it its flag and its variable. */
export const setting = (key: string, rest: Omit<Setting, "key" | "flag" | "variable">, flag = true): Setting => ({
  key,
  flag: flag ? words(key).join("-") : undefined,
  variable: `SLUICE_${words(key).join("_").toUpperCase()}`,
  ...rest
})

/** Files that are read before anything starts. */
const file = (key: string, description: string): Setting =>
  setting(key, { option: undefined, form: "list", metavar: "file", description })

/** Options of these groups have the group in their names: without it the name would say too little. */
const prefixed = ["scope", "tlsClient"]

const keyOf = (option: string): string => {
  if (option === "worker.kind") return "inProcess"
  const [group = "", name] = option.split(".")
  if (name === undefined) return group
  return prefixed.includes(group) ? `${group}${name.charAt(0).toUpperCase()}${name.slice(1)}` : name
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

const describe = ({ default: byDefault, description, form, option }: Options.Documentation): string => {
  const parts = [description]
  if (form === "list" && !inFileOnly.includes(option)) parts.push("can be given several times")
  if (byDefault !== "none") parts.push(`default: ${byDefault}`)
  return parts.join("; ")
}

const fromOption = (row: Options.Documentation): Setting => {
  const { option } = row
  const about = { option, form: row.form, metavar: row.value, description: describe(row) }
  if (inFileOnly.includes(option)) return { ...about, key: keyOf(option), flag: undefined, variable: undefined }
  if (option !== "worker.kind") return setting(keyOf(option), about, !withoutFlag.includes(option))
  return setting(keyOf(option), {
    option,
    form: "switch",
    metavar: "boolean",
    description: "Run the workers on the host's own event loop instead of a thread for each"
  })
}

/** Help texts begin with what is set most often. */
const groups = ["worker", "admission", "listener", "tlsClient", "segment", "queue"]
const rank = (option: string): number => groups.indexOf(option.split(".", 1)[0]!)

/** The settings of any host: the control socket, and the options of its application. */
export const hostSettings: ReadonlyArray<Setting> = [
  setting("control", {
    option: undefined,
    form: "text",
    metavar: "path",
    description: "Path of the control socket; default: sluice.sock in the user's runtime directory"
  }),
  file(
    "tlsCert",
    "File of a certificate for TLS listeners, with its chain; can be given several times, with as many --tls-key"
  ),
  file("tlsKey", "File of the key of the certificate given in the same place"),
  file("clientCa", "File of authorities that sign the certificates which TLS clients must have"),
  file("serverCa", "File of authorities that sign the certificates of TLS servers that are connected to"),
  ...Options.documentation.toSorted((a, b) => rank(a.option) - rank(b.option)).map(fromOption)
]

/** Where `sluice serve` listens if neither a setting nor the application says where. */
export const DEFAULT_LISTEN = "tcp://127.0.0.1:8080"

/** All settings of `sluice serve`. */
export const settings: ReadonlyArray<Setting> = [
  setting(
    "app",
    { option: undefined, form: "text", metavar: "module", description: "Module of the application" },
    false
  ),
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
