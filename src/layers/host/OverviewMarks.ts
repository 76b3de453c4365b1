/**
 * What an overview says of the last seconds: once a second it is noted what listeners and workers have counted so far.
 *
 * What is noted goes with what it is about. Whatever begins between two looks is known to have begun with nothing.
 */
import { Lookback } from "../../domain/overview/Lookback.ts"
import { RECENT } from "../../domain/overview/Overview.ts"
import { Histogram } from "../../domain/state/Histogram.ts"
import type { WorkerTimes } from "../../domain/state/Times.ts"
import type { HostListener } from "./Listener.ts"
import type { Tables } from "./Tables.ts"
import type { LiveWorker, WorkerSlot } from "./Worker.ts"

/** Milliseconds over which it is told how many processors a thread uses: it tells that itself twice a second. */
const PROCESSOR_SPAN = 2000

/** What a listener had counted. */
interface ListenerMark {
  readonly refused: Readonly<Record<string, number>>
  readonly lost: number
  readonly claim: Histogram
  readonly hold: Histogram
}

/** Processor time of a thread, and when that was known. */
interface ProcessorMark {
  readonly millis: number
  readonly at: number
}

const NOTHING: ListenerMark = { refused: {}, lost: 0, claim: new Histogram(), hold: new Histogram() }

const markOf = ({ admission: { arrivals, times } }: HostListener): ListenerMark => ({
  refused: { ...arrivals.refused },
  lost: arrivals.lost,
  claim: times.claim.copy(),
  hold: times.hold.copy()
})

const processorOf = ({ meter, now }: LiveWorker): ProcessorMark | undefined => {
  const use = meter?.use
  return use && { millis: use.cpuUserMillis + use.cpuSystemMillis, at: now() - use.ageMillis }
}

/** What was counted by reason since it was `earlier`, of reasons that there were. */
export const grown = (
  counts: Readonly<Record<string, number>>,
  earlier: Readonly<Record<string, number>> = {}
): Record<string, number> => {
  const grown: Record<string, number> = {}
  for (const [reason, count] of Object.entries(counts)) {
    const more = count - (earlier[reason] ?? 0)
    if (more > 0) grown[reason] = more
  }
  return grown
}

/** The most that there was of something that is looked at, and not counted with each change. */
class Peak {
  highest = 0

  see(now: number): void {
    if (now > this.highest) this.highest = now
  }
}

/** What is kept for a key, which is made when it is first asked for. */
const kept = <K extends object, V>(map: WeakMap<K, V>, key: K, make: () => V): V => {
  let value = map.get(key)
  if (value === undefined) map.set(key, value = make())
  return value
}

export class OverviewMarks {
  readonly #tables: Tables
  readonly #listeners = new WeakMap<HostListener, Lookback<ListenerMark>>()
  readonly #claims = new WeakMap<WorkerTimes, Lookback<Histogram>>()
  readonly #processors = new WeakMap<LiveWorker, Lookback<ProcessorMark>>()
  readonly #memory = new WeakMap<WorkerSlot, Peak>()
  /** Over all of the host. */
  readonly peaks = { sessions: new Peak(), held: new Peak(), memory: new Peak() }

  constructor(tables: Tables) {
    this.#tables = tables
  }

  /** To be called once a second. */
  look(): void {
    const now = this.#tables.now()
    let memory = 0
    let held = 0
    for (const listener of this.#tables.listeners) {
      held += listener.admission.arrivals.held
      this.#ofListener(listener, now).add(now, markOf(listener))
    }
    for (const slot of this.#tables.workers) {
      this.#ofTimes(slot.times, now).add(now, slot.times.claim.copy())
      const { live } = slot
      if (live === undefined) continue
      live.sample()
      const { bytes } = live.segments.statistics()
      memory += bytes
      this.memoryOf(slot).see(bytes)
      const processor = processorOf(live)
      if (processor !== undefined) this.#ofThread(live, processor).add(processor.at, processor)
    }
    this.peaks.sessions.see(this.#tables.sessionCount)
    this.peaks.held.see(held)
    this.peaks.memory.see(memory)
  }

  /** What the listener had counted when the last seconds began. */
  listener(listener: HostListener, now: number): ListenerMark {
    return this.#ofListener(listener, now).before(now - RECENT).value
  }

  /** What the worker's claims were then. */
  claim({ times }: WorkerSlot, now: number): Histogram {
    return this.#ofTimes(times, now).before(now - RECENT).value
  }

  /** How many processors the worker's thread has used lately. */
  processors(live: LiveWorker): number {
    const processor = processorOf(live)
    if (processor === undefined) return 0
    const { value: { at, millis } } = this.#ofThread(live, processor).before(processor.at - PROCESSOR_SPAN)
    return processor.at > at ? (processor.millis - millis) / (processor.at - at) : 0
  }

  memoryOf(slot: WorkerSlot): Peak {
    return kept(this.#memory, slot, () => new Peak())
  }

  #ofListener(listener: HostListener, now: number): Lookback<ListenerMark> {
    return kept(this.#listeners, listener, () => new Lookback(RECENT, now, NOTHING))
  }

  #ofTimes(times: WorkerTimes, now: number): Lookback<Histogram> {
    return kept(this.#claims, times, () => new Lookback(RECENT, now, NOTHING.claim))
  }

  #ofThread(live: LiveWorker, processor: ProcessorMark): Lookback<ProcessorMark> {
    return kept(this.#processors, live, () => new Lookback(PROCESSOR_SPAN, processor.at, processor))
  }
}
