/**
 * What `sluice serve` is told, from where: a flag goes before the environment, that before the configuration file, and
 * what nobody sets has its default from `Options.ts`.
 *
 * Each option of an application has one name in three spellings, all made from the table of options: `--revoke-after`,
 * `SLUICE_REVOKE_AFTER`, and `revokeAfter` in the file. Values are checked by the options' own schema; a complaint
 * names the place where the value was given.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import * as SystemError from "../../domain/net/SystemError.ts"
import * as Options from "../../domain/options/Options.ts"
import * as TlsFiles from "./TlsFiles.ts"

/**
 * One thing that can be set.
 *
 * @category models
 * @since 0.1.0
 */
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

/**
 * A setting by its key, which gives it its flag and its variable.
 *
 * @category constructors
 * @since 0.1.0
 */
export const setting = (key: string, rest: Omit<Setting, "key" | "flag" | "variable">, flag = true): Setting => ({
  key,
  flag: flag ? words(key).join("-") : undefined,
  variable: `SLUICE_${words(key).join("_").toUpperCase()}`,
  ...rest
})

/** Files that are read before anything starts. */
const file = (key: string, description: string): Setting =>
  setting(key, { option: undefined, form: "list", metavar: "file", description })

const metavars: Partial<Record<Options.Unit, string>> = { bytes: "size", milliseconds: "time", percent: "percent" }

/**
 * Options without a flag: what no application needs that has its settings from a command line, and the secret, which
 * everybody who lists the processes of the machine would read.
 */
const withoutFlag = [
  "secret",
  "config",
  "proxiedTransports",
  "tlsEngine",
  "listeners",
  "certificates",
  "listener.clientAuthorities",
  "tlsClient.authorities"
]

const fromOption = ({ default: byDefault, description, option, unit }: Options.Documentation): Setting => {
  const name = option.slice(option.lastIndexOf(".") + 1)
  const flag = !withoutFlag.includes(option)
  const about = { option, description: `${description}; default: ${byDefault}` }
  switch (option) {
    case "listen":
      return setting(name, {
        option,
        form: "list",
        metavar: "uri",
        description: "Endpoint to serve, such as tcp://127.0.0.1:8080; can be given several times"
      })
    case "proxiedTransports":
      return setting(name, { ...about, form: "list", metavar: "transport" }, flag)
    case "scope.global":
    case "scope.local":
      return setting(option === "scope.global" ? "scopeGlobal" : "scopeLocal", {
        ...about,
        form: "switch",
        metavar: "boolean"
      }, flag)
    case "worker.kind":
      return setting("inProcess", {
        option,
        form: "switch",
        metavar: "boolean",
        description: "Run the workers on the host's own event loop instead of a thread for each"
      })
    case "listener.alpn":
      return setting(name, { ...about, form: "list", metavar: "protocol" }, flag)
    case "listener.proxyTrust":
      return setting(name, { ...about, form: "list", metavar: "prefix" }, flag)
    case "listener.placement":
      return setting(name, { ...about, form: "text", metavar: "shared|transfer" }, flag)
    case "listener.tlsIn":
      return setting(name, { ...about, form: "text", metavar: "host|worker" }, flag)
    case "listener.clientCertificate":
      return setting(name, { ...about, form: "text", metavar: "none|request|require" }, flag)
    case "listener.affinity":
      return setting(name, { ...about, form: "text", metavar: "none|source" }, flag)
    case "listener.unixMode":
      return setting(name, { ...about, form: "text", metavar: "mode" }, flag)
    case "admission.policy":
      return setting(name, { ...about, form: "text", metavar: "hold|refuse" })
    case "namespace":
      return setting(name, { ...about, form: "text", metavar: "name" })
    case "name":
    case "client":
      return setting(name, { option, description, form: "text", metavar: "name" })
    case "tlsClient.alpn":
      return setting("tlsClientAlpn", { ...about, form: "list", metavar: "protocol" }, flag)
    case "tlsClient.verify":
      return setting("tlsClientVerify", { ...about, form: "switch", metavar: "boolean" }, flag)
    // in the file only: on the command line and in the environment, `config` is the file itself, authorities are texts
    // of many lines, and the others are no text
    case "listener.clientAuthorities":
      return { ...setting(name, { ...about, form: "list", metavar: "pem" }, flag), variable: undefined }
    case "tlsClient.authorities":
      return {
        ...setting("tlsClientAuthorities", { ...about, form: "list", metavar: "pem" }, flag),
        variable: undefined
      }
    case "config":
    case "certificates":
    case "listeners":
      return { ...setting(name, { ...about, form: "text", metavar: "json" }, flag), variable: undefined }
    default:
      return setting(name, { ...about, form: "text", metavar: (unit && metavars[unit]) ?? "number" }, flag)
  }
}

