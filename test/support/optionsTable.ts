/**
 * What is generated from the schemas of the options: the tables of `docs/options.md`, and the JSON Schemas of
 * configuration files. Run as a program it writes the files.
 */
import * as Fs from "node:fs"
import * as ProxyConfig from "../../src/apps/proxy/ProxyConfig.ts"
import { infosOf } from "../../src/domain/options/OptionFields.ts"
import * as Options from "../../src/domain/options/Options.ts"
import * as ProxyCommand from "../../src/layers/cli/ProxyCommand.ts"
import * as Setting from "../../src/layers/cli/Setting.ts"
import * as SettingsSchema from "../../src/layers/cli/SettingsSchema.ts"

export const file = new URL("../../docs/options.md", import.meta.url)

interface Row extends Pick<Options.Documentation, "description" | "range" | "default"> {
  readonly option: string
  readonly setting: Setting.Setting | undefined
}

/** The groups in the order of the help texts, and what is said about each. */
const groups: ReadonlyArray<readonly [group: string, title: string]> = [
  ["", "The application"],
  ["scope", "Scope: where it listens and connects"],
  ["worker", "Workers"],
  ["admission", "Admission: what is let in, and what goes out"],
  ["listener", "Listeners"],
  ["tlsClient", "Connects over TLS"],
  ["segment", "Shared memory"],
  ["queue", "Event queues"]
]

const cell = (text: string): string => text.replaceAll("|", "\\|")
const code = (text: string | undefined): string => text === undefined ? "" : `\`${cell(text)}\``
const flagOf = ({ flag }: Setting.Setting): string | undefined => flag === undefined ? undefined : `--${flag}`

const table = (heads: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> =>
  [heads, heads.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`)

const tableOf = (rows: ReadonlyArray<Row>): ReadonlyArray<string> =>
  table(
    ["option", "flag", "environment", "in the file", "default", "what it may be", "what it is"],
    rows.map(({ default: byDefault, description, option, range, setting }) => [
      code(option),
      code(setting && flagOf(setting)),
      code(setting?.variable),
      code(setting?.key),
      cell(byDefault),
      cell(range),
      cell(description)
    ])
  )

const ofGroup = (group: string): ReadonlyArray<Row> =>
  Options.documentation
    .filter(({ option }) => option.slice(0, Math.max(0, option.lastIndexOf("."))) === group)
    .map((row) => ({ ...row, setting: Setting.byOption.get(row.option) }))

const ofProxy: ReadonlyArray<Row> = infosOf(ProxyConfig.ProxyOptions.fields).map(([option, info]) => ({
  ...info,
  option,
  range: info.right,
  setting: ProxyCommand.own.find(({ key }) => key === option)
}))

const filesAndPaths = Setting.settings.filter(({ option }) => option === undefined)

/** The text of the file. */
export const text = `${
  [
    "# Options",
    "",
    "This file is generated from the schemas of the options by `npm run docs:options`.",
    "",
    "In a program the options of an application are an object, with the groups as objects in it:",
    "`{ name: \"shop\", workers: 4, admission: { policy: \"refuse\" } }`. On the command line, in the environment and in the",
    "configuration file (`--config`) each has a name of its own. A flag wins over the environment, and the environment over",
    "the file; an option that is set nowhere has its default. Sizes and times may be text such as `64KiB`, `5 ms` or",
    "`2 minutes`; plain numbers are bytes and milliseconds. Programs may also give a time as any `Duration.Input` of Effect,",
    "and a size as any `ByteSize.Input`.",
    ...groups.flatMap(([group, title]) => ["", `## ${title}`, "", ...tableOf(ofGroup(group))]),
    "",
    "## The proxy",
    "",
    "`sluice proxy` has all of the options above except `config`, and also these.",
    "",
    ...tableOf(ofProxy),
    "",
    "## The command",
    "",
    "What `sluice serve` takes besides the options of an application. In the environment, colons separate several paths.",
    "",
    ...table(
      ["flag", "environment", "in the file", "what it is"],
      filesAndPaths.map((setting) => [
        code(flagOf(setting) ?? `<${setting.key}>`),
        code(setting.variable),
        code(setting.key),
        cell(setting.description)
      ])
    )
  ].join("\n")
}\n`

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`

/** The generated files, and what is in them. */
export const generated: ReadonlyArray<readonly [file: URL, text: string]> = [
  [file, text],
  [
    new URL("../../schema/serve.json", import.meta.url),
    json(SettingsSchema.make("Settings of sluice serve", Setting.settings))
  ],
  [
    new URL("../../schema/proxy.json", import.meta.url),
    json(SettingsSchema.make("Settings of sluice proxy", ProxyCommand.program.settings))
  ]
]

if (import.meta.main) { for (const [file, text] of generated) Fs.writeFileSync(file, text) }
