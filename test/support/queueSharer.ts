/** A thread that is one of several producers of a queue: it sends numbered events until it is done or ended. */
import { parentPort, workerData } from "node:worker_threads"
import * as MessageQueue from "../../src/domain/MessageQueue.ts"
import { Bell } from "./Bell.ts"

export interface Setup {
  readonly memory: SharedArrayBuffer
  readonly geometry: MessageQueue.Geometry
  readonly doorbell: Int32Array
  readonly id: number
  readonly messages: number
}

const setup = workerData as Setup
const producer = new MessageQueue.Producer(
  { buffer: setup.memory, byteOffset: 0 },
  setup.geometry,
  new Bell(setup.doorbell).ring,
  { id: setup.id, tries: 5 }
)
const message = new Int32Array(4)
for (let sequence = 0; sequence < setup.messages;) {
  let result: MessageQueue.EnqueueResult
  if ((sequence & 3) === 3) {
    message[0] = setup.id
    message[1] = sequence
    message[2] = message[3] = setup.id ^ sequence
    result = producer.control(message, 4)
  } else {
    result = producer.io(setup.id, sequence, setup.id ^ sequence, setup.id ^ sequence)
  }
  if (result === MessageQueue.Enqueued) sequence++
  else if (result === MessageQueue.Closed) break
}
parentPort!.postMessage({ locked: producer.locked })
