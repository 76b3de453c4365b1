/** A thread that is the consumer of a queue with one producer: it checks the order and every word. */
import { parentPort, workerData } from "node:worker_threads"
import { QueueConsumer, type Sink } from "../../src/domain/memory/QueueConsumer.ts"
import { Bell } from "./Bell.ts"
import type { Setup } from "./queueTraffic.ts"
import { next, word } from "./queueTraffic.ts"
import * as Random from "./random.ts"

const setup = workerData as Setup
const doorbell = new Bell(setup.doorbell)
const roomBell = new Bell(setup.roomBell)
const random = Random.make(setup.seed)
const chance = Random.make(setup.seed + 2)
const consumer = new QueueConsumer({ buffer: setup.memory, byteOffset: 0 }, setup.geometry)

let sequence = 0
const check = (found: number, expected: number, what: string) => {
  if (found !== expected) throw new Error(`message ${sequence}: ${what} is ${found} instead of ${expected}`)
}
const sink: Sink = {
  io(kind, index, generation, argument) {
    check(0, next(random), "length")
    check(kind, sequence, "kind")
    check(index, word(sequence, 1), "index")
    check(generation, word(sequence, 2), "generation")
    check(argument, word(sequence, 3), "argument")
    sequence++
  },
  control(words, start, length) {
    check(length, next(random), "length")
    for (let i = 0; i < length; i++) check(words[start + i]!, word(sequence, i), `word ${i}`)
    sequence++
  }
}

let sleeps = 0
let patience = 0
while (sequence < setup.messages) {
  if (consumer.drain(1 + chance(8), sink) > 0) {
    if (consumer.grantRoom()) roomBell.ring()
    patience = chance(16) === 0 ? 0 : 300
  } else if (patience-- <= 0) {
    const count = doorbell.count
    if (!consumer.sleep()) continue
    sleeps++
    doorbell.wait(count)
    consumer.wake()
  }
}
parentPort!.postMessage({ sleeps, sequence })
