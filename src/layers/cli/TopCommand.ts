/** `sluice top`: a running host on the whole screen, or once as text. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Terminal from "effect/Terminal"
import * as OptionUnits from "../../domain/options/OptionUnits.ts"
import * as AppPart from "../../domain/overview/AppPart.ts"
import * as History from "../../domain/overview/History.ts"
import { NoSuchApp } from "../../services/SessionLayer.ts"
import * as ControlClient from "../control/ControlClient.ts"
import * as CommandInput from "./CommandInput.ts"
import * as Table from "./Table.ts"
import { FullScreen } from "./top/FullScreen.ts"
import { paint } from "./top/ScreenText.ts"
import { initial } from "./top/TopChoice.ts"
import { print } from "./top/TopDrawing.ts"
import * as TopScreen from "./top/TopScreen.ts"
import { json as asJson } from "./Words.ts"

const INTERVAL = { min: 100, max: OptionUnits.HOUR, default: OptionUnits.SECOND } as const

const readInterval = (text: string): Option.Option<number> => {
  const millis = OptionUnits.read("milliseconds", text)
  return millis === undefined || millis < INTERVAL.min || millis > INTERVAL.max ? Option.none() : Option.some(millis)
}

export const command = Command.make(
  "top",
  {
    app: Flag.String("app").pipe(
      Flag.withDescription("Only this application, by its name, or its index when no application has that name"),
      Flag.withMetavar("<app>"),
      Flag.optional
    ),
    interval: Flag.String("interval").pipe(
      Flag.withDescription("Time between two looks at the host, from 100 ms to 1 h; default: 1 s"),
      Flag.withMetavar("<time>"),
      Flag.filterMap(readInterval, () => "a time from 100 ms to 1 h, such as \"2 s\""),
      Flag.withDefault(INTERVAL.default)
    ),
    once: Flag.Boolean("once").pipe(
      Flag.withDescription("Print it once, as text; so it is where there is no terminal, too"),
      Flag.withDefault(false)
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print it once, as JSON"), Flag.withDefault(false)),
    control: CommandInput.control
  },
  Effect.fnUntraced(function*({ app, control, interval, json, once }) {
    const path = yield* CommandInput.pathOf(control)
    const look = Effect.flatMap(ControlClient.ask(path, (client) => client.host.overview()), (overview) => {
      if (Option.isNone(app)) return Effect.succeed(overview)
      const part = AppPart.of(overview, app.value)
      return part === undefined ? Effect.fail(new NoSuchApp({ wanted: app.value })) : Effect.succeed(part)
    })
    const first = yield* look
    if (json) return yield* Console.log(asJson(first))
    const { colours, isScreen } = yield* (yield* FullScreen).capabilities
    if (isScreen && !once) {
      return yield* TopScreen.show({
        path,
        control: Option.getOrUndefined(control),
        app: Option.getOrUndefined(app),
        interval,
        look
      }, first)
    }
    const columns = yield* (yield* Terminal.Terminal).columns
    const frame = {
      history: History.add(undefined, first),
      view: initial,
      stale: undefined,
      interval: undefined,
      sessions: undefined,
      control: undefined
    }
    // to a file or a program, as wide as there is something to show
    const width = columns === 0 ? PRINTED : Math.max(Table.WIDTH, columns)
    yield* Console.log(print(frame, width).map((line) => paint(line, colours)).join("\n"))
  })
).pipe(
  Command.withDescription(
    "Watch a running host: is all well, what is refused and why, who is slow and since when, how much room is left, what has "
      + "changed. ? shows the keys. The host answers, and not its workers, so it is there while they are blocked."
  ),
  Command.withShortDescription("Watch a running host"),
  Command.withExamples([
    { command: "sluice top --app api --interval 2s", description: "One application, every two seconds" },
    { command: "sluice top --once --json", description: "One look, for a program" }
  ])
)

/** Columns of a printout that no terminal shows. */
const PRINTED = 160
