/** `sluice upgrade`: has another host take over from the one that runs (X4). */
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type { SuccessorCommand } from "../../services/Takeover.ts"
import * as ControlClient from "../control/ControlClient.ts"
import * as CommandInput from "./CommandInput.ts"
import { plural } from "./Words.ts"

/** Asks the host on the socket at `path` to start its successor with the command, and says who has taken over. */
export const ask = Effect.fnUntraced(function*(path: string, command: SuccessorCommand) {
  const { pid, sessions } = yield* ControlClient.ask(
    path,
    (client) => client.host.upgrade({ payload: command }),
    { patient: true }
  )
  const left = sessions === 0
    ? ""
    : `; the host before had ${plural(sessions, "session")}, which ${sessions === 1 ? "goes" : "go"} over or ${
      sessions === 1 ? "finishes" : "finish"
    } there`
  yield* Console.log(`process ${pid} has taken over${left}`)
})

export const command = Command.make(
  "upgrade",
  { control: CommandInput.control },
  Effect.fnUntraced(function*({ control }) {
    yield* ask(yield* CommandInput.pathOf(control), {})
  })
).pipe(
  Command.withDescription(
    "Have another host take over from the running one, started as that one was: with the code and the configuration "
      + "that are there now. It gets the listening sockets, the connections that wait and those between two requests, "
      + "rules and counters; the old host finishes the rest and ends. If the new one does not come up, nothing changes. "
      + "For other options, see: sluice serve --takeover"
  ),
  Command.withShortDescription("Have another host take over, with new code")
)