/** Help texts begin with what is set most often. */
const groups = ["worker", "admission", "listener", "tlsClient", "segment", "queue"]
const rank = (option: string): number => groups.indexOf(option.split(".", 1)[0]!)

/**
 * The settings of any host: the control socket, and the options of its application.
 *
 * @category constants
 * @since 0.1.0
 */
export const hostSettings: ReadonlyArray<Setting> = [
  setting("control", {
    option: undefined,
    form: "text",
    metavar: "path",
    description: "Path of the control socket; default: sluice.sock in the user's runtime directory"
  }),
  file("tlsCert", "File of a certificate for TLS listeners, with its chain; several times with as many --tls-key"),
  file("tlsKey", "File of the key of the certificate given in the same place"),
  file("clientCa", "File of authorities that sign the certificates which TLS clients must have"),
  file("serverCa", "File of authorities that sign the certificates of TLS servers that are connected to"),
  ...Options.documentation.toSorted((a, b) => rank(a.option) - rank(b.option)).map(fromOption)
]

/**
 * All settings of `sluice serve`.
 *
 * @category constants
 * @since 0.1.0
 */
export const settings: ReadonlyArray<Setting> = [
  setting(
    "app",
    { option: undefined, form: "text", metavar: "module", description: "Module of the application" },
    false
  ),
  ...hostSettings
]

/**
 * A command that serves an application.
 *
 * @category models
 * @since 0.1.0
 */
export interface Program<A> {
  /** All its settings: those of any host, and its own. */
  readonly settings: ReadonlyArray<Setting>
  /** Options that hold where they are not set, given the module that was named. */
  readonly defaults: (app: string | undefined) => Options.AppOptionsInput
  /** Decodes what is set and is no option, by key, beside the options; a failure's `option` is the key. */
  readonly decode: (
    values: Readonly<Record<string, unknown>>,
    options: Options.AppOptionsInput
  ) => Result.Result<A, Options.OptionsError>
}

const byOption = new Map(settings.flatMap((setting) => setting.option === undefined ? [] : [[setting.option, setting]]))

/**
 * Settings that were not taken. Nothing has been started.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidSettings extends Schema.TaggedError<InvalidSettings>()("InvalidSettings", {
  problems: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return this.problems.join("\n")
  }
}

const invalid = (...problems: ReadonlyArray<string>) => new InvalidSettings({ problems })

/** A value and the place where it was given. */
interface Given {
  readonly value: unknown
  readonly source: string
}

const sentence = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause)).split("\n", 1)[0]!

const optionPaths = new RegExp(Array.from(byOption.keys(), (option) => option.replace(".", "\\.")).join("|"), "g")

/** Paths of options as the names that they have here. */
const renamed = (text: string): string => text.replace(optionPaths, (option) => byOption.get(option)?.key ?? option)

const unknownKey = (settings: ReadonlyArray<Setting>, key: string, file: string): string => {
  const group = settings.filter(({ option }) => option?.startsWith(`${key}.`))
  if (group.length > 0) {
    return `${key} in ${file}: its settings stand by themselves: ${group.map(({ key }) => key).join(", ")}`
  }
  const complaint = Options.decodeApp({ [key]: null })
  const hint = Result.isFailure(complaint)
    ? /did you mean (\S+)\?$/.exec(complaint.failure.reason.message)?.[1]
    : undefined
  const likely = hint === undefined ? undefined : byOption.get(hint)?.key
  return `${key} in ${file}: there is no such setting; ${
    likely === undefined ? `there are ${settings.map(({ key }) => key).join(", ")}` : `did you mean ${likely}?`
  }`
}

const File = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown))

const readFile = Effect.fnUntraced(function*(settings: ReadonlyArray<Setting>, path: string) {
  const text = yield* Effect.tryPromise({
    // some editors begin a file with a mark of its byte order, which is not JSON's
    try: async () => (await Fs.readFile(path, "utf8")).replace(/^\uFEFF/, ""),
    catch: (cause) =>
      invalid(
        SystemError.kindOf(cause) === "NotFound"
          ? `configuration file ${path} does not exist`
          : `configuration file ${path} can't be read: ${sentence(cause)}`
      )
  })
  // checked beforehand for its words: the place of the mistake
  yield* Effect.try({
    try: () => JSON.parse(text) as unknown,
    catch: (cause) => invalid(`configuration file ${path} is not JSON: ${sentence(cause)}`)
  })
  const entries = yield* Schema.decodeEffect(File)(text).pipe(
    Effect.mapError(() => invalid(`configuration file ${path} must hold an object, such as {"workers": 4}`))
  )
  const unknown = Object.keys(entries).filter((known) => !settings.some(({ key }) => key === known))
  if (unknown.length > 0) return yield* invalid(...unknown.map((key) => unknownKey(settings, key, path)))
  return entries
})

