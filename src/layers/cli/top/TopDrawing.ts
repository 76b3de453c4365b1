/**
 * The screen of `top`, as lines: from what is known of the host, what was chosen, and how large the screen is.
 *
 * Places are fixed, worst comes first, each number has its unit, and what a colour says a word says, too.
 */
import type { History } from "../../../domain/overview/History.ts"
import type * as Overview from "../../../domain/overview/Overview.ts"
import type * as Report from "../../../domain/report/Report.ts"
import { sessionLimit } from "../../../services/ControlApi.ts"
import { clock, folded, grouped, plural, printable, time } from "../Words.ts"
import { bar, bytes, count, rate, span, sparkline } from "./ScreenNumbers.ts"
import { cell, fit, padded, type ScreenLine, type Style, widthOf } from "./ScreenText.ts"
import { commandOf, confirmation } from "./TopActions.ts"
import type { TopChoice } from "./TopChoice.ts"
import * as TopColumns from "./TopColumns.ts"
import { listenersOf, orders, workersOf } from "./TopRows.ts"

/** What is drawn. */
export interface Frame {
  readonly history: History
  readonly view: TopChoice
  /** Milliseconds since the host has answered, once that is longer than it should be; and what is wrong, if that is known. */
  readonly stale: { readonly millis: number; readonly why: string | undefined } | undefined
  /** Milliseconds between two looks; absent where there is only one. */
  readonly interval: number | undefined
  readonly sessions: Report.SessionsReport | undefined
  /** The path of the control socket, where it was given. */
  readonly control: string | undefined
}

export interface ScreenSize {
  readonly columns: number
  readonly rows: number
}

const line = (text: string, style?: Style): ScreenLine => [{ text, style }]

/** A line with something at each end. */
const ends = (left: ScreenLine, right: ScreenLine, width: number): ScreenLine => {
  const widthOfLine = (line: ScreenLine) => line.reduce((sum, { text }) => sum + widthOf(text), 0)
  const room = width - widthOfLine(right)
  const shown = fit(left, Math.max(0, room - 1))
  return fit([...shown, { text: " ".repeat(Math.max(0, room - widthOfLine(shown))) }, ...right], width)
}

// ---- the head

const LIVE: ScreenLine = [{ text: "● live", style: "ok" }]

const title = ({ history: { latest: { host } }, interval, stale }: Frame, width: number): ScreenLine => {
  const up = host.generation === 1
    ? `up ${time(host.upMillis)}`
    : `gen ${host.generation}, up ${time(host.upMillis)} (all ${time(host.allUpMillis)})`
  const state: ScreenLine = stale === undefined
    ? LIVE
    : [{ text: `○ stale ${Math.floor(stale.millis / 1000)} s`, style: "bad" }]
  return ends(
    [
      { text: `sluice ${printable(host.version)}`, style: "strong" },
      { text: `  ${printable(host.machine)} ${host.pid}  ${up}` }
    ],
    interval === undefined ? [] : [{ text: `every ${time(interval)}  `, style: "dim" }, ...state],
    width
  )
}

const words: Readonly<Record<Overview.Level, string>> = { ok: "OK", warning: "WARNING", bad: "BAD" }

/** The findings, gravest first, in exactly so many lines; how many are left stands at the end of the last. */
const findings = ({ history: { latest }, stale }: Frame, lines: number, width: number): ReadonlyArray<ScreenLine> => {
  const old = stale === undefined ? [] : [{
    style: "bad" as const,
    text: `STALE: the host does not answer, and this is how it was${stale.why === undefined ? "" : `; ${stale.why}`}`
  }]
  const all = [
    ...old,
    ...latest.findings.map(({ level, text }) => ({ style: level, text: `${words[level]}: ${text}` }))
  ]
  const shown: Array<ScreenLine> = []
  let told = 0
  for (const { style, text } of all) {
    if (shown.length >= lines) break
    told++
    for (const [at, part] of folded(printable(text), width - 2).entries()) {
      if (shown.length < lines) shown.push([{ text: padded(at === 0 ? part : `  ${part}`, width), style }])
    }
  }
  const more = all.length - told
  if (more > 0) shown[lines - 1] = ends(shown[lines - 1]!, [{ text: ` +${more} more` }], width)
  return [...shown, ...Array.from({ length: lines - shown.length }, (): ScreenLine => [])]
}

