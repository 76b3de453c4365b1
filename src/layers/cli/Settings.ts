/**
 * What a serving command is told, and where: a flag takes precedence over the environment, the environment over the
 * configuration file, and what is set nowhere has its default from the options.
 *
 * Values are checked by the options' own schema; a complaint names the place where the value was given.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Path from "node:path"
import type { HostPort } from "../../domain/net/Address.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import { LogOptions } from "../../domain/options/LogOptions.ts"
import { infosOf } from "../../domain/options/OptionFields.ts"
import * as Options from "../../domain/options/Options.ts"
import { VARIABLE } from "../../domain/takeover/TakeoverMessage.ts"
import type { DashboardOptions } from "../dashboard/Dashboard.ts"
import * as LogStyle from "../log/LogStyle.ts"
import { Inherited, type InheritedSockets } from "../system/InheritedSockets.ts"
import * as DashboardSettings from "./DashboardSettings.ts"
import * as Environment from "./Environment.ts"
import { assign, type Given, hostPort, invalid, type InvalidSettings, path, shaped, uriProblems } from "./Given.ts"
import * as InheritedNames from "./InheritedNames.ts"
import { byOption, DEFAULT_LISTEN, ofLog, type Setting, settings } from "./Setting.ts"
import * as SettingsFile from "./SettingsFile.ts"
import type * as TlsFiles from "./TlsFiles.ts"
import * as TlsSettings from "./TlsSettings.ts"

/** A command that serves an application. */
export interface Program<A> {
  /** All its settings: those of any host, and its own. */
  readonly settings: ReadonlyArray<Setting>
  /** Options that hold where they are not set, given the module that was named and where a program listens by itself. */
  readonly defaults: (app: string | undefined, listen: ReadonlyArray<string>) => Options.AppOptionsInput
  /** Decodes the settings that are not options, by key, given the options; a failure's `option` is the key. */
  readonly decode: (
    values: Readonly<Record<string, unknown>>,
    options: Options.AppOptionsInput
  ) => Result.Result<A, Options.OptionsError>
}

/** The paths that differ from the names that options have here: those of options in groups. */
const optionPaths = new RegExp(
  `\\b(?:${Array.from(byOption.keys()).filter((option) => option.includes(".")).join("|").replaceAll(".", "\\.")})\\b`,
  "g"
)

/** Paths of options as the names that they have here. */
const renamed = (text: string): string => text.replace(optionPaths, (option) => byOption.get(option)?.key ?? option)

/** What a command is to do. */
export interface Resolved<A> {
  /** Input for `Options.decodeApp`, which has accepted it. */
  readonly options: Options.AppOptionsInput
  readonly decoded: Options.AppOptions
  /** Path of the application's module as it was given. */
  readonly app: string | undefined
  /** Path of the control socket as it was given. */
  readonly control: string | undefined
  /** Where a supervisor is answered, besides the control socket. */
  readonly health: HostPort | undefined
  /** Where a Prometheus is answered, besides the control socket. */
  readonly metrics: HostPort | undefined
  /** The page's port, its names and its token. */
  readonly dashboard: DashboardOptions | undefined
  /** What is logged, and how. */
  readonly log: LogOptions
  /** The files of the certificates in the options, in the same order. */
  readonly pairs: ReadonlyArray<TlsFiles.Pair>
  /** What the command makes of the settings of its own. */
  readonly own: A
}

/** The name of the application that is served, on its default endpoint, when no module is named. */
const DEFAULT_NAME = "http"

/** Where a host listens that is told nothing of it: on the sockets of a service manager, if there are any. */
export const listenDefault = ({ all }: InheritedSockets): ReadonlyArray<string> => {
  const named = all.filter(({ name }) => name !== undefined)
  return named.length === 0 ? [DEFAULT_LISTEN] : named.map(({ endpoint }) => Endpoint.format(endpoint))
}

const serve: Program<undefined> = {
  settings,
  defaults: (app, listen) => app === undefined ? { name: DEFAULT_NAME, listen } : { name: Path.parse(app).name },
  decode: () => Result.succeed(undefined)
}

/** Settings that are not options, and that are read here. */
const common = [
  "app",
  "control",
  "health",
  "metrics",
  ...DashboardSettings.keys,
  "logFormat",
  "logLevel",
  "tlsCert",
  "tlsKey",
  "clientCa",
  "serverCa"
]

const isSame = (one: HostPort, other: HostPort): boolean =>
  one.port !== 0 && one.host === other.host && one.port === other.port

/** The ports of the host's own, by the keys of their settings, of which no two are one. */
const samePorts = (
  given: ReadonlyMap<string, Given>,
  ports: Readonly<Record<string, HostPort | undefined>>
): ReadonlyArray<string> =>
  Object.entries(ports).flatMap(([key, at], index, all) => {
    const earlier = all.slice(0, index).find(([, other]) =>
      at !== undefined && other !== undefined && isSame(at, other)
    )
    return at === undefined || earlier === undefined
      ? []
      : [`${given.get(key)?.source}: ${at.host}:${at.port} is the ${earlier[0]} port; choose another port`]
  })

