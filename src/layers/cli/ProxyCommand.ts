/** `sluice proxy`: a host with the proxy application, from its start to the end of its last session. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ProxyConfig from "../../apps/proxy/ProxyConfig.ts"
import { infosOf, phraseOf } from "../../domain/options/OptionFields.ts"
import * as LogStyle from "../log/LogStyle.ts"
import * as ServeCommand from "./ServeCommand.ts"
import type * as Serving from "./Serving.ts"
import * as Setting from "./Setting.ts"
import * as Settings from "./Settings.ts"

/** The settings of a proxy that other applications do not have. */
export const own: ReadonlyArray<Setting.Setting> = infosOf(ProxyConfig.ProxyOptions.fields).map(([key, info]) =>
  Setting.setting(key, {
    option: undefined,
    form: info.form,
    json: Setting.jsonOfSetting(info),
    metavar: info.value,
    description: phraseOf(info) + (info.form === "list" ? "; can be given several times" : "")
  })
)

/** The defaults of a proxy; the module of the proxy says why. */
const defaults = { name: "proxy", workers: 1, worker: { kind: "in-process" } } as const

/** Descriptions that differ from those of other hosts. */
const descriptions: Readonly<Record<string, string>> = {
  inProcess: "Run the workers on the host's own event loop; default: true, --no-in-process gives each a thread",
  workers: `How many workers the proxy starts with; default: ${defaults.workers}`
}

/** The proxy, as a program with settings. */
export const program: Settings.Program<ProxyConfig.ProxyOptions> = {
  settings: [
    ...own,
    // what the module is told is made from the settings
    ...Setting.hostSettings.filter(({ key }) => key !== "config").map((setting) => ({
      ...setting,
      description: descriptions[setting.key] ?? setting.description
    }))
  ],
  defaults: () => defaults,
  decode: (values, { listen }) => ProxyConfig.decodeOptions(values, Array.isArray(listen) ? listen : [])
}

/** The command. `host` is the session layer to serve with, `app` the URL of the proxy's module. */
export const make = (env: { readonly host: Serving.HostLayer; readonly app: URL }) =>
  Command.make(
    "proxy",
    {
      config: ServeCommand.configFlag,
      takeover: ServeCommand.takeoverFlag,
      settings: ServeCommand.flagsOf(program.settings)
    },
    Effect.fnUntraced(function*(input) {
      const settings = yield* ServeCommand.resolving(
        input.takeover,
        Settings.resolveProgram(program, input.settings, Option.getOrUndefined(input.config))
      )
      if (input.takeover) return yield* ServeCommand.takeOver(settings)
      const config = ProxyConfig.make(settings.own, settings.decoded.admission.connectTimeout)
      const upstreams = ProxyConfig.upstreamsOf(config, 0)
      yield* ServeCommand.run(env.host, { ...settings, options: { ...settings.options, config } }, {
        url: env.app.href,
        extras: { status: ProxyConfig.statusOf(config) },
        watches: false
      })
      if (upstreams.refused > 0) {
        yield* Effect.logWarning(`sessions that were reset because no upstream could be reached: ${upstreams.refused}`)
          .pipe(Effect.provide(LogStyle.layer(settings.log)))
      }
    })
  ).pipe(
    Command.withDescription(
      "Pass connections on to other servers: each to the one with the fewest sessions among those that can be reached. "
        + "A setting is taken from its flag, else from the environment (SLUICE_TO for --to), else from the "
        + "configuration file (to), else its default holds."
    ),
    Command.withShortDescription("Pass connections on to other servers"),
    Command.withExamples([
      {
        command: "sluice proxy --listen tcp://0.0.0.0:6379 --to tcp://10.0.0.1:6379 --to tcp://10.0.0.2:6379",
        description: "Share connections between two servers"
      }
    ])
  )