const variable = (name: string): Effect.Effect<string | undefined> =>
  Config.option(Config.String(name)).pipe(
    Effect.orDie,
    Effect.map((text) => Option.getOrUndefined(Option.filter(text, (text) => text.trim() !== "")))
  )

const switchValues: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  1: true,
  false: false,
  no: false,
  off: false,
  0: false
}

/** The value as the options' schema takes it. */
const shaped = (form: Setting["form"], { source, value }: Given): Result.Result<unknown, string> => {
  if (form === "switch") {
    const flag = typeof value === "string" ? switchValues[value.trim().toLowerCase()] : value
    return typeof flag === "boolean"
      ? Result.succeed(flag)
      : Result.fail(`${source}: got ${JSON.stringify(value)}; it must be true or false`)
  }
  if (form === "list" && typeof value === "string") {
    return Result.succeed(value.split(/[\s,]+/).filter((part) => part !== ""))
  }
  return Result.succeed(value)
}

const uriProblems = (given: Given): ReadonlyArray<string> =>
  (Array.isArray(given.value) ? given.value as ReadonlyArray<unknown> : []).flatMap((uri) => {
    if (typeof uri !== "string") return []
    const parsed = Endpoint.parse(uri)
    return Result.isFailure(parsed) ? [`${given.source}: ${parsed.failure.message}`] : []
  })

/** Puts a value where the options have it. */
const assign = (input: Record<string, unknown>, option: string, value: unknown): void => {
  const [group, name] = option.split(".")
  if (group === undefined) return
  if (name === undefined) input[group] = value
  else input[group] = { ...input[group] as object, [name]: value }
}

/**
 * What a command is to do.
 *
 * @category models
 * @since 0.1.0
 */
export interface Resolved<A> {
  /** Input for `Options.decodeApp`, which has accepted it. */
  readonly options: Options.AppOptionsInput
  readonly decoded: Options.AppOptions
  /** Path of the application's module as it was given. */
  readonly app: string | undefined
  /** Path of the control socket as it was given. */
  readonly control: string | undefined
  /** The files of the certificates in the options, in the same order. */
  readonly pairs: ReadonlyArray<TlsFiles.Pair>
  /** What the command has settings of its own for. */
  readonly own: A
}

/** A path, for what is not an option. */
const path = (given: Given | undefined): Result.Result<string | undefined, string> => {
  if (given === undefined) return Result.succeed(undefined)
  const { source, value } = given
  return typeof value === "string" && value !== ""
    ? Result.succeed(value)
    : Result.fail(`${source}: got ${JSON.stringify(value)}; it must be a path`)
}

/** The application without a module of its own is the default one, on its default endpoint. */
const DEFAULT_NAME = "http"
/** Where an application is served that says nothing about it. */
export const DEFAULT_LISTEN = "tcp://127.0.0.1:8080"

const serve: Program<undefined> = {
  settings,
  defaults: (app) =>
    app === undefined ? { name: DEFAULT_NAME, listen: [DEFAULT_LISTEN] } : { name: Path.parse(app).name },
  decode: () => Result.succeed(undefined)
}

/** Settings that are no options, and that are read here. */
const common = ["app", "control", "tlsCert", "tlsKey", "clientCa", "serverCa"]

/** Paths, for what is not an option. */
const paths = (given: Given | undefined): Result.Result<ReadonlyArray<string>, string> => {
  if (given === undefined) return Result.succeed([])
  const { source } = given
  // in the environment, as elsewhere, paths are set apart by colons
  const value = typeof given.value === "string" ? given.value.split(Path.delimiter) : given.value
  return Array.isArray(value) && value.every((path) => typeof path === "string" && path !== "")
    ? Result.succeed(value as ReadonlyArray<string>)
    : Result.fail(`${source}: got ${JSON.stringify(given.value)}; it must be a path, or a list of paths`)
}

const bad = ({ source }: Given) => ({ message }: TlsFiles.BadFile): InvalidSettings => invalid(`${source}: ${message}`)

