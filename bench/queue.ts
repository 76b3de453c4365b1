/**
 * The message queue with its doorbell, compared with `postMessage`: one way in both directions, and round trips.
 *
 * Run it with `node bench/queue.ts`; it takes some ten seconds. All figures are medians over rounds in which the two
 * take turns, so their ratio holds on a busy machine too; the absolute figures do not.
 *
 * The queue: 16-byte IO events; the consumer drains batches of 32 and sleeps when there is nothing left, the producer
 * rings by an empty post to a port; a producer without room asks for it and stops until it is rung for.
 * `postMessage`: an object of the same four numbers per message.
 */
import { isMainThread, MessageChannel, parentPort, Worker, workerData } from "node:worker_threads"
import type { MessagePort } from "node:worker_threads"
import { QueueConsumer, type Sink } from "../src/domain/memory/QueueConsumer.ts"
import * as QueueMemory from "../src/domain/memory/QueueMemory.ts"
import { QueueProducer } from "../src/domain/memory/QueueProducer.ts"

const ROUNDS = 11
const EVENTS = 1_000_000
const POSTS = 100_000
const ROUND_TRIPS = 1000
const BATCH = 32
const GEOMETRY: QueueMemory.Geometry = { indexQueue: 2048, ioRing: 2048, controlRing: 1 }

const Event = 1
const Ping = 2
const Pong = 3

interface Post {
  readonly kind: number
  readonly session: number
  readonly generation: number
  readonly argument: number
}

/** What a thread is asked to do: send so many messages by one of the two means. */
interface Order {
  readonly order: "queue" | "post"
  readonly count: number
}

interface Setup {
  readonly inbound: SharedArrayBuffer
  readonly outbound: SharedArrayBuffer
  readonly doorbell: MessagePort
  readonly posts: MessagePort
}

