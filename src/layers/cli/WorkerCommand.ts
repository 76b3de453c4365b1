/** `sluice worker …`: adds, deletes and restarts workers of a running host (W11). */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Handle from "../../domain/state/Handle.ts"
import { AddedWorker } from "../../services/ControlApi.ts"
import * as ControlClient from "../control/ControlClient.ts"
import * as CommandInput from "./CommandInput.ts"
import { json, printable } from "./Words.ts"

const worker = CommandInput.handle<Handle.WorkerHandle>("worker", "Handle of the worker, as in show app")

const GOES_ON = "Ending this command does not end what it began."

const add = Command.make(
  "add",
  {
    app: CommandInput.app,
    kind: Flag.Literals("kind", AddedWorker.fields.kind.literals).pipe(
      Flag.withDescription("What it runs on; default: as the application's other workers"),
      Flag.optional,
      Flag.map(Option.getOrUndefined)
    ),
    json: CommandInput.json,
    control: CommandInput.control
  },
  Effect.fnUntraced(function*(given) {
    const path = yield* CommandInput.pathOf(given.control)
    const added = yield* ControlClient.ask(
      path,
      (client) => client.workers.add({ params: { app: given.app }, payload: { kind: given.kind } }),
      { patient: true }
    )
    const { app, handle, kind, mapIndex } = added
    yield* Console.log(
      given.json ? json(added) : `worker ${handle} added to ${printable(app)}: number ${mapIndex}, ${kind}`
    )
  })
).pipe(Command.withDescription("Add a worker to an application; it joins the application's listeners"))

const remove = Command.make(
  "delete",
  { worker, now: CommandInput.now, control: CommandInput.control },
  Effect.fnUntraced(function*({ control, now, worker }) {
    const path = yield* CommandInput.pathOf(control)
    yield* ControlClient.ask(
      path,
      (client) => client.workers.remove({ params: { worker }, query: { now } }),
      { patient: true }
    )
    yield* Console.log(`worker ${Handle.format(worker)} deleted`)
  })
).pipe(
  Command.withDescription(
    `Delete a worker when its sessions have ended. The default worker, number 0, goes last, and the application with `
      + `it. ${GOES_ON}`
  ),
  Command.withShortDescription("Delete a worker when its sessions have ended")
)

const restart = Command.make(
  "restart",
  { worker, now: CommandInput.now, control: CommandInput.control },
  Effect.fnUntraced(function*({ control, now, worker }) {
    const path = yield* CommandInput.pathOf(control)
    yield* ControlClient.ask(
      path,
      (client) => client.workers.restart({ params: { worker }, query: { now } }),
      { patient: true }
    )
    yield* Console.log(`worker ${Handle.format(worker)} restarted`)
  })
).pipe(
  Command.withDescription(`Restart a worker when its sessions have ended. ${GOES_ON}`),
  Command.withShortDescription("Restart a worker when its sessions have ended")
)

export const command = Command.make("worker").pipe(
  Command.withDescription("Add, delete and restart workers of a running host"),
  Command.withSubcommands([add, remove, restart])
)
