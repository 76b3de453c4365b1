/** `sluice reload`: gives applications of a running host new code, while they serve (X2). */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ReloadedApp } from "../../services/ControlApi.ts"
import * as ControlClient from "../control/ControlClient.ts"
import * as CommandInput from "./CommandInput.ts"
import { json, plural, printable, time } from "./Words.ts"

const said = ({ app, millis, workers }: ReloadedApp): string =>
  `application ${printable(app)} reloaded: ${plural(workers, "worker")} in ${time(millis)}`

export const command = Command.make(
  "reload",
  {
    app: Argument.optional(CommandInput.app),
    atOnce: Flag.Boolean("at-once").pipe(
      Flag.withDescription("Start all new workers together: if one does not come up, nothing changes"),
      Flag.withDefault(false)
    ),
    json: CommandInput.json,
    control: CommandInput.control
  },
  Effect.fnUntraced(function*({ app, atOnce, control, json: asJson }) {
    const path = yield* CommandInput.pathOf(control)
    const apps = Option.isSome(app)
      ? [app.value]
      : (yield* ControlClient.report(path)).apps.map(({ index }) => `${index}`)
    const reloaded: Array<ReloadedApp> = []
    for (const app of apps) {
      const one = yield* ControlClient.ask(
        path,
        (client) => client.apps.reload({ params: { app }, query: { atOnce } }),
        { patient: true }
      )
      reloaded.push(one)
      if (!asJson) yield* Console.log(said(one))
    }
    if (asJson) yield* Console.log(json(reloaded))
    else if (apps.length === 0) yield* Console.log("no active apps")
  })
).pipe(
  Command.withDescription(
    "Replace the workers of an application, or of all, by new starts that load its code anew. A worker is replaced when "
      + "its new start is ready; where the new code does not start, the old goes on. Ending this command does not end "
      + "what it began."
  ),
  Command.withShortDescription("Give an application new code while it serves")
)
