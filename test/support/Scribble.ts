/**
 * Random values in memory that a worker shares: which words there are, and writing to one of them.
 *
 * A worker may write any word of its segments. Left out are bytes that stand for nothing but themselves: what goes
 * through fifos. What an arena has given out is remembered in private memory, so an arena has no words of its own.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as QueueMemory from "../../src/domain/memory/QueueMemory.ts"
import type * as Segment from "../../src/domain/memory/Segment.ts"
import * as SessionBlock from "../../src/domain/memory/SessionBlock.ts"
import type { AppOptionsInput } from "../../src/domain/options/Options.ts"
import * as Host from "../../src/layers/Host.ts"
import * as SessionLayerHost from "../../src/layers/host/SessionLayerHost.ts"
import * as MessageQueueSegment from "../../src/layers/stack/MessageQueueSegment.ts"
import * as SegmentManagerMemory from "../../src/layers/stack/SegmentManagerMemory.ts"
import * as WorkerStack from "../../src/layers/stack/WorkerStack.ts"
import * as TransportMemory from "../../src/layers/testing/TransportMemory.ts"
import { MessageQueue } from "../../src/services/MessageQueue.ts"
import { type Manager, SegmentManager } from "../../src/services/SegmentManager.ts"
import { SessionLayer } from "../../src/services/SessionLayer.ts"
import { WorkerPlan } from "../../src/services/WorkerPlan.ts"
import type { Random } from "./random.ts"
import { type Actor, endpoint, optionsOf } from "./Stage.ts"

/** One start of a worker, as its memory shows it. */
interface Memory {
  readonly queues: Segment.Queues
  readonly segment: (index: number) => Segment.Segment | undefined
  /** Session blocks that are in use. */
  readonly blocks: Map<string, { readonly segment: number; readonly offset: number }>
  readonly cutThrough: Set<number>
  geometry: QueueMemory.Geometry | undefined
  inbox: SharedArrayBuffer | undefined
}

/** A word, with a name of its kind. */
export interface Word {
  readonly name: string
  readonly words: Int32Array
  readonly at: number
}

const { CLOSED, CONTROL_HEAD, CONTROL_SLOT, CONTROL_TAIL, HEAD, IDLE, INDEX, INDEX_SLOT } = QueueMemory
const { IO_HEAD, IO_SLOT, IO_TAIL, LOCK, TAIL, WANTED } = QueueMemory
const queueWords = { TAIL, IO_TAIL, CONTROL_TAIL, HEAD, IO_HEAD, CONTROL_HEAD, IDLE, WANTED, LOCK, CLOSED }

/** The names of a session block's words, by its lines. */
const blockName = (at: number): string => {
  if (at >= 16 && at < 32) return "block: the worker's line"
  if (at < 16) return "block: the host's line"
  if (at >= 39 && at < 42) return "block: what is given along"
  if (at < 48) return at === 32 ? "block: OFFER" : "block: flags"
  return "block: the rest"
}

/** The memory of the workers of a host. */
export class Memories {
  readonly #byWorker = new Map<string, Memory>()

