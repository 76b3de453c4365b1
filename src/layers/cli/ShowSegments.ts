/** What `show segments` prints: the memory of workers, and who allocates from it (W6, W7). */
import type * as Report from "../../domain/report/Report.ts"
import { type Column, details, indented, type Look, sections, table, tableOr, within } from "./Table.ts"
import { orNone, percent, plural, size } from "./Words.ts"

type Manager = Report.SegmentManagerReport

/** A sum of what is known of segments; a dash when nothing is. */
const total = (manager: Manager, part: "used" | "free"): string =>
  manager.usedPercent === null ? "-" : size(manager.segments.reduce((sum, segment) => sum + (segment[part] ?? 0), 0))

const nameOf = (manager: Manager): string => manager.manager === null ? manager.kind : `${manager.manager}`

const columns: ReadonlyArray<Column<Manager>> = [
  { head: "App", cell: (manager) => orNone(manager.app), least: 6 },
  { head: "Worker", cell: (manager) => `${manager.worker}` },
  { head: "Manager", cell: nameOf },
  { head: "Users", cell: (manager) => orNone(manager.users.join(", ")), least: 10 },
  { head: "Segments", cell: (manager) => `${manager.count}`, right: true },
  { head: "Memory", cell: (manager) => size(manager.bytes), right: true },
  { head: "Used", cell: (manager) => total(manager, "used"), right: true },
  { head: "Free", cell: (manager) => total(manager, "free"), right: true }
]

const segmentColumns: ReadonlyArray<Column<Report.SegmentReport>> = [
  { head: "Segment", cell: (segment) => `${segment.index}`, right: true },
  { head: "Memory", cell: (segment) => size(segment.bytes), right: true },
  { head: "Used", cell: (segment) => segment.used === null ? "-" : size(segment.used), right: true },
  { head: "Free", cell: (segment) => segment.free === null ? "-" : size(segment.free), right: true },
  { head: "Worker's part", cell: (segment) => size(segment.bytes - segment.hostBytes), right: true },
  { head: "Protected", cell: (segment) => segment.protected ? "yes" : "no" }
]

const ofManager = (manager: Manager, look: Look): Array<string> => {
  const { blocks, count, highWatermark, kind, lowWatermark, usedPercent, worker, workerHandle } = manager
  const heading = `${orNone(manager.app)}, worker ${worker} (${workerHandle}), ${
    kind === "host" ? `manager ${manager.manager}` : `${kind} segments`
  }`
  const memory = ["memory", `${plural(count, "segment")} with ${size(manager.bytes)}`] as const
  const rows = usedPercent === null ? [memory] : [
    memory,
    ["users", orNone(manager.users.join(", "))] as const,
    ["in use", `${percent(usedPercent)}: ${total(manager, "used")}, ${total(manager, "free")} free`] as const,
    [
      "watermarks",
      `a segment is added above ${percent(highWatermark)}, an empty one removed at ${percent(lowWatermark)}` +
      `${manager.growing ? "; one is on its way" : ""}`
    ] as const,
    ["blocks", orNone(blocks.map(({ count, size: bytes }) => `${count} of ${size(bytes)}`).join(", "))] as const
  ]
  return [
    ...details(heading, rows),
    ...(manager.segments.length === 0 ? [] : ["", ...indented(table(segmentColumns, manager.segments, within(look)))])
  ]
}

/** The text of `show segments`. */
export const format = (managers: ReadonlyArray<Manager>, look: Look): string =>
  look.verbose && managers.length > 0
    ? sections(managers.map((manager) => ofManager(manager, look)))
    : tableOr("no segments", columns, managers, look).join("\n")
