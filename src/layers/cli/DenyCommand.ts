/** `sluice deny …`: the source deny list of a running host. A change takes effect with the next connection. */
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as ControlClient from "../control/ControlClient.ts"
import * as CommandInput from "./CommandInput.ts"
import { type Column, tableOr } from "./Table.ts"
import { json, printable } from "./Words.ts"

const columns: ReadonlyArray<Column<string>> = [{ head: "Source", cell: printable }]

const list = Command.make(
  "list",
  { json: CommandInput.json, control: CommandInput.control },
  Effect.fnUntraced(function*(given) {
    const path = yield* CommandInput.pathOf(given.control)
    const sources = yield* ControlClient.ask(path, (client) => client.denied.list())
    const width = yield* CommandInput.width
    yield* Console.log(
      given.json ? json(sources) : tableOr("no denied sources", columns, sources, { verbose: false, width }).join("\n")
    )
  })
).pipe(Command.withDescription("List the sources whose connections are refused"))

const add = Command.make(
  "add",
  { prefix: CommandInput.prefix, control: CommandInput.control },
  Effect.fnUntraced(function*({ control, prefix }) {
    const path = yield* CommandInput.pathOf(control)
    yield* ControlClient.ask(path, (client) => client.denied.add({ payload: { source: prefix } }))
    yield* Console.log(`${prefix} denied`)
  })
).pipe(Command.withDescription("Refuse connections from these addresses, whatever the session rules say"))

const remove = Command.make(
  "remove",
  { prefix: CommandInput.prefix, control: CommandInput.control },
  Effect.fnUntraced(function*({ control, prefix }) {
    const path = yield* CommandInput.pathOf(control)
    yield* ControlClient.ask(path, (client) => client.denied.remove({ query: { source: prefix } }))
    yield* Console.log(`${prefix} no longer denied`)
  })
).pipe(Command.withDescription("Take exactly this prefix off the deny list"))

export const command = Command.make("deny").pipe(
  Command.withDescription("Source deny list of a running host"),
  Command.withSubcommands([list, add, remove])
)
