/** The page: what is drawn where, from the latest overview and what the page remembers. */
import { acts, askForToken, button, cancel, confirm, dialog } from "./actions.js"
import { History, keyOf, rankOf } from "./history.js"
import { ask, follow, token } from "./live.js"
import { Chart, Gauge, make, say, set, Spark, Strip } from "./pictures.js"
import { column, Table, text } from "./tables.js"
import { bytes, clock, known, NOTHING, number, part, percent, rate, things, time } from "./words.js"

const place = (name) => document.getElementById(name)
const seen = new History()

/** Milliseconds without an overview after which what is shown is old. */
const STALE = 2500
/** Rows of workers from which pictures are smaller. */
const MANY = 12

const samplesOf = (worker) => seen.workers.get(keyOf(worker)) ?? []
const ofSamples = (samples, name) => samples.map((sample) => sample?.[name] ?? null)
const ofAll = (name) => ofSamples(seen.all, name)

// ---- the verdict

/** A screen reader is told of another verdict, and not of each second for which it lasts. */
const gist = ({ level, text }) => level + text.replace(/[\d.]+/g, "")
let told = ""

const drawVerdict = ({ findings, verdict }) => {
  set(place("verdict"), "data-level", verdict.level)
  say(place("level"), verdict.level === "ok" ? "All is well" : verdict.level)
  say(place("sentence"), verdict.text)
  const others = findings.slice(1)
  const list = place("findings")
  while (list.children.length > others.length) list.lastElementChild.remove()
  for (const [index, { level, text }] of others.entries()) {
    const item = list.children[index] ?? list.appendChild(make("li"))
    item.className = `level-${level}`
    say(item, text)
  }
  if (gist(verdict) === told) return
  told = gist(verdict)
  say(place("told"), `${verdict.level}: ${verdict.text}`)
  document.title = verdict.level === "ok" ? "sluice" : `${verdict.level}: ${verdict.text} – sluice`
}

const drawHost = ({ apps, host }) => {
  const names = apps.map(({ generation, name }) => `${name} gen ${generation}`).join(", ")
  const formers = host.formers === 0
    ? ""
    : ` · ${things(host.formers, "host")} before it with ${things(host.formerSessions, "session")}`
  const all = host.generation === 1 ? "" : `, all ${time(host.allUpMillis)}`
  say(
    place("host"),
    `${names || "no application"} · ${host.machine} pid ${host.pid} · ${host.version} · up ${
      time(host.upMillis)
    }${all}${formers}`
  )
}

// ---- figures

/** What a figure is: its name, and from an overview its text, what stands under it, and its picture of the last minute. */
const figures = [
  ["Connections", (_, now) => rate(now.arrived), ({ totals }) => `${number(totals.arrived)} in all`, "arrived", rate],
  [
    "Sessions",
    ({ sessions }) => number(sessions.now),
    ({ sessions }) => `highest ${number(sessions.highest)} of ${number(sessions.limit)}`,
    "sessions",
    number
  ],
  [
    "Held",
    ({ held }) => number(held.now),
    ({ held }) => `highest ${number(held.highest)} of ${number(held.limit)}`,
    "held",
    number
  ],
  [
    "Refused, last 10 s",
    ({ refused }) => number(sum(refused.recent)),
    ({ refused }) => `${number(sum(refused.all))} in all`,
    "refused",
    rate
  ],
  [
    "Offer to claim, p99",
    ({ claim }) => claimTime(claim.recent, "p99Millis"),
    ({ claim }) => `p50 ${claimTime(claim.recent, "p50Millis")} · most ${time(claim.all.maxMillis)}`,
    "p99",
    time
  ],
  [
    "Traffic",
    (_, now) => `${bytes(now.bytesIn)}/s in`,
    (_, now) => `${bytes(now.bytesOut)}/s out`,
    "bytesOut",
    (value) => `${bytes(value)}/s`
  ]
]

const sum = (counts) => Object.values(counts).reduce((sum, count) => sum + count, 0)
const claimTime = (brief, name) => brief.count === 0 ? NOTHING : time(brief[name])

const tiles = figures.map(([title, figure, under, name, words]) => {
  const big = make("p", { class: "figure" })
  const small = make("p")
  const spark = new Spark()
  place("tiles").append(make("div", { class: "tile" }, make("h3", {}, title), big, small, spark.element))
  return (overview) => {
    say(big, figure(overview, seen.rates))
    say(small, under(overview, seen.rates))
    spark.draw(title, ofAll(name), words)
  }
})

// ---- workers

const CLAIM = "From offer to claim, in the last ten seconds"

