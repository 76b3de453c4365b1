/** The first glance: the verdict, the host, and six figures. */
import { make, say, set, Spark } from "./pictures.js"
import { claimTime, minuteOfAll, place, seen, sum } from "./seen.js"
import { bytes, known, number, rate, things, time } from "./words.js"

/** A screen reader is told of another verdict, and not of each second for which it lasts. */
const gist = ({ level, text }) => level + text.replace(/[\d.]+/g, "")
let told = ""

export const drawVerdict = ({ findings, verdict }) => {
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

export const drawHost = ({ apps, host }) => {
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

/** What a figure is: its name, and from an overview its text, what stands under it, and its picture of the last minute. */
const figures = [
  [
    "Connections",
    (_, now) => known(now.arrived, rate),
    ({ totals }) => `${number(totals.arrived)} in all`,
    "arrived",
    rate
  ],
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
    (_, now) => known(now.bytesIn, (value) => `${bytes(value)}/s in`),
    (_, now) => known(now.bytesOut, (value) => `${bytes(value)}/s out`),
    "bytesOut",
    (value) => `${bytes(value)}/s`
  ]
]

const tiles = figures.map(([title, figure, under, name, words]) => {
  const big = make("p", { class: "figure" })
  const small = make("p")
  const spark = new Spark()
  place("tiles").append(make("div", { class: "tile" }, make("h3", {}, title), big, small, spark.element))
  return (overview) => {
    say(big, figure(overview, seen.rates))
    say(small, under(overview, seen.rates))
    spark.draw(title, minuteOfAll(name), words)
  }
})

export const drawFigures = (overview) => {
  for (const tile of tiles) tile(overview)
}