const RECENT_WORDS = "in 10 s"

/** Columns that bars need to have, so that the times of held connections fit below them as a whole. */
const HOLD_WIDTH = 33

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, one) => sum + one, 0)

const pair = (brief: Overview.Brief): string => `p50 ${span(brief.p50Millis).padEnd(7)} p99 ${span(brief.p99Millis)}`

/** Four lines of numbers: how it does for clients, and how much room is left. */
const numbers = ({ arrived, arrivedHighest, latest, rates }: History, width: number): ReadonlyArray<ScreenLine> => {
  const { claim, held, hold, imbalances, lost, memory, refused, sessions, totals } = latest
  const left = Math.min(52, Math.floor(width / 2) - 1)
  const barWidth = Math.min(40, width - left - 42)
  const gauge = (name: string, of: Overview.Gauge, format: (value: number) => string): ScreenLine => [
    { text: cell(name, 9) },
    {
      text: cell(format(of.now), 7, { right: true }),
      style: of.limit > 0 && of.now >= 0.9 * of.limit ? "bad" : "strong"
    },
    { text: `  max ${cell(format(of.highest), 7, { right: true })} of ${cell(format(of.limit), 7)}` },
    ...(barWidth < 5 ? [] : [{ text: bar(of.now, of.highest, of.limit, barWidth), style: "dim" as const }])
  ]
  const recent = sum(refused.recent)
  const both = (start: ScreenLine, end: ScreenLine): ScreenLine => {
    const shown = fit(start, left)
    const used = shown.reduce((sum, { text }) => sum + widthOf(text), 0)
    return fit([...shown, { text: " ".repeat(left + 1 - used) }, ...end], width)
  }
  const sparks = Math.max(0, left - 27)
  return [
    both(
      [
        { text: cell("conn/s", 8) },
        { text: `${cell(rate(rates?.arrived), 5, { right: true })} `, style: "strong" },
        {
          text: `${sparkline(arrived, arrivedHighest, sparks)} max ${
            rate(arrived.length === 0 ? undefined : arrivedHighest)
          }`
        }
      ],
      gauge("sessions", sessions, count)
    ),
    both(line(`${cell("claim", 8)}${pair(claim.recent)}`), gauge("held", held, count)),
    both(
      [
        { text: cell("refused", 8) },
        { text: `${count(recent)} ${RECENT_WORDS}`, style: recent > 0 ? "bad" : undefined },
        { text: `, ${count(sum(refused.all))} in all` }
      ],
      gauge("memory", memory, bytes)
    ),
    both(
      line(
        `${cell("bytes/s", 8)}${rates === undefined ? "-" : `in ${bytes(rates.bytesIn)}  out ${bytes(rates.bytesOut)}`}`
      ),
      [
        { text: cell("lost", 9) },
        { text: cell(count(lost.all), 7, { right: true }), style: lost.recent > 0 ? "bad" : undefined },
        { text: `  moved ${cell(count(totals.moved), 5, { right: true })}  ` },
        imbalances.length === 0 ? { text: "ledger ok" } : { text: "ledger WRONG", style: "bad" },
        ...(hold.recent.count === 0 || barWidth < HOLD_WIDTH ? [] : [{ text: `   hold ${pair(hold.recent)}` }])
      ]
    )
  ]
}

// ---- the foot

const keys: Readonly<Record<TopChoice["page"], string>> = {
  main: "? help  / filter  o order  s sessions  l listeners  r reload  R restart  d drain  w why  q quit",
  listeners: "? help  / filter  ↑↓ scroll  l workers  s sessions  q quit  Esc back",
  sessions: "? help  / filter  o order  n next  p before  ↑↓ select  c close  w why  Esc back",
  why: "↑↓ scroll  Esc back",
  help: "↑↓ scroll  Esc back"
}

const keysFor = (page: TopChoice["page"], width: number): string => {
  const text = keys[page]
  return widthOf(text) <= width ? text : text.replace("s sessions  l listeners", "s l more")
}

/** The most lines that a sentence at the bottom has. */
const SENTENCE = 3

