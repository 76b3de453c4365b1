#!/usr/bin/env node
/**
 * The `sluice` command.
 *
 * It exits with 0 when all went well, 1 when something failed, and 2 when it was called or configured wrongly. What
 * went wrong is one sentence on stderr. Logs go to stderr as well, so stdout has only what was asked for.
 *
 * @since 0.1.0
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
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
import * as Logger from "effect/Logger"
import * as Runtime from "effect/Runtime"
import { version } from "./domain/report/Version.ts"
import * as AppCommand from "./layers/cli/AppCommand.ts"
import * as DenyCommand from "./layers/cli/DenyCommand.ts"
import * as ListenerCommand from "./layers/cli/ListenerCommand.ts"
import * as ProxyCommand from "./layers/cli/ProxyCommand.ts"
import * as RulesCommand from "./layers/cli/RulesCommand.ts"
import * as ServeCommand from "./layers/cli/ServeCommand.ts"
import * as SessionCommand from "./layers/cli/SessionCommand.ts"
import * as ShowCommand from "./layers/cli/ShowCommand.ts"
import { printable } from "./layers/cli/Table.ts"
import * as WorkerCommand from "./layers/cli/WorkerCommand.ts"
import * as Host from "./layers/Host.ts"

const FAILURE = 1
const USAGE = 2

// published code is .js
const moduleUrl = (name: string): URL =>
  new URL(`./${name}${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url)

const sluice = Command.make("sluice").pipe(
  Command.withDescription("A session layer: bounded queues, congestion-aware workers, nothing lost"),
  Command.withSubcommands([
    ServeCommand.make({ host: Host.layer, defaultApp: moduleUrl("apps/http") }),
    ProxyCommand.make({ host: Host.layer, app: moduleUrl("apps/proxy/proxy") }),
    ShowCommand.command,
    AppCommand.command,
    WorkerCommand.command,
    ListenerCommand.command,
    SessionCommand.command,
    RulesCommand.command,
    DenyCommand.command
  ])
)

const run = Command.run(sluice, { version })

const say = (text: string) => Console.error(text.split("\n").map((line) => `sluice: ${printable(line)}`).join("\n"))

/** What was wrong with the command line, without the whole of the help around it. */
const explain = (error: CliError.NonShowHelpErrors, commandPath: ReadonlyArray<string>): string => {
  const [sentence = ""] = error.message.split("\n", 1)
  const meant = "suggestions" in error && error.suggestions.length > 0
    ? `; did you mean ${error.suggestions.join(" or ")}?`
    : ""
  return `${sentence}${meant} (see: ${commandPath.join(" ")} --help)`
}

const presenter: CliOutput.Presenter = {
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? say(event.errors.map((error) => explain(error, event.commandPath)).join("\n"))
      : CliOutput.defaultPresenter.present(event)
}

/** Says what went wrong, if that has not been done, and gives the exit code for it. */
const conclude = (
  exit: Exit.Exit<void, Effect.Error<typeof run>>
): Effect.Effect<number> => {
  if (Exit.isSuccess(exit)) return Effect.succeed(0)
  const failure = exit.cause.reasons.find(Cause.isFailReason)
  // no failure that was foreseen: whoever mends it needs the stack
  if (failure === undefined) return Effect.as(Console.error(Cause.pretty(exit.cause)), FAILURE)
  const { error } = failure
  if (error._tag === "ShowHelp") return Effect.succeed(error.errors.length === 0 ? 0 : USAGE)
  return Effect.as(say(error.message), error._tag === "InvalidSettings" ? USAGE : FAILURE)
}

const main = Effect.exit(run).pipe(
  Effect.flatMap(conclude),
  Effect.provide(Layer.mergeAll(
    NodeServices.layer,
    CliOutput.layerPresenter(presenter),
    CliConfig.layer({
      builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions, GlobalFlag.LogLevel]
    }),
    Layer.succeed(Logger.LogToStderr, true)
  ))
)

// Signals are the serving command's own. The exit waits for stdout: what is still in a pipe would be lost.
const runMain = Runtime.makeRunMain(({ fiber, teardown }) =>
  fiber.addObserver((exit) => teardown(exit, (code) => process.stdout.write("", () => process.exit(code))))
)

runMain(main, { teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) ? Number(exit.value) : FAILURE) })