  /** The layers that remember it. */
  readonly layers = {
    segmentManager: Layer.effect(
      SegmentManager,
      Effect.gen({ self: this }, function*() {
        const { info: { app, worker } } = yield* WorkerPlan
        const manager = yield* SegmentManager
        const blocks: Memory["blocks"] = new Map()
        const cutThrough = new Set<number>()
        this.#byWorker.set(`${app}/${worker}`, {
          queues: manager.queues,
          segment: manager.segment,
          blocks,
          cutThrough,
          geometry: undefined,
          inbox: undefined
        })
        const watched = (inner: Manager): Manager => ({
          index: inner.index,
          get growing() {
            return inner.growing
          },
          view: inner.view,
          allocate: (...asked: Parameters<Manager["allocate"]>) => {
            const place = inner.allocate(...asked)
            const [bytes] = asked
            if (place !== undefined && bytes === SessionBlock.SESSION_BLOCK_BYTES) {
              blocks.set(`${place.segment} ${place.offset}`, place)
            }
            return place
          },
          free: (place) => {
            blocks.delete(`${place.segment} ${place.offset}`)
            inner.free(place)
          },
          untake: (place) => {
            blocks.delete(`${place.segment} ${place.offset}`)
            inner.untake(place)
          }
        })
        return SegmentManager.of({
          ...manager,
          acquire: (user) => watched(manager.acquire(user)),
          cutThrough: {
            ...manager.cutThrough,
            create: (bytes, peer) => {
              const segment = manager.cutThrough.create(bytes, peer)
              if (segment !== undefined) cutThrough.add(segment.index)
              return segment
            },
            free: (index, keep) => {
              cutThrough.delete(index)
              manager.cutThrough.free(index, keep)
            }
          }
        })
      })
    ).pipe(Layer.provide(SegmentManagerMemory.layer)),
    messageQueue: Layer.effect(
      MessageQueue,
      Effect.gen({ self: this }, function*() {
        const { info: { app, worker } } = yield* WorkerPlan
        const queue = yield* MessageQueue
        const memory = this.#byWorker.get(`${app}/${worker}`)!
        memory.geometry = queue.geometry
        memory.inbox = queue.inbox
        return queue
      })
    ).pipe(Layer.provide(MessageQueueSegment.layer))
  }

  /** Any word of the worker's, each part as often as the others. */
  pick(app: string, worker: number, random: Random): Word {
    const memory = this.#byWorker.get(`${app}/${worker}`)!
    for (;;) {
      const word = this.#try(memory, random)
      if (word !== undefined) return word
    }
  }

  /** The words of the worker's session block that was made last; `undefined` when there is none. */
  lastBlock(app: string, worker: number): Int32Array | undefined {
    const memory = this.#byWorker.get(`${app}/${worker}`)!
    const place = [...memory.blocks.values()].at(-1)
    if (place === undefined) return undefined
    const { offset, segment } = place
    return memory.segment(segment)!.words.subarray(offset / 4, (offset + SessionBlock.SESSION_BLOCK_BYTES) / 4)
  }

  /** The block of the worker's cut-through session that was made last. */
  lastCutThrough(app: string, worker: number): Int32Array {
    const { cutThrough, segment } = this.#byWorker.get(`${app}/${worker}`)!
    return segment([...cutThrough].at(-1)!)!.words.subarray(0, SessionBlock.SESSION_BLOCK_BYTES / 4)
  }

  /** The word `LENDABLE` of the worker. */
  lendable(app: string, worker: number): Word {
    const { queues, segment } = this.#byWorker.get(`${app}/${worker}`)!
    return { name: "LENDABLE", words: segment(0)!.words, at: queues.lendable }
  }

  /** The slots of the control ring to the worker: each the length of a message, then its words. */
  controlSlots(app: string, worker: number): ReadonlyArray<Int32Array> {
    const { geometry, queues } = this.#byWorker.get(`${app}/${worker}`)!
    const { controlRing, indexQueue, ioRing } = geometry!
    const words = QueueMemory.words(queues.toWorker, geometry!)
    const begin = INDEX + indexQueue * INDEX_SLOT + ioRing * IO_SLOT
    return Array.from(
      { length: controlRing },
      (_, slot) => words.subarray(begin + slot * CONTROL_SLOT, begin + (slot + 1) * CONTROL_SLOT)
    )
  }

  #try(memory: Memory, random: Random): Word | undefined {
    const one = <A>(all: ReadonlyArray<A>): A | undefined => all[random(all.length)]
    switch (random(15)) {
      case 14:
        return { name: "LENDABLE", words: memory.segment(0)!.words, at: memory.queues.lendable }
      case 0:
      case 1:
      case 2:
      case 3:
        return this.#queueWord(memory, "to the worker", memory.queues.toWorker, random)
      case 4:
      case 5:
      case 6:
      case 7:
        return this.#queueWord(memory, "to the host", memory.queues.toHost, random)
      case 8:
      case 9: {
        const place = one([...memory.blocks.values()])
        const segment = place && memory.segment(place.segment)
        const at = random(64)
        return place && segment && { name: blockName(at), words: segment.words, at: place.offset / 4 + at }
      }
      case 10:
      case 11: {
        const index = one([...memory.cutThrough])
        const segment = index === undefined ? undefined : memory.segment(index)
        const at = random(64)
        return segment && { name: `cut-through ${blockName(at)}`, words: segment.words, at }
      }
      default: {
        const words = new Int32Array(memory.inbox!)
        const at = one([0, 16, 16, 64, 64, random(words.length)])!
        return { name: at === 0 ? "inbox: IDLE" : at < 64 ? "inbox: SUMMARY" : "inbox: BITS", words, at }
      }
    }
  }

  #queueWord(
    { geometry }: Memory,
    direction: string,
    memory: QueueMemory.QueueMemory,
    random: Random
  ): Word {
    const words = QueueMemory.words(memory, geometry!)
    const name = (what: string) => `queue ${direction}: ${what}`
    const { controlRing, indexQueue, ioRing } = geometry!
    const io = INDEX + indexQueue * INDEX_SLOT
    const control = io + ioRing * IO_SLOT
    if (random(3) > 0) {
      const all = Object.entries(queueWords)
      const [what, at] = all[random(all.length)]!
      return { name: name(what), words, at }
    }
    switch (random(3)) {
      case 0:
        return { name: name("index"), words, at: INDEX + random(indexQueue) * INDEX_SLOT + random(INDEX_SLOT) }
      case 1:
        return { name: name("IO ring"), words, at: io + random(ioRing) * IO_SLOT + random(IO_SLOT) }
      default:
        return { name: name("control ring"), words, at: control + random(controlRing) * CONTROL_SLOT + random(24) }
    }
  }
}

