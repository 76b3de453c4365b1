/** `sluice serve`: what it is told, before {@link Serving} does it. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Url from "node:url"
import { isUnit } from "../../domain/options/OptionUnits.ts"
import * as ControlPath from "../control/ControlPath.ts"
import { Inherited, InheritedSockets } from "../system/InheritedSockets.ts"
import { invalid } from "./Given.ts"
import type * as Serving from "./Serving.ts"
import * as Setting from "./Setting.ts"
import * as Settings from "./Settings.ts"
import * as UpgradeCommand from "./UpgradeCommand.ts"

/** The module of the application does not exist, or is not a file. */
export class NoModule extends Schema.TaggedError<NoModule>()("NoModule", {
  path: Schema.String,
  exists: Schema.Boolean
}) {
  override get message(): string {
    const what = this.exists ? "is not a file" : "does not exist"
    // what follows a space that stands in no quotes is a word of its own
    const hint = isUnit(this.path) ? "; give a value with a space in quotes, as in --drain-timeout \"5 secs\"" : ""
    return `app module ${this.path} ${what}: there is ${this.exists ? "a directory" : "nothing"} at ${
      Path.resolve(this.path)
    }${hint}`
  }
}

const WATCHES_THREADS =
  "--watch: workers that run in-process can't have new code, since Node keeps the modules of a process; leave out --in-process"

const moduleUrl = Effect.fnUntraced(function*(path: string) {
  const absolute = Path.resolve(path)
  const stats = yield* Effect.promise(() => Fs.stat(absolute).catch(() => undefined))
  if (stats?.isFile() !== true) return yield* new NoModule({ path, exists: stats !== undefined })
  return Url.pathToFileURL(absolute).href
})

const flagOf = ({ description, flag, form, metavar }: Setting.Setting): Flag.Flag<unknown> => {
  switch (form) {
    case "switch":
      return Flag.Boolean(flag!).pipe(Flag.withDescription(description), Flag.optional, Flag.map(Option.getOrUndefined))
    case "list":
      return Flag.String(flag!).pipe(
        Flag.withDescription(description),
        Flag.withMetavar(`<${metavar}>`),
        Flag.atLeast(0),
        Flag.map((values) => values.length === 0 ? undefined : values)
      )
    case "text":
      return Flag.String(flag!).pipe(
        Flag.withDescription(description),
        Flag.withMetavar(`<${metavar}>`),
        Flag.optional,
        Flag.map(Option.getOrUndefined)
      )
  }
}

/** The flags of settings, by key. */
export const flagsOf = (settings: ReadonlyArray<Setting.Setting>): Record<string, Flag.Flag<unknown>> =>
  Object.fromEntries(settings.flatMap((setting) => setting.flag === undefined ? [] : [[setting.key, flagOf(setting)]]))

/** The flag that names a configuration file. */
export const configFlag = Flag.String("config").pipe(
  Flag.withDescription("JSON file with settings; flags and the environment take precedence over it"),
  Flag.withMetavar("<file>"),
  Flag.optional
)

/** As `Serving.run`: its modules are loaded here. */
export const run: typeof Serving.run = (...given) =>
  Effect.flatMap(Effect.promise(() => import("./Serving.ts")), ({ run }) => run(...given))

/** Whether the host is to follow the one that runs. */
export const takeoverFlag = Flag.Boolean("takeover").pipe(
  Flag.withDescription(
    "Take over from the host on the same control socket: that one starts the new host, with these settings and this "
      + "environment, and this command ends once it serves"
  ),
  Flag.withDefault(false)
)

/** Resolves settings; those of a host that is to take over may name sockets that the running one has. */
export const resolving = <A, E, R>(takesOver: boolean, settings: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  takesOver ? Effect.provideService(settings, Inherited, InheritedSockets.elsewhere) : settings

/** Asks the running host to be followed by one that is started as this command was. */
export const takeOver = Effect.fnUntraced(function*({ control }: Settings.Resolved<unknown>) {
  const [program = "", ...args] = process.argv.slice(1)
  yield* UpgradeCommand.ask(control ?? (yield* ControlPath.defaultPath), {
    node: process.execPath,
    flags: process.execArgv,
    args: [program, ...args.filter((arg) => !/^--takeover(?:=|$)/.test(arg))],
    directory: process.cwd(),
    environment: Object.fromEntries(
      Object.entries(process.env).flatMap(([name, value]) => value === undefined ? [] : [[name, value]])
    )
  })
})

/**
 * The command. `host` is the session layer to serve with, `defaultApp` the URL of the module that is served when none
 * is given.
 */
export const make = (
  env: { readonly host: Serving.HostLayer; readonly defaultApp: URL }
) =>
  Command.make(
    "serve",
    {
      app: Argument.String("app").pipe(
        Argument.withDescription("Module of the application; without one, a small HTTP service"),
        Argument.optional
      ),
      config: configFlag,
      watch: Flag.Boolean("watch").pipe(
        Flag.withDescription("For development: reload the application whenever a file of its modules changes"),
        Flag.withDefault(false)
      ),
      takeover: takeoverFlag,
      settings: flagsOf(Setting.settings)
    },
    Effect.fnUntraced(function*(input) {
      const given = { ...input.settings, app: Option.getOrUndefined(input.app) }
      const settings = yield* resolving(input.takeover, Settings.resolve(given, Option.getOrUndefined(input.config)))
      const url = settings.app === undefined ? env.defaultApp.href : yield* moduleUrl(settings.app)
      if (input.takeover) return yield* takeOver(settings)
      const listen = settings.decoded.scope.global ? Settings.listenDefault(yield* Inherited) : []
      if (input.watch && settings.decoded.worker.kind === "in-process") return yield* invalid(WATCHES_THREADS)
      yield* run(env.host, settings, { url, extras: { listen }, watches: input.watch })
    })
  ).pipe(
    Command.withDescription(
      "Serve an application. A setting is taken from its flag, else from the environment (SLUICE_WORKERS for "
        + "--workers), else from the configuration file (workers), else its default holds."
    ),
    Command.withShortDescription("Serve an application"),
    Command.withExamples([
      { command: "sluice serve", description: "Serve a small HTTP service on tcp://127.0.0.1:8080" },
      {
        command: "sluice serve ./app.ts --listen tcp://0.0.0.0:80 --workers 4",
        description: "Serve an application of your own with four workers"
      }
    ])
  )
