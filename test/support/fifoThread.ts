/** The two sides of a fifo between threads: 64 MiB or so of a known pattern in pieces of all sizes. */
import { parentPort, workerData } from "node:worker_threads"
import { Arena } from "../../src/domain/memory/Arena.ts"
import * as Fifo from "../../src/domain/memory/Fifo.ts"
import { FifoConsumer } from "../../src/domain/memory/FifoConsumer.ts"
import { FifoProducer } from "../../src/domain/memory/FifoProducer.ts"
import { Bell } from "./Bell.ts"
import * as Pattern from "./pattern.ts"
import * as Random from "./random.ts"

export interface Setup {
  readonly side: "producer" | "consumer"
  readonly words: Int32Array
  readonly segment: SharedArrayBuffer
  readonly bound: number
  /** Whether the fifo is a whole ring from the start. */
  readonly whole: boolean
  readonly total: number
  readonly seed: number
  readonly eventBell: Int32Array
  readonly roomBell: Int32Array
}

const setup = workerData as Setup
const { bound, total } = setup
const eventBell = new Bell(setup.eventBell)
const roomBell = new Bell(setup.roomBell)
const random = Random.make(setup.seed)
const bytes = new Uint8Array(setup.segment)
const places: Fifo.Words = { words: setup.words, producer: 0, consumer: 16, flags: 32 }
const sizes = () => 1 + random([10, 3000, 20_000, 2 * bound][random(4)]!)

const produce = () => {
  // the ring is behind the arena
  const arena = new Arena(0, setup.segment.byteLength - 256)
  let allocated = 0
  let trims = 0
  let events = 0
  let waits = 0
  const sizeOf = new Map<number, number>()
  const blocks: Fifo.Blocks = {
    allocate: (size) => {
      if (random(4) === 0) return undefined
      const offset = arena.allocate(size)
      if (offset < 0) return undefined
      allocated++
      sizeOf.set(offset, size)
      return { segment: 0, offset }
    },
    free: ({ offset }) => {
      // whoever still reads here reads nonsense
      bytes.fill(0xee, offset, offset + sizeOf.get(offset)!)
      arena.free(offset)
    },
    view: () => bytes
  }
  const producer = setup.whole
    ? new FifoProducer(places, bound, Fifo.block(0, bytes, 0, bound))
    : new FifoProducer(places, bound, Fifo.block(0, bytes, arena.capacity, 256), blocks)
  for (let at = 0; at < total;) {
    const length = Math.min(sizes(), total - at)
    let taken = 0
    if (random(2) === 0) taken = producer.enqueue(Pattern.at(at, length))
    else {
      const target = producer.reserve(length)
      if (target !== undefined) {
        taken = 1 + random(target.length)
        target.set(Pattern.at(at, taken))
        producer.commit(taken)
      }
    }
    at += taken
    if (taken > 0 && producer.raiseEvent()) {
      events++
      eventBell.ring()
    }
    if (random(16) === 0) {
      if (random(2) === 0) { while (producer.size > 0); }
      if (producer.trim()) trims++
    }
    if (taken < length) {
      const count = roomBell.count
      if (producer.wait(random(bound)) === "consumer") {
        waits++
        roomBell.wait(count)
      }
    }
  }
  while (producer.size > 0);
  return { trimmed: producer.trim(), memory: producer.memory, used: arena.used, allocated, trims, events, waits }
}

const consume = () => {
  const consumer = new FifoConsumer(places, bound, (segment) => segment === 0 ? bytes : undefined)
  const target = new Uint8Array(2 * bound)
  let at = 0
  let sleeps = 0
  while (at < total) {
    const count = eventBell.count
    consumer.clearEvent()
    while (consumer.size > 0) {
      let found: Uint8Array
      let tell: boolean
      let wrong: boolean
      if (random(2) === 0) {
        found = consumer.peek(sizes())!
        const length = 1 + random(found.length)
        wrong = !Pattern.isAt(found, at)
        tell = consumer.drop(length)
        at += length
      } else {
        const read = consumer.read(target.subarray(0, sizes()))
        wrong = !Pattern.isAt(target.subarray(0, read.bytes), at)
        tell = read.tell
        at += read.bytes
      }
      if (wrong) throw new Error(`wrong bytes at about ${at}`)
      if (tell) roomBell.ring()
    }
    if (at < total) {
      sleeps++
      eventBell.wait(count)
    }
  }
  return { sleeps, at }
}

parentPort!.postMessage(setup.side === "producer" ? produce() : consume())
