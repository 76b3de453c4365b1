/**
 * `sluice show …`: looks into a running host.
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ControlClient from "./ControlClient.ts"
import * as ControlPath from "./ControlPath.ts"
import * as ShowApp from "./ShowApp.ts"

const control = Flag.String("control").pipe(
  Flag.withDescription("Path of the host's control socket; default: sluice.sock in the user's runtime directory"),
  Flag.withMetavar("<path>"),
  Flag.optional
)

const pathOf = Effect.fnUntraced(function*(flag: Option.Option<string>) {
  if (Option.isSome(flag)) return flag.value
  const variable = yield* Config.option(Config.NonEmptyString("SLUICE_CONTROL")).pipe(
    Effect.catch(() => Effect.succeedNone)
  )
  return Option.isSome(variable) ? variable.value : yield* ControlPath.defaultPath
})

const app = Command.make(
  "app",
  {
    verbose: Flag.Boolean("verbose").pipe(Flag.withDescription("Show all there is"), Flag.withDefault(false)),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print the report as JSON"), Flag.withDefault(false)),
    control
  },
  Effect.fnUntraced(function*({ control, json, verbose }) {
    const report = yield* ControlClient.report(yield* pathOf(control))
    yield* Console.log(json ? JSON.stringify(report, undefined, 2) : ShowApp.format(report, { verbose }))
  })
).pipe(Command.withDescription("Show applications, their workers and their listeners"))

/**
 * @category commands
 * @since 0.1.0
 */
export const command = Command.make("show").pipe(
  Command.withDescription("Look into a running host"),
  Command.withSubcommands([app])
)