/** One of the two threads: it sends, counts what comes, and answers pings. */
class End {
  /** Called for every pong and whenever all that was expected has come. */
  heard: () => void = () => {}
  rings = 0
  #expected = 0
  #toSend = 0
  readonly #doorbell: MessagePort
  readonly #posts: MessagePort
  readonly #consumer: QueueConsumer
  readonly #producer: QueueProducer
  readonly #sink: Sink = {
    io: (kind, index, generation, argument) => this.#take(kind, index, generation, argument, false),
    control: () => {}
  }

  constructor({ inbound, outbound, doorbell, posts }: Setup) {
    this.#doorbell = doorbell
    this.#posts = posts
    this.#consumer = new QueueConsumer({ buffer: inbound, byteOffset: 0 }, GEOMETRY)
    this.#producer = new QueueProducer({ buffer: outbound, byteOffset: 0 }, GEOMETRY, this.#ring)
    doorbell.on("message", this.#wake)
    posts.on(
      "message",
      ({ kind, session, generation, argument }: Post) => this.#take(kind, session, generation, argument, true)
    )
    this.#wake()
  }

  expect(count: number): void {
    this.#expected = count
  }

  send({ order, count }: Order): void {
    if (order === "queue") {
      this.#toSend = count
      this.#resume()
    } else {
      for (let i = count; i > 0; i--) this.#posts.postMessage({ kind: Event, session: i, generation: 1, argument: i })
    }
  }

  ping(order: Order["order"]): void {
    if (order === "queue") this.#producer.io(Ping, 1, 1, 1)
    else this.#posts.postMessage({ kind: Ping, session: 1, generation: 1, argument: 1 })
  }

  readonly #ring = (): void => {
    this.rings++
    this.#doorbell.postMessage(0)
  }

  /** One after the other until there is no room; then the consumer's ring goes on with it. */
  #resume(): void {
    const producer = this.#producer
    for (; this.#toSend > 0; this.#toSend--) {
      if (producer.io(Event, this.#toSend, 1, this.#toSend) === QueueMemory.Enqueued) continue
      producer.wantRoom()
      if (producer.io(Event, this.#toSend, 1, this.#toSend) !== QueueMemory.Enqueued) return
    }
  }

  readonly #wake = (): void => {
    if (this.#toSend > 0) this.#resume()
    do {
      while (this.#consumer.drain(BATCH, this.#sink) > 0) if (this.#consumer.grantRoom()) this.#ring()
    } while (!this.#consumer.sleep())
  }

  #take(kind: number, index: number, generation: number, argument: number, posted: boolean): void {
    if (kind === Event) {
      if (index !== argument || index !== this.#expected) throw new Error(`${index} came instead of ${this.#expected}`)
      if (--this.#expected === 0) this.heard()
    } else if (kind === Pong) this.heard()
    else if (posted) this.#posts.postMessage({ kind: Pong, session: index, generation, argument })
    else this.#producer.io(Pong, index, generation, argument)
  }
}

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >>> 1]!

const shared = () => new SharedArrayBuffer(QueueMemory.byteLength(GEOMETRY))

const main = async () => {
  const [toWorker, toMain, doorbell, posts] = [shared(), shared(), new MessageChannel(), new MessageChannel()]
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { inbound: toWorker, outbound: toMain, doorbell: doorbell.port2, posts: posts.port2 } satisfies Setup,
    transferList: [doorbell.port2, posts.port2],
    execArgv: []
  })
  const end = new End({ inbound: toMain, outbound: toWorker, doorbell: doorbell.port1, posts: posts.port1 })
  const answer = () => new Promise<number>((resolve) => worker.once("message", resolve))

  /** Million messages per second to the worker, until it says that the last one has come. */
  const toWorkerRate = async (order: Order["order"], count: number): Promise<number> => {
    const ready = answer()
    worker.postMessage({ order: "expect", count })
    await ready
    const done = answer()
    const started = performance.now()
    end.send({ order, count })
    await done
    return count / (performance.now() - started) / 1000
  }

  const toMainRate = async (order: Order["order"], count: number): Promise<number> => {
    const done = new Promise<void>((resolve) => {
      end.heard = resolve
    })
    end.expect(count)
    const started = performance.now()
    worker.postMessage({ order, count } satisfies Order)
    await done
    return count / (performance.now() - started) / 1000
  }

  /** Median microseconds from a ping to its pong, one at a time, both sides asleep in between. */
  const roundTrip = async (order: Order["order"]): Promise<number> => {
    const times: Array<number> = []
    for (let i = 0; i < ROUND_TRIPS; i++) {
      const started = performance.now()
      const done = new Promise<void>((resolve) => {
        end.heard = () => {
          times.push((performance.now() - started) * 1000)
          setImmediate(resolve)
        }
      })
      end.ping(order)
      await done
    }
    return median(times)
  }

  const measures = [
    ["to the worker, million/s", toWorkerRate],
    ["to main, million/s", toMainRate],
    ["round trip p50, us", roundTrip]
  ] as const
  const figures = measures.map(() => ({ queue: [] as Array<number>, post: [] as Array<number> }))
  await answer()
  for (let round = -2; round < ROUNDS; round++) {
    for (const [i, [, measure]] of measures.entries()) {
      const queue = await measure("queue", EVENTS)
      const post = await measure("post", POSTS)
      // the first rounds are the compiler's
      if (round < 0) continue
      figures[i]!.queue.push(queue)
      figures[i]!.post.push(post)
    }
  }
  console.log(`Node ${process.version}, medians of ${ROUNDS} rounds`)
  console.log("".padEnd(28), "queue".padStart(10), "postMessage".padStart(12), "ratio".padStart(8))
  for (const [i, [name]] of measures.entries()) {
    const [queue, post] = [median(figures[i]!.queue), median(figures[i]!.post)]
    const texts = [queue.toFixed(2).padStart(10), post.toFixed(2).padStart(12), (queue / post).toFixed(2).padStart(8)]
    console.log(name.padEnd(28), ...texts)
  }
  await worker.terminate()
  doorbell.port1.close()
  posts.port1.close()
}

if (isMainThread) await main()
else {
  const end = new End(workerData as Setup)
  end.heard = () => parentPort!.postMessage(1)
  parentPort!.on("message", (order: Order | { readonly order: "expect"; readonly count: number }) => {
    if (order.order === "expect") {
      end.expect(order.count)
      parentPort!.postMessage(1)
    } else end.send({ order: order.order, count: order.count })
  })
  parentPort!.postMessage(1)
}
