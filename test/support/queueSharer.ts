/** A thread that is one of several producers of a queue: it sends numbered events until it is done or ended. */
import { parentPort, workerData } from "node:worker_threads"
import * as QueueMemory from "../../src/domain/memory/QueueMemory.ts"
import { QueueProducerShared } from "../../src/domain/memory/QueueProducerShared.ts"
import { Bell } from "./Bell.ts"

export interface Setup {
  readonly memory: SharedArrayBuffer
  readonly geometry: QueueMemory.Geometry
  readonly doorbell: Int32Array
  readonly roomBell: Int32Array
  readonly id: number
  readonly messages: number
}

const setup = workerData as Setup
const producer = new QueueProducerShared(
  { buffer: setup.memory, byteOffset: 0 },
  setup.geometry,
  new Bell(setup.doorbell).ring,
  { id: setup.id, tries: 5 }
)
const roomBell = new Bell(setup.roomBell)
const nap = Bell.memory()
const message = new Int32Array(4)

const enqueue = (sequence: number): QueueMemory.EnqueueResult => {
  const check = setup.id ^ sequence
  if ((sequence & 3) !== 3) return producer.io(setup.id, sequence, check, check)
  message[0] = setup.id
  message[1] = sequence
  message[2] = message[3] = check
  return producer.control(message, 4)
}

for (let sequence = 0, tries = 0; sequence < setup.messages;) {
  const count = roomBell.count
  if (tries > 100) producer.wantRoom()
  const result = enqueue(sequence)
  if (result === QueueMemory.Enqueued) {
    sequence++
    tries = 0
  } else if (tries++ > 100) {
    // the lock's holder may have been put to sleep by the system: let it run
    if (result === QueueMemory.Full) roomBell.wait(count)
    else Atomics.wait(nap, 0, 0, 1)
  }
}
parentPort!.postMessage({ locked: producer.locked })
