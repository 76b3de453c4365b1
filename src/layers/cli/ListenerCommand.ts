/** `sluice listener …`: closes listeners of a running host (W9). */
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Handle from "../../domain/state/Handle.ts"
import * as ControlClient from "../control/ControlClient.ts"
import * as CommandInput from "./CommandInput.ts"

const close = Command.make(
  "close",
  {
    listener: CommandInput.handle<Handle.ListenerHandle>("listener", "Handle of the listener, as in show listeners"),
    control: CommandInput.control
  },
  Effect.fnUntraced(function*({ control, listener }) {
    const path = yield* CommandInput.pathOf(control)
    yield* ControlClient.ask(path, (client) => client.listeners.close({ params: { listener } }))
    yield* Console.log(`listener ${Handle.format(listener)} closed`)
  })
).pipe(Command.withDescription("Close a listener for all its workers; established sessions go on"))

export const command = Command.make("listener").pipe(
  Command.withDescription("Close listeners of a running host"),
  Command.withSubcommands([close])
)