/** The lines at the bottom: what is asked, typed or said, or else the keys. */
const foot = ({ control, history: { latest }, view }: Frame, width: number): ReadonlyArray<ScreenLine> => {
  if (view.asked !== undefined) {
    return [
      line(cell(confirmation(view.asked, latest).question, width), "strong"),
      line(cell(`the same as: ${commandOf(view.asked, control)}`, width), "dim"),
      line("y yes   any other key no", "strong")
    ]
  }
  if (view.typing !== undefined) {
    return [line(`filter: ${cell(view.typing, Math.max(0, width - 10)).trimEnd()}_`, "strong")]
  }
  const { said } = view
  if (said !== undefined) {
    return folded(printable(said.text), width).slice(0, SENTENCE).map((text) => line(text, said.level))
  }
  return [line(keysFor(view.page, width), "dim")]
}

// ---- pages

/** As many of the rows as have room, with the one at `at` among them; and how many there are besides. */
const windowed = <A>(rows: ReadonlyArray<A>, room: number, at: number): ReadonlyArray<A> => {
  const from = Math.max(0, Math.min(at - room + 1, rows.length - room))
  return rows.slice(from, from + room)
}

/** What stands over a table of which not all has room, or is let pass. */
const note = (what: string, shown: number, passed: number, all: number, filter: string): string => {
  const parts = [
    ...(shown < passed ? [`${shown} of ${passed} ${what}`] : []),
    ...(passed < all ? [`filter "${printable(filter)}" hides ${all - passed}`] : [])
  ]
  return parts.join(", ")
}

/** The last cell of a line is replaced by a note. */
const noted = (head: ScreenLine, text: string, width: number): ScreenLine =>
  text === "" ? head : ends(head, [{ text: ` ${text} `, style: "strong" }], width)

const workerTable = ({ history, view }: Frame, room: number, width: number): ReadonlyArray<ScreenLine> => {
  const { latest } = history
  const rows = workersOf(latest, view)
  const shown = windowed(rows, room, rows.findIndex(({ handle }) => handle === view.worker))
  const [head = [], ...lines] = TopColumns.table(
    TopColumns.workers,
    shown.map((worker) => ({ worker, history })),
    width,
    { isSelected: ({ worker }) => worker.handle === view.worker, sorted: orders[view.order]!.head }
  )
  const text = note("workers", shown.length, rows.length, latest.workers.length, view.typing ?? view.filter)
  return [noted(head, text, width), ...lines]
}

const listenerTable = (frame: Frame, from: number, room: number, width: number): ReadonlyArray<ScreenLine> => {
  const { history, view } = frame
  const rows = listenersOf(history.latest, view)
  const shown = rows.slice(from, from + room)
  const [head = [], ...lines] = TopColumns.table(
    TopColumns.listeners,
    shown.map((listener) => ({ listener, history })),
    width
  )
  const text = note("listeners", shown.length, rows.length, history.latest.listeners.length, view.typing ?? view.filter)
  return [noted(head, text, width), ...lines]
}

const eventTable = ({ events }: Overview.Overview, room: number, width: number): ReadonlyArray<ScreenLine> => [
  line(` ${cell("Events, in UTC", width - 1)}`, "head"),
  ...events.slice(0, room).map((event): ScreenLine => {
    const about = event.app === null ? "host" : event.worker === null ? event.app : `${event.app} ${event.worker}`
    return [
      { text: ` ${clock(event.time).slice(0, 8)}  `, style: "dim" },
      { text: `${cell(about, 10)} ${cell(event.text, Math.max(0, width - 22))}` }
    ]
  })
]

/** Workers get what they need, listeners a little, and events what is left; all of them something. */
const main = (frame: Frame, room: number, width: number): ReadonlyArray<ScreenLine> => {
  const { latest } = frame.history
  const heads = 3
  const rows = Math.max(0, room - heads)
  const listeners = Math.min(Math.max(1, listenersOf(latest, frame.view).length), Math.max(1, Math.floor(rows / 5)))
  const events = Math.min(4, Math.max(0, rows - listeners - 1))
  const workers = Math.max(1, Math.min(Math.max(1, latest.workers.length), rows - listeners - events))
  return [
    ...workerTable(frame, workers, width),
    ...listenerTable(frame, 0, listeners, width),
    ...eventTable(latest, Math.max(0, rows - workers - listeners), width)
  ].slice(0, room)
}