const workerName = ({ app, worker }) => `${app} ${worker}`

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
    const samples = samplesOf(worker)
    const over = samples.map((sample) => sample !== null && sample.congested > 0)
    spark.draw(`loop of ${workerName(worker)}`, ofSamples(samples, "loop"), percent, 1, over)
  }
}

const workers = new Table(
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

const find = (key) => seen.overview?.workers.find((worker) => keyOf(worker) === key)

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

const drawOpened = () => {
  if (opened === undefined || !opened.list.isConnected || !place("dialog").open) return
  const worker = find(opened.key)
  if (worker === undefined) return void dialog.tell("bad", "this worker is no longer there")
  for (const [index, [name, words]] of facts(worker).entries()) {
    if (opened.list.children[2 * index] === undefined) opened.list.append(make("dt"), make("dd"))
    say(opened.list.children[2 * index], name)
    say(opened.list.children[2 * index + 1], words)
  }
}

const openSessions = async (worker) => {
  if (token.get() === undefined && !(await askForToken("Sessions are shown to whoever has the host's token"))) return
  try {
    const { sessions, total } = await ask("GET", `/v1/sessions?worker=${worker.handle}&limit=100`)
    const table = make("table")
    const rows = new Table(table, [
      text("Session", ({ handle }) => handle),
      text("Peer", ({ remote }) => remote ?? NOTHING),
      text("State", ({ state }) => state, "middle"),
      column("", (cell) => {
        let session
        cell.append(
          button("Close", () => confirm(acts.closeSession(session))),
          " ",
          button("Reset", () => confirm(acts.resetSession(session)))
        )
        return (next) => void (session = next)
      })
    ], ({ handle }) => handle)
    rows.draw(sessions)
    const shown = total > sessions.length ? `, the first ${sessions.length} of them` : ""
    dialog.open(`Sessions of worker ${worker.worker} of ${worker.app}`, [
      make("p", { class: "dim" }, `${things(total ?? sessions.length, "session")}${shown}`),
      make("div", { class: "scroll" }, table)
    ], [cancel("Close")])
  } catch (error) {
    if (error.status !== 401) return void dialog.tell("bad", error.message)
    token.forget()
    if (await askForToken(error.message)) await openSessions(worker)
  }
}

// ---- the last minute

const strips = new Map()

/** In the order of applications and numbers: a row here is a worker for as long as it is there. */
const drawStrips = ({ workers }) => {
  const there = new Set()
  for (const worker of workers.toSorted((a, b) => a.appIndex - b.appIndex || a.worker - b.worker)) {
    const key = keyOf(worker)
    there.add(key)
    let row = strips.get(key)
    if (row === undefined) {
      row = { name: make("span"), strip: new Strip(), share: make("span", { class: "share" }) }
      strips.set(key, row)
    }
    say(row.name, workerName(worker))
    say(row.share, percent(row.strip.draw(workerName(worker), ofSamples(samplesOf(worker), "congested"))))
  }
  for (const [key] of strips) if (!there.has(key)) strips.delete(key)
  const shown = [...there].flatMap((key) => {
    const { name, share, strip } = strips.get(key)
    return [name, strip.element, share]
  })
  const list = place("strips")
  list.toggleAttribute("data-many", there.size > MANY)
  if (shown.length !== list.children.length || shown.some((element, index) => element !== list.children[index])) {
    list.replaceChildren(...shown)
  }
}

const connections = new Chart(place("connections"), "Connections per second", ["claimed", "revoked", "refused"], rate)
const latency = new Chart(place("latency"), "From offer to claim", ["p50", "p99"], time)

// ---- listeners, room, refusals, applications

const gauge = (of, words = number) => (cell) => {
  const one = new Gauge()
  cell.append(one.element)
  return (item) => {
    const { highest, limit, now } = of(item)
    one.draw(now, highest, limit, `${words(now)} / ${words(limit)}`)
  }
}

const listenerRate = (name) => ({ handle }) => rate(seen.listeners.get(handle)?.[name] ?? 0)

const balance = ({ imbalances }) => imbalances.length === 0 ? "✓ balances" : `✗ ${imbalances.join("; ")}`

const acting = (...buttons) => (cell) => {
  let item
  for (const [words, act] of buttons) cell.append(button(words, () => confirm(act(item))), " ")
  return (next) => void (item = next)
}

const listeners = new Table(
  place("listeners"),
  [
    text("Listener", ({ endpoint }) => endpoint),
    text("Application", ({ app }) => app, "middle"),
    text("Arrive", listenerRate("arrived"), "number"),
    text("Offered", ({ offered }) => number(offered), "number middle"),
    text("Claimed", ({ claimed }) => number(claimed), "number middle"),
    text("Revoked", ({ revoked }) => number(revoked), "number"),
    text("Moved", ({ moved }) => number(moved), "number middle"),
    text("Refused", ({ refused }) => number(sum(refused.all)), "number"),
    text("Claim p99", ({ claim }) => claimTime(claim.recent, "p99Millis"), "number middle", CLAIM),
    text(
      "Hold p99",
      ({ hold }) => claimTime(hold.recent, "p99Millis"),
      "number wide",
      "How long connections waited for a worker, in the last ten seconds"
    ),
    text("Sessions", ({ sessions }) => part(sessions.now, sessions.limit), "number middle"),
    text("Held", ({ held }) => part(held.now, held.limit), "number"),
    text(
      "Ledger",
      balance,
      "middle",
      "Every connection that arrived has been claimed, refused, moved, or is still there"
    ),
    column("", acting(["Close", acts.unlisten]), "middle")
  ],
  ({ handle }) => handle,
  ({ imbalances }) => imbalances.length === 0 ? 0 : 2
)

const room = new Table(place("room"), [
  text("What", ({ name }) => name),
  text("Now", ({ gauge, words }) => words(gauge.now), "number"),
  text("Highest", ({ gauge, words }) => words(gauge.highest), "number"),
  text("Limit", ({ gauge, words }) => words(gauge.limit), "number"),
  column("Used", (cell) => {
    const one = new Gauge()
    cell.append(one.element)
    return ({ gauge: { highest, limit, now } }) =>
      one.draw(now, highest, limit, limit === 0 ? NOTHING : percent(now / limit))
  }, "picture")
], ({ name }) => name)

const roomOf = ({ apps, held, memory, sessions, workers }) => [
  { name: "Sessions", gauge: sessions, words: number },
  ...(apps.length < 2
    ? []
    : apps.map(({ name, sessions }) => ({ name: `Sessions of ${name}`, gauge: sessions, words: number }))),
  { name: "Held connections", gauge: held, words: number },
  { name: "Shared memory", gauge: memory, words: bytes },
  { name: "Slots of the fullest queue", gauge: fullest(workers.map(({ queue }) => queue)), words: number }
]

const fullest = (gauges) =>
  gauges.reduce((most, one) => one.now * most.limit >= most.now * one.limit ? one : most, {
    now: 0,
    highest: 0,
    limit: 0
  })

const refusals = new Table(
  place("refusals"),
  [
    text("Reason", ({ reason }) => reason),
    text("Last 10 s", ({ recent }) => number(recent), "number tone"),
    text("In all", ({ all }) => number(all), "number")
  ],
  ({ reason }) => reason,
  ({ recent }) => recent > 0 ? 2 : 0
)

const refusalsOf = ({ lost, refused }) => [
  ...Object.entries(refused.all).map(([reason, all]) => ({ reason, all, recent: refused.recent[reason] ?? 0 })),
  ...(lost.all === 0 ? [] : [{ reason: "lost with their worker", ...lost }])
]

const apps = new Table(place("apps"), [
  text("Application", ({ name }) => name),
  text("Generation", ({ generation, reloading }) => `${generation}${reloading ? ", reloading" : ""}`, "number middle"),
  text("Workers", ({ running, workers }) => `${running} of ${workers} run`),
  column("Sessions", gauge(({ sessions }) => sessions), "middle"),
  column("", acting(["Reload", acts.reload], ["Add a worker", acts.add]))
], ({ name }) => name)

// ---- events

const filter = place("filter")

const filterEvents = (words) => {
  filter.value = words
  drawEvents()
  filter.scrollIntoView({ block: "center" })
  filter.focus()
}

const lineOf = (event) => {
  const subject = event.app === null ? "" : event.worker === null ? event.app : `${event.app} ${event.worker}`
  return { ...event, subject, whole: `${event.kind} ${subject} ${event.text}`.toLowerCase() }
}

const lines = new Map()

const drawEvents = () => {
  const wanted = filter.value.toLowerCase().split(/\s+/).filter((word) => word !== "")
  const phrase = filter.value.trim().toLowerCase()
  const shown = seen.latest.map(lineOf).filter(({ whole }) =>
    whole.includes(phrase) || wanted.every((word) => whole.includes(word))
  )
  const list = place("events")
  const there = new Set(shown.map(({ serial }) => serial))
  for (const [serial, element] of lines) {
    if (there.has(serial)) continue
    element.remove()
    lines.delete(serial)
  }
  let before = list.firstElementChild
  for (const { kind, serial, subject, text, time } of shown) {
    let element = lines.get(serial)
    if (element === undefined) {
      element = make(
        "li",
        {},
        make("time", { datetime: new Date(time).toISOString() }, clock(time)),
        make("span", { class: "kind" }, kind),
        make("span", { class: "text" }, subject === "" ? text : `${subject}: ${text}`)
      )
      lines.set(serial, element)
    }
    if (element === before) before = element.nextElementSibling
    else list.insertBefore(element, before)
  }
}

filter.addEventListener("input", drawEvents)

// ---- all of it

const draw = (overview) => {
  drawVerdict(overview)
  drawHost(overview)
  for (const tile of tiles) tile(overview)
  workers.draw(seen.inOrder)
  const running = overview.workers.filter(({ state }) => state === "RUNNING").length
  say(place("worker-count"), `${running} of ${things(overview.workers.length, "worker")} run, worst first`)
  drawStrips(overview)
  connections.draw([ofAll("claimed"), ofAll("revoked"), ofAll("refused")])
  latency.draw([ofAll("p50"), ofAll("p99")])
  listeners.draw(overview.listeners)
  room.draw(roomOf(overview))
  const refused = refusalsOf(overview)
  refusals.draw(refused)
  place("refusals").hidden = refused.length === 0
  place("no-refusals").hidden = refused.length > 0
  apps.draw(overview.apps)
  drawEvents()
  drawOpened()
}

// ---- live, or not

let heardAt = performance.now()

const drawLive = () => {
  const age = performance.now() - heardAt
  const isLive = seen.overview !== undefined && age < STALE
  set(place("live"), "data-live", isLive ? "yes" : "no")
  say(place("live"), isLive ? "live" : seen.overview === undefined ? "connecting" : `stale ${Math.floor(age / 1000)} s`)
}

setInterval(drawLive, 500)

const heard = (kind, data) => {
  if (kind === "viewers") {
    const cut = data.cut === 0 ? "" : `; ${things(data.cut, "viewer")} cut off for taking nothing`
    return say(place("viewers"), `${things(data.now, "viewer")} of this page${cut}`)
  }
  if (kind !== "overview") return
  heardAt = performance.now()
  seen.add(data)
  draw(data)
  drawLive()
}

// ---- keys

const openKeys = () => {
  const keys = [
    ["j k ↓ ↑", "another worker"],
    ["Enter", "all about the worker"],
    ["R", "restart the worker"],
    ["d", "drain the worker"],
    ["s", "its sessions"],
    ["w", "its events"],
    ["r", "reload its application"],
    ["/", "filter the events"],
    ["Esc", "close what is open"],
    ["?", "these keys"]
  ]
  dialog.open("Keys", [
    make("dl", {}, ...keys.flatMap(([key, what]) => [make("dt", {}, make("kbd", {}, key)), make("dd", {}, what)]))
  ], [cancel("Close")])
}

/** The worker whose row has the focus, or the first one. */
const chosen = () => {
  const key = document.activeElement?.closest("#workers tr")?.dataset.key
  return find(key) ?? seen.inOrder[0]
}

const choose = (step) => {
  const names = [...place("workers").querySelectorAll(".name")]
  const now = names.indexOf(document.activeElement?.closest("#workers tr")?.querySelector(".name"))
  names[Math.max(0, Math.min(names.length - 1, now < 0 ? 0 : now + step))]?.focus()
}

const forChosen = (does) => () => chosen() !== undefined && does(chosen())

const keys = {
  "?": openKeys,
  "/": () => filter.focus(),
  j: () => choose(1),
  k: () => choose(-1),
  d: forChosen((worker) => confirm(acts.drain(worker))),
  R: forChosen((worker) => confirm(acts.restart(worker))),
  r: forChosen(({ app }) => confirm(acts.reload({ name: app }))),
  s: forChosen(openSessions),
  w: forChosen((worker) => filterEvents(workerName(worker)))
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || place("dialog").open) return
  if (event.target instanceof HTMLInputElement) return event.key === "Escape" ? event.target.blur() : undefined
  const inTable = event.target.closest?.("#workers") !== null
  const arrow = inTable ? { ArrowDown: keys.j, ArrowUp: keys.k }[event.key] : undefined
  const does = arrow ?? (Object.hasOwn(keys, event.key) ? keys[event.key] : undefined)
  if (does === undefined) return
  event.preventDefault()
  does()
})
place("help").addEventListener("click", openKeys)

token.take()
void follow(heard, askForToken)
