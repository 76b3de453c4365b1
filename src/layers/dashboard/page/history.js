/**
 * What the page remembers: the last overview, what it says by the second, and the last sixty seconds of it.
 *
 * Seconds in which nothing came are `null`, and have no place in a picture.
 */

export const SECONDS = 60

/** Seconds for which a worker that is well again stays where it was, so that rows do not jump. */
const CALM = 5

/** Milliseconds from which a worker that is behind is worth a higher place, and those from which it is stuck. */
const BEHIND = 100
const STUCK = 2000

const DOWN = ["CRASHED", "BACKOFF", "UNRESPONSIVE"]

/** A worker is the same one over all its starts, and over hosts that follow each other. */
export const keyOf = (worker) => `${worker.app}/${worker.worker}`

/** How bad it is: 2 does not serve, 1 serves less than it should, 0 is well. */
export const rankOf = (worker) => {
  if (DOWN.includes(worker.state) || worker.behindMillis >= STUCK || worker.memoryState === "none") return 2
  if (worker.congested || worker.behindMillis >= BEHIND || worker.takes === "full" || worker.memoryState === "short") {
    return 1
  }
  return 0
}

/** Whether both are of one host: a process that has gone on. */
const isSame = (before, after) =>
  before.host.pid === after.host.pid && before.host.upMillis <= after.host.upMillis && before.at < after.at

/** By the second: `null` where it is not known yet; a count that has gone back is another one's. */
const rates = (before, after, names) => {
  const seconds = before === undefined ? 1 : (after.at - before.at) / 1000
  return (from, to) =>
    Object.fromEntries(names.map((name) => [
      name,
      from === undefined ? null : to[name] < from[name] ? 0 : (to[name] - from[name]) / seconds
    ]))
}

const COUNTS = ["arrived", "claimed", "revoked", "bytesIn", "bytesOut"]

/** Milliseconds from which a second counts as whole; an overview that comes sooner has a place until the next one. */
const WHOLE = 900

export class History {
  overview = undefined
  /** The overview at the end of the last whole second, with which the next one is compared. */
  #base = undefined
  /** Whether the newest samples are of a second that is not over. */
  #isPart = false
  /** By the second: of all, and of each listener by its handle. */
  rates = undefined
  listeners = new Map()
  /** The samples of each second, the newest last: of all, and of each worker by its key. */
  all = []
  workers = new Map()
  /** The rank of each worker, and until when it keeps a higher one. */
  ranks = new Map()
  /** Events by their serial numbers. */
  events = new Map()

  add(overview) {
    const last = this.overview
    const before = last !== undefined && isSame(last, overview) ? this.#base : undefined
    // a host that follows another one numbers its events anew
    if (last !== undefined && last.host.pid !== overview.host.pid) this.events.clear()
    if (this.#isPart) { for (const samples of [this.all, ...this.workers.values()]) samples.pop() }
    const millis = before === undefined ? WHOLE : overview.at - before.at
    this.#isPart = millis < WHOLE
    if (!this.#isPart) this.#base = overview
    this.overview = overview
    this.#addSamples(before, overview, Math.min(SECONDS, Math.max(0, Math.round(millis / 1000) - 1)))
    this.#rank(overview)
    for (const event of overview.events) this.events.set(event.serial, event)
    this.#forget()
  }

  #addSamples(before, overview, missed) {
    const of = rates(before, overview, [...COUNTS, "refused", "lost"])
    this.rates = of(before?.totals, overview.totals)
    const { count, p50Millis, p99Millis } = overview.claim.recent
    push(this.all, missed, {
      ...this.rates,
      sessions: overview.sessions.now,
      held: overview.held.now,
      p50: count === 0 ? null : p50Millis,
      p99: count === 0 ? null : p99Millis
    })
    this.#addListeners(before, overview)
    this.#addWorkers(before, overview, missed)
  }

  #addListeners(before, overview) {
    const of = rates(before, overview, COUNTS)
    const earlier = new Map(before?.listeners.map((listener) => [listener.handle, listener]))
    this.listeners = new Map(
      overview.listeners.map((listener) => [listener.handle, of(earlier.get(listener.handle), listener)])
    )
  }

  #addWorkers(before, overview, missed) {
    const of = rates(before, overview, [...COUNTS.slice(1), "congestedMillis"])
    const earlier = new Map(before?.workers.map((worker) => [keyOf(worker), worker]))
    const there = new Set()
    for (const worker of overview.workers) {
      const key = keyOf(worker)
      there.add(key)
      const samples = this.workers.get(key) ?? []
      this.workers.set(key, samples)
      const { congestedMillis, ...rest } = of(earlier.get(key), worker)
      const isBehind = worker.congested || worker.behindMillis >= BEHIND
      push(samples, missed, {
        ...rest,
        congested: congestedMillis === null ? (isBehind ? 1 : 0) : Math.min(1, congestedMillis / 1000),
        loop: worker.thread?.utilization ?? null
      })
    }
    for (const key of this.workers.keys()) if (!there.has(key)) this.workers.delete(key)
  }

  #rank(overview) {
    const ranks = new Map()
    for (const worker of overview.workers) {
      const key = keyOf(worker)
      const rank = rankOf(worker)
      const earlier = this.ranks.get(key)
      const isKept = earlier !== undefined && rank < earlier.rank && overview.at < earlier.until
      ranks.set(key, isKept ? earlier : { rank, until: overview.at + CALM * 1000 })
    }
    this.ranks = ranks
  }

  #forget() {
    const serials = [...this.events.keys()].sort((a, b) => b - a)
    for (const serial of serials.slice(300)) this.events.delete(serial)
  }

  /** The workers, worst first; those that are as bad as each other, in the order of their applications and numbers. */
  get inOrder() {
    const rank = (worker) => this.ranks.get(keyOf(worker))?.rank ?? 0
    return (this.overview?.workers ?? []).toSorted((a, b) =>
      rank(b) - rank(a) || a.appIndex - b.appIndex || a.worker - b.worker
    )
  }

  /** Events, the newest first. */
  get latest() {
    return [...this.events.values()].sort((a, b) => b.serial - a.serial)
  }
}

const push = (samples, missed, sample) => {
  // of one second that was skipped, the next one tells the average
  for (let second = 0; second < missed; second++) samples.push(missed === 1 ? sample : null)
  samples.push(sample)
  samples.splice(0, samples.length - SECONDS)
}
