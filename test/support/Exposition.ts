/** Prometheus' text format, read by a test. */
import * as ChildProcess from "node:child_process"

export interface Series {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const UNESCAPED: Readonly<Record<string, string>> = { "\\\\": "\\", "\\\"": "\"", "\\n": "\n" }

export const parse = (text: string): ReadonlyArray<Series> =>
  text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).map((line) => {
    const [, name, labels = "", value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line)!
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)]
    return {
      name: name!,
      labels: Object.fromEntries(
        pairs.map(([, label, value]) => [label!, value!.replace(/\\(?:\\|"|n)/g, (one) => UNESCAPED[one]!)])
      ),
      value: Number(value)
    }
  })

/** The sum of all series of this name that have these labels. */
export const sum = (
  all: ReadonlyArray<Series>,
  name: string,
  labels: Readonly<Record<string, string>> = {}
): number =>
  all.filter((one) =>
    one.name === name && Object.entries(labels).every(([label, value]) => one.labels[label] === value)
  ).reduce((sum, { value }) => sum + value, 0)

/** What `promtool` has to say of what it is given, by default of metrics. */
export const promtool = (input: string, command = ["check", "metrics"]): string => {
  const { status, stderr, stdout } = ChildProcess.spawnSync("promtool", command, { input })
  return status === 0 ? `${stdout}${stderr}` : `status ${status}: ${stdout}${stderr}`
}
