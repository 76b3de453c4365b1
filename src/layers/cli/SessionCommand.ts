/** `sluice session …`: ends sessions of a running host. */
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Handle from "../../domain/state/Handle.ts"
import * as ControlClient from "../control/ControlClient.ts"
import * as CommandInput from "./CommandInput.ts"

const session = CommandInput.handle<Handle.SessionHandle>("session", "Handle of the session, as in show sessions")

const end = <Name extends "close" | "reset">(how: Name, done: string, description: string) =>
  Command.make(
    how,
    { session, control: CommandInput.control },
    Effect.fnUntraced(function*({ control, session }) {
      const path = yield* CommandInput.pathOf(control)
      yield* ControlClient.ask(path, (client) => client.sessions.end({ params: { session }, query: { how } }))
      yield* Console.log(`session ${Handle.format(session)} ${done}`)
    })
  ).pipe(Command.withDescription(description))

export const command = Command.make("session").pipe(
  Command.withDescription("End sessions of a running host"),
  Command.withSubcommands([
    end("close", "is closing", "Close a session; what its application has written is still sent"),
    end("reset", "reset", "Reset a session")
  ])
)