export const service = "local://service"

/** Options with which there is little of everything. */
export const options = {
  worker: { backoffBase: 10, backoffMax: 10 },
  queue: { indexQueue: 8, ioRing: 4, controlRing: 4 },
  segment: { firstSegmentSize: "512KiB", addSegmentSize: "512KiB", rxFifoSize: "4KiB", txFifoSize: "4KiB" },
  admission: { holdTime: 10_000 },
  scope: { local: true, global: true }
} as const

/** Each fault of a worker would be a line. */
export const quiet = Effect.provideService(References.MinimumLogLevel, "None")

/** A worker on the host's loop, whose memory can be written over, and which serves connections from a network. */
export const inMemory = Effect.fnUntraced(function*(actor: Actor, more: Partial<AppOptionsInput> = {}) {
  const memories = new Memories()
  const network = new TransportMemory.Network()
  const services = yield* Layer.build(
    SessionLayerHost.layerStack.pipe(
      Layer.provide(WorkerStack.layerInProcess(memories.layers)),
      Layer.provide(TransportMemory.layer(network)),
      Layer.provide(Host.layerSettings)
    )
  )
  const host = Context.get(services, SessionLayer)
  yield* host.attach(optionsOf({ ...options, listen: [endpoint, service], ...more }), actor.module)
  return { host, memories, network }
})

/** A value for a word: anything, something small, or something near to what is there. */
export const valueFor = ({ at, words }: Word, random: Random): number => {
  switch (random(4)) {
    case 0:
      return random(2 ** 32) | 0
    case 1:
      return random(9) - 2
    case 2:
      return words[at]! ^ (1 << random(32))
    default:
      return words[at]! + random(17) - 8
  }
}

/** What became of the values that were written to one kind of word. */
export interface Tally {
  written: number
  /** Rounds after which all were served, those after which a session was broken, and those that cost the worker. */
  served: number
  broken: number
  givenUp: number
  /** Sessions that got bytes which were never sent. */
  wrong: number
  /** Milliseconds until the worker was given up, at the longest; and until all were served. */
  longestGivenUp: number
  longestServed: number
}

export class Tallies {
  readonly all = new Map<string, Tally>()

  of(name: string): Tally {
    let tally = this.all.get(name)
    if (tally === undefined) {
      this.all.set(
        name,
        tally = { written: 0, served: 0, broken: 0, givenUp: 0, wrong: 0, longestGivenUp: 0, longestServed: 0 }
      )
    }
    return tally
  }

  get written(): number {
    return [...this.all.values()].reduce((sum, { written }) => sum + written, 0)
  }

  /** As a table. */
  toString(): string {
    const columns = ["written", "served", "broken", "given up", "wrong", "longest given up", "longest served"]
    const rows = [...this.all].sort(([a], [b]) => a < b ? -1 : 1).map(([name, tally]) =>
      [
        name.padEnd(38),
        ...Object.values(tally).map((n: number, at) => String(Math.round(n)).padStart(columns[at]!.length))
      ].join("  ")
    )
    const all = [...this.all.values()]
    const sum = (of: (tally: Tally) => number) => all.reduce((sum, tally) => sum + of(tally), 0)
    const most = (of: (tally: Tally) => number) => Math.round(Math.max(...all.map(of)))
    const total = `${this.written} values written; rounds that ended with all served: ${sum((tally) => tally.served)}, `
      + `with a session broken: ${sum((tally) => tally.broken)}, with the worker given up: ${
        sum((tally) => tally.givenUp)
      }; `
      + `slowest: given up after ${most((tally) => tally.longestGivenUp)} ms, `
      + `served after ${most((tally) => tally.longestServed)} ms`
    return ["".padEnd(38) + "  " + columns.join("  "), ...rows, total].join("\n")
  }
}
