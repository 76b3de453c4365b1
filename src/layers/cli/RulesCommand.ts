/** `sluice rules …`: session rules of a running host. A change takes effect with the next session. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Rules from "../../domain/admission/SessionRule.ts"
import * as Prefix from "../../domain/net/Prefix.ts"
import { Name, NAME_RIGHT } from "../../domain/options/Name.ts"
import { Priorities } from "../../domain/options/Priority.ts"
import * as Handle from "../../domain/state/Handle.ts"
import type { ListedRule } from "../../services/ControlApi.ts"
import * as ControlClient from "../control/ControlClient.ts"
import * as CommandInput from "./CommandInput.ts"
import { type Column, tableOr, WIDTH } from "./Table.ts"
import { json, orNone } from "./Words.ts"

const columns: ReadonlyArray<Column<ListedRule>> = [
  { head: "Rule", cell: ({ handle }) => handle },
  { head: "On", cell: ({ rule: { on, transport } }) => transport === "any" ? on : `${on} ${transport}` },
  { head: "Local", cell: ({ rule }) => Rules.formatSide(rule.local, rule.localPort), least: 12 },
  { head: "Remote", cell: ({ rule }) => Rules.formatSide(rule.remote, rule.remotePort), least: 12 },
  { head: "Action", cell: ({ rule }) => Rules.formatAction(rule), least: 6 },
  { head: "Namespace", cell: ({ rule }) => orNone(rule.namespace ?? null), least: 9 },
  { head: "Tag", cell: ({ rule }) => orNone(rule.tag ?? null), least: 8 }
]

/** The text of `rules list`: the most specific rule first. */
export const format = (rules: ReadonlyArray<ListedRule>, width = WIDTH): string =>
  tableOr("no session rules", columns, rules, { verbose: false, width }).join("\n")

const list = Command.make(
  "list",
  { json: CommandInput.json, control: CommandInput.control },
  Effect.fnUntraced(function*(given) {
    const path = yield* CommandInput.pathOf(given.control)
    const rules = yield* ControlClient.ask(path, (client) => client.rules.list())
    yield* Console.log(given.json ? json(rules) : format(rules, yield* CommandInput.width))
  })
).pipe(Command.withDescription("List the rules in the order in which they are tried"))

const optionally = <A>(flag: Flag.Flag<A>): Flag.Flag<A | undefined> =>
  flag.pipe(Flag.optional, Flag.map(Option.getOrUndefined))

const prefix = (name: string, end: string) =>
  optionally(
    Flag.String(name).pipe(
      Flag.withDescription(`Addresses of ${end}: ${Prefix.PREFIX_RIGHT}; default: any`),
      Flag.withMetavar("<prefix>"),
      Flag.filterMap((text) => Result.getSuccess(Prefix.parse(text)), CommandInput.wrongPrefix)
    )
  )

const port = (name: string, end: string) =>
  optionally(
    Flag.Int(name).pipe(
      Flag.withDescription(`Port of ${end}; default: any`),
      Flag.withMetavar("<port>"),
      Flag.filter((port) => port >= 1 && port <= 65535, () => "a port from 1 to 65535")
    )
  )

const name = (name: string, description: string) =>
  optionally(
    Flag.String(name).pipe(
      Flag.withDescription(description),
      Flag.withMetavar("<name>"),
      Flag.filter(Schema.is(Name), () => NAME_RIGHT)
    )
  )

const OWN_END = "this end: where a connection arrived, or what a connect gives as its source"
const OTHER_END = "the other end: the peer that connects, or the target of a connect"

const add = Command.make(
  "add",
  {
    rule: {
      action: Flag.String("action").pipe(
        Flag.withDescription("What becomes of the session: allow, deny, or app:<name> to give it to that application"),
        Flag.withMetavar("<action>"),
        Flag.filter(Schema.is(Rules.Action), () => `"allow", "deny", or "app:" and the name of an application`)
      ),
      on: optionally(
        Flag.Literals("on", ["accept", "connect", "both"]).pipe(
          Flag.withDescription("For connections that arrive, for connects of applications, or for both; default: both")
        )
      ),
      transport: optionally(
        Flag.Literals("transport", ["any", "tcp", "tls", "udp"]).pipe(
          Flag.withDescription("Transport of the sessions; default: any")
        )
      ),
      local: prefix("local", OWN_END),
      localPort: port("local-port", OWN_END),
      remote: prefix("remote", OTHER_END),
      remotePort: port("remote-port", OTHER_END),
      namespace: name("namespace", "Only for applications of this namespace"),
      priority: optionally(
        Flag.Literals("priority", Priorities).pipe(
          Flag.withDescription(
            "Class of the sessions: which of those that wait are served first; default: the listener's"
          )
        )
      ),
      perSource: optionally(
        Flag.Literals("per-source", ["limited", "exempt"]).pipe(
          Flag.withDescription("Whether what a listener allows one source holds for these sessions; default: limited")
        )
      ),
      tag: name("tag", "Name of the rule, for people")
    },
    json: CommandInput.json,
    control: CommandInput.control
  },
  Effect.fnUntraced(function*({ rule, ...given }) {
    const path = yield* CommandInput.pathOf(given.control)
    const payload: Record<string, string | number> = {}
    for (const [key, value] of Object.entries(rule)) if (value !== undefined) payload[key] = value
    const added = yield* ControlClient.ask(path, (client) => client.rules.add({ payload }))
    yield* Console.log(given.json ? json(added) : `rule ${added.handle} added`)
  })
).pipe(
  Command.withDescription(
    "Add a rule. The most specific rule that matches a session holds; a session that no rule matches is allowed."
  ),
  Command.withShortDescription("Add a rule"),
  Command.withExamples([
    {
      command: "sluice rules add --action deny --on accept --remote 10.0.0.0/8 --local-port 80",
      description: "Accept nothing from 10.0.0.0/8 on port 80"
    }
  ])
)

const remove = Command.make(
  "remove",
  {
    rule: CommandInput.handle<Rules.RuleHandle>("rule", "Handle of the rule, as in rules list"),
    control: CommandInput.control
  },
  Effect.fnUntraced(function*({ control, rule }) {
    const path = yield* CommandInput.pathOf(control)
    yield* ControlClient.ask(path, (client) => client.rules.remove({ params: { rule } }))
    yield* Console.log(`rule ${Handle.format(rule)} removed`)
  })
).pipe(Command.withDescription("Remove a rule"))

export const command = Command.make("rules").pipe(
  Command.withDescription("Session rules of a running host: which sessions are allowed, and which go elsewhere"),
  Command.withSubcommands([list, add, remove])
)
