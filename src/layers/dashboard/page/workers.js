/** The workers: a row for each, and everything about one of them. */
import { acts, button, cancel, confirm, dialog } from "./actions.js"
import { filterEvents } from "./events.js"
import { keyOf, rankOf } from "./history.js"
import { Gauge, make, say, Spark } from "./pictures.js"
import { CLAIM, claimTime, find, minuteOf, place, seen, workerName } from "./seen.js"
import { openSessions } from "./sessions.js"
import { column, Table, text } from "./tables.js"
import { bytes, known, NOTHING, number, part, percent, things, time } from "./words.js"

const stateOf = ({ state, successor, takes }) => {
  if (successor !== null) return `${state}, next ${successor.state}`
  return takes === "full" || takes === "no-memory" ? `${state}, ${takes}` : state
}

/** A cell with a button that opens what there is to say of its row. */
const opening = (words, open) => (cell) => {
  let item
  const opens = make("button", { type: "button", class: "name", onclick: () => open(item) })
  cell.append(opens)
  return (next) => {
    item = next
    say(opens, words(next))
  }
}

const heap = (cell) => {
  const gauge = new Gauge()
  cell.append(gauge.element)
  return ({ thread }) =>
    gauge.draw(thread?.heapUsed ?? 0, 0, thread?.heapLimit ?? 0, known(thread, (thread) => bytes(thread.heapUsed)))
}

const minute = (cell) => {
  const spark = new Spark()
  cell.append(spark.element)
  return (worker) => {
    const over = minuteOf(worker, "congested").map((part) => part > 0)
    spark.draw(`loop of ${workerName(worker)}`, minuteOf(worker, "loop"), percent, 1, over)
  }
}

const workerTable = new Table(
  place("workers"),
  [
    column("Worker", opening(workerName, (worker) => openWorker(keyOf(worker)))),
    text("State", stateOf, "tone"),
    text(
      "Congested",
      ({ congested }) => congested ? "yes" : "no",
      "tone middle",
      "Messages wait for room in its queue, or it let an offer run out"
    ),
    text(
      "Behind",
      ({ behindMillis }) => behindMillis === 0 ? NOTHING : time(behindMillis),
      "number tone",
      "For how long it has taken nothing while something waits"
    ),
    text("Claim p50", ({ claim }) => claimTime(claim.recent, "p50Millis"), "number wide", CLAIM),
    text("p99", ({ claim }) => claimTime(claim.recent, "p99Millis"), "number", CLAIM),
    text("max", ({ claim }) => claimTime(claim.recent, "maxMillis"), "number middle", CLAIM),
    text(
      "Loop",
      ({ thread }) => known(thread, ({ utilization }) => percent(utilization)),
      "number",
      "How much of the last half second its event loop was busy"
    ),
    text(
      "CPU",
      ({ thread }) => known(thread, ({ processors }) => processors.toFixed(2)),
      "number middle",
      "Processors in use over the last two seconds"
    ),
    column("Heap", heap, "wide", "Of the heap that its thread may have"),
    text("Sessions", ({ sessions }) => number(sessions.now), "number"),
    text(
      "Postponed",
      ({ postponed }) => number(postponed.now),
      "number middle",
      "Messages that wait for room in its queue"
    ),
    text("Restarts", ({ restarts }) => number(restarts), "number middle"),
    column("Loop, last 60 s", minute, "picture middle", "Red below: congested or behind")
  ],
  keyOf,
  rankOf
)

/** Everything about a worker, and what can be done with it; it stays up to date while it is open. */
let opened

const facts = (worker) => [
  ["State", stateOf(worker)],
  ["Handle", `${worker.handle}, generation ${worker.generation}, ${worker.kind}`],
  ["Takes", worker.takes],
  ["Congested", `${worker.congested ? "yes" : "no"}; ${time(worker.congestedMillis)} in all`],
  ["Behind", worker.behindMillis === 0 ? NOTHING : time(worker.behindMillis)],
  ["Is in", worker.stuckAt ?? NOTHING],
  ["Last progress", `${time(worker.lastProgressMillis)} ago`],
  [
    "Claim, 10 s",
    `p50 ${claimTime(worker.claim.recent, "p50Millis")}, p99 ${claimTime(worker.claim.recent, "p99Millis")}, max ${
      claimTime(worker.claim.recent, "maxMillis")
    }`
  ],
  [
    "Claim, all",
    `p50 ${claimTime(worker.claim.all, "p50Millis")}, p99 ${claimTime(worker.claim.all, "p99Millis")}, max ${
      claimTime(worker.claim.all, "maxMillis")
    }`
  ],
  [
    "Loop, CPU",
    known(
      worker.thread,
      ({ processors, utilization }) => `${percent(utilization)}, ${processors.toFixed(2)} processors`
    )
  ],
  ["Heap", known(worker.thread, ({ heapLimit, heapUsed }) => part(heapUsed, heapLimit, bytes))],
  ["Sessions", `${part(worker.sessions.now, worker.sessions.limit)}, highest ${number(worker.sessions.highest)}`],
  ["Memory", `${part(worker.memory.now, worker.memory.limit, bytes)}, ${worker.memoryState}`],
  ["Queue", `${part(worker.queue.now, worker.queue.limit)} slots, highest ${number(worker.queue.highest)}`],
  [
    "Postponed",
    `${number(worker.postponed.now)} (${bytes(worker.postponed.bytes)}), highest ${number(worker.postponed.highest)}`
  ],
  ["Offers", `${number(worker.offered)} made, ${number(worker.claimed)} claimed, ${number(worker.revoked)} revoked`],
  ["Traffic", `${bytes(worker.bytesIn)} in, ${bytes(worker.bytesOut)} out`],
  ["Restarts", `${number(worker.restarts)}${worker.lastFailure === null ? "" : `, last: ${worker.lastFailure}`}`],
  [
    "Before it",
    worker.formers === 0
      ? NOTHING
      : `${things(worker.formers, "generation")} with ${things(worker.formerSessions, "session")}`
  ]
]

const openWorker = (key) => {
  const worker = find(key)
  if (worker === undefined) return
  const list = make("dl")
  dialog.open(`Worker ${worker.worker} of ${worker.app}`, [list], [
    button("Events", () => {
      dialog.close()
      filterEvents(workerName(worker))
    }),
    button("Sessions", () => openSessions(worker)),
    button("Restart", () => confirm(acts.restart(worker))),
    button("Restart now", () => confirm(acts.restartNow(worker))),
    button("Drain", () => confirm(acts.drain(worker))),
    cancel("Close")
  ])
  opened = { key, list }
  drawOpened()
}

export const drawOpened = () => {
  if (opened === undefined || !opened.list.isConnected || !place("dialog").open) return
  const worker = find(opened.key)
  if (worker === undefined) return void dialog.tell("bad", "this worker is no longer there")
  for (const [index, [name, words]] of facts(worker).entries()) {
    if (opened.list.children[2 * index] === undefined) opened.list.append(make("dt"), make("dd"))
    say(opened.list.children[2 * index], name)
    say(opened.list.children[2 * index + 1], words)
  }
}

export const drawWorkers = (overview) => {
  workerTable.draw(seen.inOrder)
  const running = overview.workers.filter(({ state }) => state === "RUNNING").length
  say(place("worker-count"), `${running} of ${things(overview.workers.length, "worker")} run, worst first`)
}
