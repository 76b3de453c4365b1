/**
 * Shell completions: those that Effect makes of the command, with what it can't know of flags that are read as text.
 * Files are completed where a file is expected, and a flag with a few right values offers them.
 */
import * as Completions from "effect/cli/Completions"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { eventSubjects } from "../../domain/events/EventFilter.ts"
import { eventKinds } from "../../domain/events/HostEvent.ts"
import * as ProxyCommand from "./ProxyCommand.ts"
import * as Setting from "./Setting.ts"

const FILE = { _tag: "Path", pathType: "file" } as const

/** What follows a flag, for flags that are told what it is by the word for it in their help. */
const typeOf = (metavar: string): Completions.FlagType | undefined => {
  if (metavar === "file" || metavar === "path") return FILE
  return metavar.includes("|") ? { _tag: "Choice", values: metavar.split("|") } : undefined
}

const types: ReadonlyMap<string, Completions.FlagType> = new Map([
  ["config", FILE],
  ["kind", { _tag: "Choice", values: [...eventSubjects, ...eventKinds] }],
  ...[...Setting.settings, ...ProxyCommand.own].flatMap(({ flag, form, metavar }) => {
    const type = form === "switch" ? undefined : typeOf(metavar)
    return flag === undefined || type === undefined ? [] : [[flag, type] as const]
  })
])

/** Arguments that are files: the module to serve. Other commands have an argument of that name for an application. */
const takesModule = (command: string, argument: string): boolean => command === "serve" && argument === "app"

const complete = (command: Completions.CommandDescriptor): Completions.CommandDescriptor => ({
  ...command,
  flags: command.flags.map((flag) =>
    flag.type._tag === "String" ? { ...flag, type: types.get(flag.name) ?? flag.type } : flag
  ),
  arguments: command.arguments.map((argument) =>
    takesModule(command.name, argument.name) ? { ...argument, type: FILE } : argument
  ),
  subcommands: command.subcommands.map(complete)
})

/** The flag `--completions`, which prints a script. */
export const flag = GlobalFlag.Action({
  flag: GlobalFlag.Completions.flag,
  run: (shell, { command }) =>
    Option.match(shell, {
      onNone: () => Effect.void,
      onSome: (shell) =>
        Console.log(Completions.generate(command.name, shell, complete(Completions.fromCommand(command))))
    })
})