const reasons = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts).sort(([, a], [, b]) => b - a).map(([reason, count]) => `${reason} ${count}`).join(", ") ||
  "none"

/** Every listener, and below them why connections were refused. */
const listeners = (frame: Frame, room: number, width: number): ReadonlyArray<ScreenLine> => {
  const { latest } = frame.history
  const rows = listenersOf(latest, frame.view)
  const below: ReadonlyArray<ScreenLine> = [
    [],
    line(cell(`refused in the last 10 s: ${reasons(latest.refused.recent)}`, width)),
    line(cell(`refused in all: ${reasons(latest.refused.all)}`, width)),
    ...rows.flatMap(({ imbalances }) => imbalances.map((text) => line(cell(`ledger${text}`, width), "bad")))
  ]
  const room4 = Math.max(1, room - below.length - 1)
  return [
    ...listenerTable(frame, Math.min(frame.view.above, Math.max(0, rows.length - room4)), room4, width),
    ...below
  ].slice(0, room)
}

const sessions = (frame: Frame, room: number, width: number): ReadonlyArray<ScreenLine> => {
  const { sessions: report, view } = frame
  if (report === undefined) return [line("asking for sessions …", "dim")]
  const { next, sessions, total } = report
  const shown = windowed(sessions, Math.max(1, room - 2), sessions.findIndex(({ handle }) => handle === view.session))
  const search = view.typing ?? view.filter
  const before = view.pages.length * sessionLimit.page
  const isAll = before === 0 && next === undefined
  const all = total ?? sessions.length
  const parts = [
    (isAll
      ? plural(all, "session")
      : `${before === 0 ? "" : `${grouped(before + 1)} to `}${grouped(before + sessions.length)} of ${
        plural(all, "session")
      }`)
    + (view.of === undefined ? "" : ` of worker ${view.of}`)
    + (search === "" ? "" : ` with "${printable(search)}"`),
    `by ${view.sort}${view.sortReversed ? ", the other way round" : ""}`,
    ...(next === undefined ? [] : ["n shows more"])
  ]
  return [
    line(` ${cell(parts.join(", "), width - 1)}`),
    ...TopColumns.table(TopColumns.sessions, shown, width, {
      isSelected: ({ handle }) => handle === view.session,
      sorted: TopColumns.headOf[view.sort]
    })
  ]
}

/** What the keys do, as the help page and the documentation have it. */
export const help: ReadonlyArray<readonly [keys: string, does: string]> = [
  ["↑ ↓ j k, PgUp PgDn, g G", "select a worker or a session; scroll"],
  ["Enter, s", "sessions of the selected worker, or of all"],
  ["l", "listeners, and why connections were refused"],
  ["w", "why: the story of the selected worker or session"],
  ["/", "filter by application, handle, state, endpoint or address; Esc shows all again"],
  ["o, O", "order workers, or sessions, by the next column; the other way round"],
  ["n, p", "the next page of sessions; the one before"],
  ["r", "reload the application of the selected worker"],
  ["R", "restart the selected worker"],
  ["d", "drain the selected worker, and delete it then"],
  ["c", "close the selected session"],
  ["Space", "look now"],
  ["?, h", "these keys"],
  ["Esc", "back"],
  ["q, Ctrl-C", "quit"],
  ["Ctrl-Z", "suspend; fg goes on"]
]

const meanings: ReadonlyArray<readonly [word: string, means: string]> = [
  ["State", "STUCK: behind for 2 s; CONGESTED: gets no sessions before it has caught up"],
  ["Behind", "since when it has let an offer run out, or taken no message while some wait"],
  ["Claim p99", "99 of 100 offers were claimed within this, in the last 10 s"],
  ["Loop", "how much of the last half second the worker's loop was busy"],
  ["Busy", "the same over time, the latest on the right"],
  ["Postp", "messages that wait for room in the worker's queue"],
  ["Revoked", "offers that were not claimed in time, and went to another worker"]
]

const read = (lines: ReadonlyArray<ScreenLine>, above: number, room: number): ReadonlyArray<ScreenLine> => {
  const from = Math.min(above, Math.max(0, lines.length - room))
  return lines.slice(from, from + room)
}

