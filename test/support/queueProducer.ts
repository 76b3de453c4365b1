/** A thread that is the only producer of a queue: it sleeps when there is no room. */
import { parentPort, workerData } from "node:worker_threads"
import * as QueueMemory from "../../src/domain/memory/QueueMemory.ts"
import { QueueProducer } from "../../src/domain/memory/QueueProducer.ts"
import { Bell } from "./Bell.ts"
import type { Setup } from "./queueTraffic.ts"
import { next, word } from "./queueTraffic.ts"
import * as Random from "./random.ts"

const setup = workerData as Setup
const doorbell = new Bell(setup.doorbell)
const roomBell = new Bell(setup.roomBell)
const random = Random.make(setup.seed)
const chance = Random.make(setup.seed + 1)
const message = new Int32Array(QueueMemory.CONTROL_WORDS)
const producer = new QueueProducer(
  { buffer: setup.memory, byteOffset: 0 },
  setup.geometry,
  doorbell.ring
)

const enqueue = (sequence: number, length: number): QueueMemory.EnqueueResult => {
  if (length === 0) return producer.io(sequence, word(sequence, 1), word(sequence, 2), word(sequence, 3))
  for (let i = 0; i < length; i++) message[i] = word(sequence, i)
  return producer.control(message, length)
}

let waits = 0
for (let sequence = 0; sequence < setup.messages; sequence++) {
  const length = next(random)
  const corked = chance(8) === 0
  if (corked) producer.cork()
  let patience = chance(16) === 0 ? 0 : 300
  while (enqueue(sequence, length) === QueueMemory.Full) {
    if (patience-- > 0) continue
    const count = roomBell.count
    producer.wantRoom()
    if (enqueue(sequence, length) === QueueMemory.Enqueued) break
    waits++
    roomBell.wait(count)
  }
  if (corked) producer.uncork()
}
parentPort!.postMessage({ waits })