/** Certificates, keys and authorities, read from files into the options that they are for. */
const readTls = Effect.fnUntraced(function*(
  given: ReadonlyMap<string, Given>,
  input: Record<string, unknown>
): Effect.fn.Return<ReadonlyArray<TlsFiles.Pair>, InvalidSettings> {
  const pathsOf = (key: string) => Effect.mapError(Effect.fromResult(paths(given.get(key))), (text) => invalid(text))
  const certificates = yield* pathsOf("tlsCert")
  const keys = yield* pathsOf("tlsKey")
  if (certificates.length !== keys.length) {
    const { source } = (given.get("tlsCert") ?? given.get("tlsKey"))!
    return yield* invalid(
      `${source}: each certificate needs a key, and there are ${certificates.length} certificates and ${keys.length} keys`
    )
  }
  const pairs = certificates.map((certificate, index) => ({ certificate, key: keys[index]! }))
  if (pairs.length > 0) {
    const read = yield* Effect.forEach(pairs, TlsFiles.readPair).pipe(Effect.mapError(bad(given.get("tlsCert")!)))
    assign(input, "certificates", [...read, ...(Array.isArray(input.certificates) ? input.certificates : [])])
  }
  const clients = yield* pathsOf("clientCa")
  if (clients.length > 0) {
    const read = yield* Effect.forEach(clients, TlsFiles.readAuthorities).pipe(
      Effect.mapError(bad(given.get("clientCa")!))
    )
    assign(input, "listener.clientAuthorities", read)
    if (!given.has("clientCertificate")) assign(input, "listener.clientCertificate", "require")
  }
  const servers = yield* pathsOf("serverCa")
  if (servers.length > 0) {
    const read = yield* Effect.forEach(servers, TlsFiles.readAuthorities).pipe(
      Effect.mapError(bad(given.get("serverCa")!))
    )
    assign(input, "tlsClient.authorities", read)
  }
  return pairs
})

/**
 * Gathers the settings, by key from the flags, from the environment and from the file, and checks them.
 *
 * @category decoding
 * @since 0.1.0
 */
export const resolveProgram = Effect.fnUntraced(function*<A>(
  { decode, defaults, settings }: Program<A>,
  flags: Readonly<Record<string, unknown>>,
  configFlag: string | undefined
): Effect.fn.Return<Resolved<A>, InvalidSettings> {
  const file = configFlag ?? (yield* variable("SLUICE_CONFIG"))
  const entries = file === undefined ? {} : yield* readFile(settings, file)
  const given = new Map<string, Given>()
  for (const { flag, key, variable: name } of settings) {
    if (flags[key] !== undefined) {
      given.set(key, { value: flags[key], source: flag === undefined ? key : `--${flag}` })
      continue
    }
    const value = name === undefined ? undefined : yield* variable(name)
    if (name !== undefined && value !== undefined) given.set(key, { value, source: name })
    else if (Object.hasOwn(entries, key)) given.set(key, { value: entries[key], source: `${key} in ${file}` })
  }

  const problems: Array<string> = []
  const take = <A>(result: Result.Result<A, string>): A | undefined => {
    if (Result.isSuccess(result)) return result.success
    problems.push(result.failure)
    return undefined
  }
  const app = take(path(given.get("app")))
  const control = take(path(given.get("control")))
  const input: Record<string, unknown> = { ...defaults(app) }
  const values: Record<string, unknown> = {}
  for (const { form, key, metavar, option } of settings) {
    const value = given.get(key)
    if (common.includes(key) || value === undefined) continue
    const right = take(shaped(form, value))
    if (right === undefined) continue
    if (metavar === "uri") problems.push(...uriProblems({ ...value, value: right }))
    if (option === undefined) values[key] = right
    else assign(input, option, key === "inProcess" ? (right === true ? "in-process" : "thread") : right)
  }
  if (problems.length > 0) return yield* invalid(...problems)
  const pairs = yield* readTls(given, input)

  const explain = ({ more, reason }: Options.OptionsError): ReadonlyArray<string> =>
    [reason, ...more].map(({ message, option }) => {
      const key = byOption.get(option)?.key ?? option
      const source = given.get(key)?.source ?? key
      return `${source}: ${renamed(message.replace(`${option}: `, ""))}`
    })
  const own = decode(values, input)
  const decoded = Options.decodeApp(input)
  if (Result.isSuccess(decoded) && Result.isSuccess(own)) {
    const options = input as Options.AppOptionsInput
    return { options, decoded: decoded.success, app, control, pairs, own: own.success }
  }
  const failures = [Result.getFailure(own), Result.getFailure(decoded)].flatMap((failure) => Option.toArray(failure))
  return yield* invalid(...failures.flatMap(explain))
})

/**
 * The settings of `sluice serve`, gathered and checked.
 *
 * @category decoding
 * @since 0.1.0
 */
export const resolve = (
  flags: Readonly<Record<string, unknown>>,
  configFlag: string | undefined
): Effect.Effect<Resolved<undefined>, InvalidSettings> => resolveProgram(serve, flags, configFlag)