/** How many lines of a page that is read there are. */
const lengthOf = ({ history: { latest }, view }: Frame, width: number): number => {
  switch (view.page) {
    case "help":
      return helpLines(width).length
    case "why":
      return storyLines(view, width).length
    case "listeners":
      return listenersOf(latest, view).length
    default:
      return 0
  }
}

const helpLines = (width: number): ReadonlyArray<ScreenLine> => {
  const rows = (all: ReadonlyArray<readonly [string, string]>, margin: number) =>
    all.map(([name, text]): ScreenLine => [
      { text: ` ${cell(name, margin)}`, style: "strong" },
      { text: cell(` ${text}`, Math.max(0, width - margin - 1)) }
    ])
  return [
    line(` ${cell("Keys", width - 1)}`, "head"),
    ...rows(help, 24),
    [],
    line(` ${cell("Columns", width - 1)}`, "head"),
    ...rows(meanings, 10)
  ]
}

const storyLines = ({ story }: TopChoice, width: number): ReadonlyArray<ScreenLine> => [
  line(` ${cell(`Why: the story of ${story?.of ?? ""}`, width - 1)}`, "head"),
  ...(story?.lines === undefined
    ? [line("asking the host …", "dim")]
    : story.lines.map((text) => line(padded(text, width))))
]

const page = (frame: Frame, room: number, width: number): ReadonlyArray<ScreenLine> => {
  const { view } = frame
  switch (view.page) {
    case "main":
      return main(frame, room, width)
    case "listeners":
      return listeners(frame, room, width)
    case "sessions":
      return sessions(frame, room, width)
    case "why":
      return read(storyLines(view, width), view.above, room)
    case "help":
      return read(helpLines(width), view.above, room)
  }
}

// ---- the screen

/** From this many rows on there is room for three findings. */
const TALL = 30

/** The head of the screen: what is so on all pages. */
const top = (frame: Frame, { columns, rows }: ScreenSize): ReadonlyArray<ScreenLine> => [
  title(frame, columns),
  ...findings(frame, rows >= TALL ? 3 : rows < 12 ? 1 : 2, columns),
  ...(rows < 12 ? [] : numbers(frame.history, columns))
]

/** The lines of a screen, exactly as many as it has rows. */
export const draw = (frame: Frame, screen: ScreenSize): ReadonlyArray<ScreenLine> => {
  const { columns, rows } = screen
  const above = top(frame, screen)
  const below = foot(frame, columns).map((line) => fit(line, columns))
  const room = Math.max(0, rows - above.length - below.length)
  const body = page(frame, room, columns).slice(0, room)
  const blank = Array.from({ length: Math.max(0, room - body.length) }, (): ScreenLine => [])
  const whole = [...above, ...body, ...blank, ...below].map((line) => fit(line, columns))
  // of a screen that is too low for both, the end, where somebody may be asked something
  return whole.length <= rows ? whole : [...whole.slice(0, Math.max(0, rows - below.length)), ...below].slice(-rows)
}

/** The same facts for a printout: as many lines as it takes. */
export const print = (frame: Frame, columns: number): ReadonlyArray<ScreenLine> => {
  const { latest } = frame.history
  const count = latest.workers.length
  return [
    title(frame, columns),
    ...latest.findings.flatMap((finding) =>
      folded(printable(`${words[finding.level]}: ${finding.text}`), columns - 2).map((text, at) =>
        line(at === 0 ? text : `  ${text}`, finding.level)
      )
    ),
    ...numbers(frame.history, columns),
    [],
    ...workerTable(frame, Math.max(1, count), columns),
    [],
    ...listenerTable(frame, 0, Infinity, columns),
    [],
    ...eventTable(latest, Infinity, columns)
  ].map((line) => fit(line, columns))
}

/** By how many rows a page moves at once, and how many of its lines may be above the screen at most. */
export const scrolling = (
  frame: Frame,
  { columns, rows }: ScreenSize
): { readonly rows: number; readonly above: number } => {
  const page = Math.max(1, rows - top(frame, { columns, rows }).length - 2)
  return { rows: page, above: Math.max(0, lengthOf(frame, columns) - page) }
}
