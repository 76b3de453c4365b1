/** What `show mq` prints: the queues of workers, in both directions (M1). */
import type * as Report from "../../domain/report/Report.ts"
import { type Column, details, indented, type Look, sections, tableOr } from "./Table.ts"
import { orNone } from "./Words.ts"

interface Row {
  readonly queue: Report.QueueReport
  readonly name: string
  readonly direction: Report.Direction
}

const rowsOf = (queue: Report.QueueReport): ReadonlyArray<Row> => [
  { queue, name: "to worker", direction: queue.toWorker },
  { queue, name: "to host", direction: queue.toHost }
]

const depth = (ring: Report.Ring): string => `${ring.used}/${ring.size}`

const columns: ReadonlyArray<Column<Row>> = [
  { head: "App", cell: ({ queue }) => orNone(queue.app), least: 6 },
  { head: "Worker", cell: ({ queue }) => `${queue.worker}` },
  { head: "Queue", cell: ({ name }) => name },
  { head: "Index", cell: ({ direction }) => depth(direction.index), right: true },
  { head: "IO", cell: ({ direction }) => depth(direction.io), right: true },
  { head: "Control", cell: ({ direction }) => depth(direction.control), right: true },
  {
    head: "Highest",
    cell: ({ direction: { control, index, io } }) => `${index.highest}/${io.highest}/${control.highest}`,
    right: true
  }
]

const ring = ({ highest, size, used }: Report.Ring): string => `${used} of ${size}, highest ${highest}`

const ofDirection = ({ direction, name }: Row): Array<string> =>
  details(name, [
    ["index queue", ring(direction.index)],
    ["io ring", ring(direction.io)],
    ["control ring", ring(direction.control)],
    ["messages", `${direction.enqueued} in, ${direction.drained} out`],
    ["reader", direction.idle ? "sleeps" : "awake"]
  ])

const ofWorker = (queue: Report.QueueReport): Array<string> => [
  `${orNone(queue.app)}, worker ${queue.worker} (${queue.workerHandle}), ${
    queue.congested ? "congested" : "not congested"
  }, ${queue.postponed} postponed`,
  ...indented(rowsOf(queue).flatMap(ofDirection))
]

/** The text of `show mq`. `Highest` has three numbers: index queue, IO ring, control ring. */
export const format = (queues: ReadonlyArray<Report.QueueReport>, look: Look): string =>
  look.verbose && queues.length > 0
    ? sections(queues.map(ofWorker))
    : tableOr("no queues", columns, queues.flatMap(rowsOf), look).join("\n")
