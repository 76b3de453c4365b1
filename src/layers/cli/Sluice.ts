/**
 * The `sluice` command as a value: arguments in, an exit code out.
 *
 * The code is 0 when all went well, 1 when something failed, and 2 when the command was called or configured wrongly.
 * What went wrong is one sentence on the standard error. Logs go there as well, so the standard output has only what
 * was asked for. All of it is written through `Console`, the environment is read through `ConfigProvider`, and signals
 * come from {@link Signals.Signals}: replace these three, and the command runs inside another program.
 */
import * as Cause from "effect/Cause"
import * as CliConfig from "effect/cli/CliConfig"
import type * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { version } from "../../domain/report/Version.ts"
import * as Visible from "../../domain/report/Visible.ts"
import { WorkerFailed } from "../../services/SessionLayer.ts"
import * as LogStyle from "../log/LogStyle.ts"
import * as Descent from "../system/Descent.ts"
import { Inherited } from "../system/InheritedSockets.ts"
import * as AppCommand from "./AppCommand.ts"
import * as Complaint from "./Complaint.ts"
import * as DenyCommand from "./DenyCommand.ts"
import * as EventsCommand from "./EventsCommand.ts"
import * as HelpText from "./HelpText.ts"
import * as ListenerCommand from "./ListenerCommand.ts"
import * as ProxyCommand from "./ProxyCommand.ts"
import * as ReloadCommand from "./ReloadCommand.ts"
import * as RulesCommand from "./RulesCommand.ts"
import * as ServeCommand from "./ServeCommand.ts"
import type * as Serving from "./Serving.ts"
import * as SessionCommand from "./SessionCommand.ts"
import * as ShellCompletions from "./ShellCompletions.ts"
import * as ShowCommand from "./ShowCommand.ts"
import * as TopCommand from "./TopCommand.ts"
import * as UpgradeCommand from "./UpgradeCommand.ts"
import { printable } from "./Words.ts"
import * as WorkerCommand from "./WorkerCommand.ts"

/** The exit code when something failed. */
export const FAILURE = 1
/** The exit code when the command was called or configured wrongly. */
const USAGE = 2

/** The URL of the module of an application that comes with this package; published code is .js. */
const appUrl = (name: string): URL =>
  new URL(`../../apps/${name}${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url)

const commandWith = (host: Serving.HostLayer) =>
  Command.make("sluice").pipe(
    Command.withDescription("A session layer: bounded queues, congestion-aware workers, nothing lost"),
    Command.withSubcommands([
      ServeCommand.make({ host, defaultApp: appUrl("http") }),
      ProxyCommand.make({ host, app: appUrl("proxy/proxy") }),
      ShowCommand.command,
      TopCommand.command,
      EventsCommand.command,
      EventsCommand.why,
      ReloadCommand.command,
      UpgradeCommand.command,
      AppCommand.command,
      WorkerCommand.command,
      ListenerCommand.command,
      SessionCommand.command,
      RulesCommand.command,
      DenyCommand.command
    ])
  )

const say = (text: string) => Console.error(text.split("\n").map((line) => `sluice: ${printable(line)}`).join("\n"))

const presenter: CliOutput.Presenter = {
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? say(Complaint.ofCall(event.errors, event.commandPath))
      : event._tag === "Help"
      ? Console.log(HelpText.format(event.helpDoc))
      : CliOutput.defaultPresenter.present(event)
}

/** The errors that tell of a command which was called or configured wrongly. */
const USAGE_ERRORS: ReadonlyArray<string> = ["InvalidSettings", "NoModule", "InvalidEvents"]

/** An error of a command: its message is for whoever called the command. */
interface Told {
  readonly _tag: string
  readonly message: string
}

/** The stack of the application whose failure the error is about, if it is about one. */
const traceOf = (error: Told): string | undefined => {
  const reason = "reason" in error ? error.reason : error
  return reason instanceof WorkerFailed ? reason.trace : undefined
}

const shown = (stack: string): string => Visible.lines(stack).map((line) => `  ${line}`).join("\n")

/** If a running host has started this process, to be followed by it, that host hears why it is not. */
const tellHost = (why: string): Effect.Effect<void> =>
  Effect.map(Inherited, ({ descent }) => {
    if (Result.isSuccess(descent) && descent.success !== undefined) Descent.fail(descent.success, why)
  })

/** Says what went wrong, if that has not been done, and gives the exit code for it. */
const conclude = (exit: Exit.Exit<void, Told | CliError.CliError>): Effect.Effect<number> => {
  if (Exit.isSuccess(exit)) return Effect.succeed(0)
  const failure = exit.cause.reasons.find(Cause.isFailReason)
  // not a failure that was foreseen: it takes the stack to mend it
  if (failure === undefined) return Effect.as(Console.error(Cause.pretty(exit.cause)), FAILURE)
  const { error } = failure
  if ("errors" in error) return Effect.succeed(error.errors.length === 0 ? 0 : USAGE)
  const stack = traceOf(error)
  const why = Complaint.ofOperation(error)
  const sentence = Effect.andThen(tellHost(why), say(why))
  return Effect.as(
    stack === undefined ? sentence : Effect.andThen(sentence, Console.error(shown(stack))),
    USAGE_ERRORS.includes(error._tag) ? USAGE : FAILURE
  )
}

const environment = Layer.mergeAll(
  CliOutput.layerPresenter(presenter),
  CliConfig.layer({
    builtIns: [GlobalFlag.Help, GlobalFlag.Version, ShellCompletions.flag]
  }),
  LogStyle.layer()
)

/**
 * Runs the command with these arguments to its end, and gives its exit code. `host` is the session layer for the
 * commands that serve.
 */
export const run = (
  host: Serving.HostLayer
): (args: ReadonlyArray<string>) => Effect.Effect<number, never, Command.Environment> => {
  const runWith = Command.runWith(commandWith(host), { version })
  return (args) => Effect.exit(runWith(args)).pipe(Effect.flatMap(conclude), Effect.provide(environment))
}
