/** Flags and arguments that the commands which talk to a running host have in common. */
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Terminal from "effect/Terminal"
import * as Prefix from "../../domain/net/Prefix.ts"
import type * as Handle from "../../domain/state/Handle.ts"
import * as HandleText from "../../domain/state/HandleText.ts"
import * as ControlPath from "../control/ControlPath.ts"
import * as Environment from "./Environment.ts"
import * as Table from "./Table.ts"

export const control = Flag.String("control").pipe(
  Flag.withDescription("Path of the host's control socket; default: sluice.sock in the user's runtime directory"),
  Flag.withMetavar("<path>"),
  Flag.optional
)

/** The path of the control socket: from the flag, else from `SLUICE_CONTROL`, else the default one. */
export const pathOf = Effect.fnUntraced(function*(flag: Option.Option<string>) {
  if (Option.isSome(flag)) return flag.value
  return (yield* Environment.variable("SLUICE_CONTROL")) ?? (yield* ControlPath.defaultPath)
})

/** Columns that tables fit on the standard output. */
export const width = Effect.flatMap(Terminal.Terminal, ({ columns }) => Effect.map(columns, Table.fitting))

export const verbose = Flag.Boolean("verbose").pipe(
  Flag.withDescription("Show everything"),
  Flag.withDefault(false)
)

export const json = Flag.Boolean("json").pipe(
  Flag.withDescription("Print it as JSON"),
  Flag.withDefault(false)
)

export const now = Flag.Boolean("now").pipe(
  Flag.withDescription(
    "Reset its sessions at once, instead of waiting up to the application's drain timeout for them to end"
  ),
  Flag.withDefault(false)
)

/** A handle, as tables show them. */
export const handle = <H extends Handle.Handle>(name: string, description: string): Argument.Argument<H> =>
  Argument.String(name).pipe(
    Argument.withDescription(description),
    Argument.filterMap((text) => Option.fromUndefinedOr(HandleText.parse<H>(text)), () => HandleText.HANDLE_RIGHT)
  )

/** Names that would be lost as part of a path: the control API has the name in its path. */
const lost = ["", ".", ".."]

/** An application, by its name or its index. */
export const app: Argument.Argument<string> = Argument.String("app").pipe(
  Argument.withDescription("Name of the application, or its index when no application has that name"),
  Argument.filterMap(
    (text) => lost.includes(text) ? Option.none() : Option.some(text),
    () => "a name, or an index when the name is . or .."
  )
)

/** Addresses of the deny list. */
export const prefix: Argument.Argument<string> = Argument.String("prefix").pipe(
  Argument.withDescription(`Addresses: ${Prefix.PREFIX_RIGHT}`),
  Argument.filterMap((text) => Result.getSuccess(Prefix.parse(text)), wrongPrefix)
)

/** What would be right instead of a text that is not a prefix. */
export function wrongPrefix(text: string): string {
  return Result.match(Prefix.parse(text), { onFailure: (right) => right, onSuccess: () => Prefix.PREFIX_RIGHT })
}
