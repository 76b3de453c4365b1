/**
 * Whether all is well with a host, in a sentence: what is found in an overview's facts, the gravest first.
 *
 * `bad` is what clients notice, or will; `warning` is what may become that; `ok` is what is under way as it should be.
 * Among findings of one level, those that are about more come first: the ledger, applications, then single workers.
 */
import { millis, things } from "../report/Notice.ts"
import type { RefuseReason } from "../state/Ledger.ts"
import { type Finding, type Level, type OverviewFacts, RECENT, type WorkerView } from "./Overview.ts"

/** Milliseconds after which a worker that is behind is called stuck. */
export const STUCK = 2000
/** Milliseconds for which a worker may be behind without a word: under load that comes and goes. */
const BEHIND = 100
/** Of a limit, what is too near to it. */
const NEAR = 0.9
/** The most findings that are told. */
const MOST = 20

/**
 * What a refusal says: of the host, that it is `overload`ed, or `broken`; or nothing, because it was `meant`, or is the
 * `peer`'s doing.
 */
const natures: Readonly<Record<RefuseReason, "overload" | "broken" | "meant" | "peer">> = {
  congested: "overload",
  "no-worker": "overload",
  "hold-full": "overload",
  "hold-time": "overload",
  "worker-limit": "overload",
  "concurrency-limit": "overload",
  "listener-limit": "overload",
  "host-limit": "overload",
  "no-memory": "overload",
  "handshake-limit": "overload",
  "no-descriptors": "overload",
  "no-listener": "broken",
  draining: "meant",
  "source-denied": "meant",
  "rule-denied": "meant",
  "app-refused": "meant",
  "source-limit": "peer",
  "source-rate": "peer",
  "tls-failed": "peer",
  "proxy-header": "peer",
  "handshake-time": "peer"
}

const isReason = (reason: string): reason is RefuseReason => Object.hasOwn(natures, reason)

const within = `in the last ${RECENT / 1000} s`

const nameOf = ({ app, handle, worker }: WorkerView): string => `worker ${handle} (${app} ${worker})`

/** Workers that serve while another one does not. */
const others = (all: ReadonlyArray<WorkerView>, one: WorkerView): string => {
  const serving = all.filter((other) => other !== one && other.appIndex === one.appIndex && other.takes === "sessions")
  return serving.length === 0 ?
    "no other one serves" :
    `${things(serving.length, "other")} ${serving.length === 1 ? "serves" : "serve"}`
}

const refusals = (recent: Readonly<Record<string, number>>, nature: "overload" | "broken") => {
  const some = Object.entries(recent).filter(([reason]) => isReason(reason) && natures[reason] === nature)
  const count = some.reduce((sum, [, count]) => sum + count, 0)
  const why = some.sort(([, a], [, b]) => b - a).map(([reason, count]) => `${reason} ${count}`).join(", ")
  return { count, text: `${count} refused ${within} (${why})` }
}

const isDown = ({ state }: WorkerView): boolean =>
  state === "CRASHED" || state === "BACKOFF" || state === "UNRESPONSIVE"

// a generator, so that each rule stands where its rank is
function* find(facts: OverviewFacts): Iterable<Finding> {
  const { apps, held, host, imbalances, lost, refused, sessions, workers } = facts
  const say = (level: Level, text: string): Finding => ({ level, text })
  for (const imbalance of imbalances) yield say("bad", `the ledger does not balance: ${imbalance}`)
  for (const { index, name, running, workers: count } of apps) {
    if (running > 0 || count === 0 || host.draining) continue
    const down = workers.some((worker) => worker.appIndex === index && isDown(worker))
    yield down
      ? say("bad", `no worker of ${name} runs: ${things(count, "worker")} gone or starting`)
      : say("warning", `${name} has no worker that runs yet`)
  }
  const overload = refusals(refused.recent, "overload")
  if (overload.count > 0) yield say("bad", `overloaded: ${overload.text}`)
  const stuck = workers.filter(({ behindMillis }) => behindMillis >= STUCK)
  for (const worker of stuck.toSorted((a, b) => b.behindMillis - a.behindMillis)) {
    const where = worker.stuckAt === null ? "" : ` in ${worker.stuckAt}`
    yield say(
      "bad",
      `${nameOf(worker)} is stuck${where} for ${millis(worker.behindMillis)}; ${others(workers, worker)}`
    )
  }
  if (lost.recent > 0) {
    yield say(
      "bad",
      `${things(lost.recent, "session")} lost with ${lost.recent === 1 ? "its worker" : "their workers"} ${within}`
    )
  }
  for (const worker of workers.filter(isDown)) {
    const why = worker.lastFailure === null ? "" : `: ${worker.lastFailure}`
    yield say("warning", `${nameOf(worker)} is ${worker.state}${why}; ${others(workers, worker)}`)
  }
  if (host.draining) yield say("warning", `the host drains: ${things(sessions.now, "session")} left`)
  if (held.now > 0) {
    yield say("warning", `${things(held.now, "connection")} ${held.now === 1 ? "waits" : "wait"} for a worker`)
  }
  const behind = workers.filter(({ behindMillis }) => behindMillis >= BEHIND && behindMillis < STUCK)
  for (const worker of behind.toSorted((a, b) => b.behindMillis - a.behindMillis)) {
    yield say("warning", `${nameOf(worker)} is behind for ${millis(worker.behindMillis)}; ${others(workers, worker)}`)
  }
  const broken = refusals(refused.recent, "broken")
  if (broken.count > 0) yield say("warning", broken.text)
  for (const worker of workers) {
    const { memoryState, thread } = worker
    if (memoryState !== "ample") {
      yield say(
        "warning",
        `${nameOf(worker)} ${memoryState === "none" ? "has no memory for another session" : "is short of memory"}`
      )
    }
    if (thread !== null && thread.heapUsed >= NEAR * thread.heapLimit) {
      yield say(
        "warning",
        `${nameOf(worker)} uses ${Math.round(100 * thread.heapUsed / thread.heapLimit)} % of its heap`
      )
    }
  }
  for (const { name, sessions } of apps) {
    if (sessions.now >= NEAR * sessions.limit) {
      yield say("warning", `${name} has ${sessions.now} of ${things(sessions.limit, "session")} that it may have`)
    }
  }
  for (const { name, reloading } of apps) if (reloading) yield say("ok", `${name} is being reloaded`)
  if (host.formers > 0) {
    yield say("ok", `a host before this one has ${things(host.formerSessions, "session")} left`)
  }
}

const ranks: Readonly<Record<Level, number>> = { bad: 0, warning: 1, ok: 2 }

/** What there is to say of these facts, gravest first: at least that all is well, or that nothing is there. */
export const of = (facts: OverviewFacts): ReadonlyArray<Finding> => {
  const found = [...find(facts)].sort((a, b) => ranks[a.level] - ranks[b.level]).slice(0, MOST)
  if (found.length > 0) return found
  if (facts.apps.length === 0) return [{ level: "ok", text: "no active apps" }]
  const serving = facts.workers.filter(({ takes }) => takes === "sessions").length
  return [{
    level: "ok",
    text: `${things(serving, "worker")} ${serving === 1 ? "serves" : "serve"} ${things(facts.sessions.now, "session")}`
  }]
}
