/** `sluice app …`: detaches applications of a running host (W13). */
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as ControlClient from "../control/ControlClient.ts"
import * as CommandInput from "./CommandInput.ts"
import { printable } from "./Words.ts"

const detach = Command.make(
  "detach",
  { app: CommandInput.app, control: CommandInput.control },
  Effect.fnUntraced(function*({ app, control }) {
    const path = yield* CommandInput.pathOf(control)
    yield* ControlClient.ask(path, (client) => client.apps.detach({ params: { app } }), { patient: true })
    yield* Console.log(`application ${printable(app)} detached`)
  })
).pipe(Command.withDescription("Detach an application with its workers and listeners; its sessions are reset"))

export const command = Command.make("app").pipe(
  Command.withDescription("Detach applications of a running host"),
  Command.withSubcommands([detach])
)