const decodeLog = Options.decode(LogOptions)

/** The options of the log, which are needed to tell of the others. */
const logOf = (given: ReadonlyMap<string, Given>): Result.Result<LogOptions, string> => {
  const values = infosOf(LogOptions.fields).map(([option]) => [option, given.get(ofLog(option))?.value] as const)
  return Result.mapError(
    decodeLog(Object.fromEntries(values)),
    ({ more, reason }) =>
      [reason, ...more].map(({ message, option }) =>
        `${given.get(ofLog(option))?.source}${message.slice(option.length)}`
      ).join("\n")
  )
}

/** Names the configuration file, as the flag does. */
const CONFIG_VARIABLE = "SLUICE_CONFIG"

/** Gathers the settings, by key from the flags, from the environment and from the file, and checks them. */
export const resolveProgram = Effect.fnUntraced(function*<A>(
  { decode, defaults, settings }: Program<A>,
  flags: Readonly<Record<string, unknown>>,
  configFlag: string | undefined
): Effect.fn.Return<Resolved<A>, InvalidSettings> {
  const file = configFlag ?? (yield* Environment.variable(CONFIG_VARIABLE))
  const entries = file === undefined ? {} : yield* SettingsFile.read(settings, file)
  const given = new Map<string, Given>()
  for (const { flag, key, variable: name } of settings) {
    if (flags[key] !== undefined) {
      given.set(key, { value: flags[key], source: flag === undefined ? key : `--${flag}` })
      continue
    }
    const value = name === undefined ? undefined : yield* Environment.variable(name)
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
  const health = take(hostPort(given.get("health")))
  const metrics = take(hostPort(given.get("metrics")))
  const dashboard = take(yield* DashboardSettings.read(given))
  problems.push(...samePorts(given, { health, metrics, dashboard: dashboard?.at }))
  const log = take(logOf(given))
  yield* Environment.warnOfOthers([CONFIG_VARIABLE, VARIABLE, ...settings.flatMap(({ variable }) => variable ?? [])])
    .pipe(
      Effect.provide(LogStyle.layer(log))
    )
  const inherited = yield* Inherited
  const input: Record<string, unknown> = { ...defaults(app, listenDefault(inherited)) }
  const values: Record<string, unknown> = {}
  for (const { form, key, metavar, option } of settings) {
    const value = given.get(key)
    if (common.includes(key) || value === undefined) continue
    const named = Result.flatMap(shaped(form, value), (shaped) =>
      option === "listen" || option === "listeners"
        ? Result.mapError(InheritedNames.expand(inherited, shaped), (problem) => `${value.source}: ${problem}`)
        : Result.succeed(shaped))
    const right = take(named)
    if (right === undefined) continue
    if (metavar === "uri") problems.push(...uriProblems({ ...value, value: right }))
    if (option === undefined) values[key] = right
    else assign(input, option, key === "inProcess" ? (right === true ? "in-process" : "thread") : right)
  }
  if (problems.length > 0 || log === undefined) return yield* invalid(...problems)
  const pairs = yield* Effect.provide(TlsSettings.read(given, input), LogStyle.layer(log))

  const explain = ({ more, reason }: Options.OptionsError): ReadonlyArray<string> =>
    [reason, ...more].map(({ message, option }) => {
      // within an option that is a record, the rest of the path says where
      const [top = option] = option.split(".", 1)
      const within = byOption.has(option) || !byOption.has(top) ? option : top
      const key = byOption.get(within)?.key ?? option
      const file = TlsSettings.fileOf(option)
      const flag = (file ?? settings.find((setting) => setting.key === key))?.flag
      const { source } = given.get(key) ?? given.get(file?.key ?? key) ??
        { source: flag === undefined ? key : `${key} (--${flag})` }
      return `${source}: ${renamed(message.slice(within.length).replace(/^[.:] ?/, ""))}`
    })
  const own = decode(values, input)
  const decoded = Options.decodeApp(input)
  if (Result.isSuccess(decoded) && Result.isSuccess(own)) {
    const options = input as Options.AppOptionsInput
    return { options, decoded: decoded.success, app, control, health, metrics, dashboard, log, pairs, own: own.success }
  }
  const failures = [Result.getFailure(own), Result.getFailure(decoded)].flatMap((failure) => Option.toArray(failure))
  return yield* invalid(...failures.flatMap(explain))
})

/** The settings of `sluice serve`, gathered and checked. */
export const resolve = (
  flags: Readonly<Record<string, unknown>>,
  configFlag: string | undefined
): Effect.Effect<Resolved<undefined>, InvalidSettings> => resolveProgram(serve, flags, configFlag)
