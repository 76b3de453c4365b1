/** What `--help` prints: lines of no more than 80 columns, subcommands first, and flags in groups. */
import type * as HelpDoc from "effect/cli/HelpDoc"
import * as Option from "effect/Option"
import * as ProxyCommand from "./ProxyCommand.ts"
import * as Setting from "./Setting.ts"
import { INDENT, indented, sections, WIDTH } from "./Table.ts"

/** Where descriptions begin: behind the name, or on the next line if the name is too long. */
const COLUMN = 28

/** What the flags of a group of options are for, in the order of the help text. */
const groups: Readonly<Record<string, string>> = {
  own: "",
  upstreams: "UPSTREAMS",
  app: "THE APPLICATION",
  scope: "THE APPLICATION",
  worker: "WORKERS",
  file: "CERTIFICATES",
  admission: "ADMISSION",
  listener: "LISTENERS",
  tlsClient: "CONNECTS OVER TLS",
  segment: "SHARED MEMORY",
  queue: "EVENT QUEUES"
}

const groupOf = ({ metavar, option }: Setting.Setting): string => {
  if (option === undefined) return metavar === "file" ? "file" : "own"
  if (option === "workers") return "worker"
  return option.includes(".") ? option.split(".", 1)[0]! : "app"
}

const titles: ReadonlyMap<string, string> = new Map(
  [
    ...Setting.settings.map((setting) => [setting.flag, groupOf(setting)] as const),
    ...ProxyCommand.own.map(({ flag }) => [flag, "upstreams"] as const)
  ].flatMap(([flag, group]) => flag === undefined ? [] : [[flag, groups[group] ?? ""] as const])
)

/** Words on as many lines as they need. */
const filled = (text: string, width: number): Array<string> => {
  const lines: Array<string> = []
  for (const word of text.split(" ")) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + word.length < width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

/** A name and what it is, beside each other. */
const entry = (name: string, description: string): Array<string> => {
  const left = `${INDENT}${name}`
  const [first = "", ...rest] = filled(description, WIDTH - COLUMN).map((line) => " ".repeat(COLUMN) + line)
  return left.length < COLUMN - 1 ? [left + first.slice(left.length), ...rest] : [left, first, ...rest]
}

const flag = ({ aliases, description, name, type }: HelpDoc.FlagDoc): Array<string> => {
  // a flag of choices has them in its type, where they can be read at once
  const text = Option.getOrElse(description, () => "").replace(/ \(choices: [^)]*\)$/, "")
  const choices = text.length > 0 && type.length > WIDTH - COLUMN ? type.slice(1, -1).split("|") : undefined
  const names = [`--${name}`, ...aliases].join(", ")
  const value = type === "boolean" ? "" : choices === undefined ? ` ${type}` : " <word>"
  return entry(names + value, choices === undefined ? text : `${text}: ${choices.join(", ")}`)
}

const flags = (title: string, all: ReadonlyArray<HelpDoc.FlagDoc>): ReadonlyArray<ReadonlyArray<string>> => {
  const byTitle = Map.groupBy(all, ({ name }) => titles.get(name) ?? "")
  return ["", ...new Set(Object.values(groups).filter((group) => group !== ""))].flatMap((group) => {
    const some = byTitle.get(group)
    return some === undefined ? [] : [[group === "" ? title : `${title} FOR ${group}`, ...some.flatMap(flag)]]
  })
}

const argument = ({ description, name, required, variadic }: HelpDoc.ArgDoc): Array<string> =>
  entry(
    `<${name}${variadic ? "..." : ""}>`,
    Option.getOrElse(description, () => "") + (required ? "" : " (optional)")
  )

const example = ({ command, description }: HelpDoc.ExampleDoc): ReadonlyArray<string> => [
  ...(description === undefined ? [] : filled(`# ${description}`, WIDTH - INDENT.length)),
  ...(command.length <= WIDTH - INDENT.length ? [command] : filled(command, WIDTH - 2 * INDENT.length - 2)
    .map((line, index, all) => `${index === 0 ? "" : INDENT}${line}${index < all.length - 1 ? " \\" : ""}`))
]

const section = (title: string, lines: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string>> =>
  lines.length === 0 ? [] : [[title, ...lines]]

/** The text of a help page. */
export const format = (doc: HelpDoc.HelpDoc): string =>
  sections([
    ...section("DESCRIPTION", doc.description === "" ? [] : indented(filled(doc.description, WIDTH - INDENT.length))),
    ...section("USAGE", indented([doc.usage])),
    ...section(
      "SUBCOMMANDS",
      (doc.subcommands ?? []).flatMap(({ commands }) =>
        commands.flatMap(({ description, name, shortDescription }) => entry(name, shortDescription ?? description))
      )
    ),
    ...section("ARGUMENTS", (doc.args ?? []).flatMap(argument)),
    ...flags("FLAGS", [...doc.flags, ...(doc.inheritedFlags ?? [])]),
    ...section("GLOBAL FLAGS", (doc.globalFlags ?? []).flatMap(flag)),
    ...section("EXAMPLES", indented((doc.examples ?? []).flatMap(example)))
  ])
