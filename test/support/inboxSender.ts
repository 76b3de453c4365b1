/** One of several who write to an inbox: counts up a word per slot, then signals the slot. */
import { parentPort, workerData } from "node:worker_threads"
import * as Inbox from "../../src/domain/memory/Inbox.ts"
import { Bell } from "./Bell.ts"
import * as Random from "./random.ts"

export interface Setup {
  readonly inbox: SharedArrayBuffer
  readonly bell: Int32Array
  /** What was done for each slot so far. */
  readonly done: Int32Array
  readonly slots: ReadonlyArray<number>
  readonly signals: number
  readonly seed: number
}

const { bell, done, inbox, seed, signals, slots } = workerData as Setup
let rings = 0
const { ring } = new Bell(bell)
const sender = new Inbox.Sender(inbox, () => {
  rings++
  ring()
})
const random = Random.make(seed)

for (let i = 0; i < signals; i++) {
  const slot = slots[random(slots.length)]!
  Atomics.add(done, slot, 1)
  sender.signal(slot)
  // long enough, now and then, for the receiver to fall asleep
  if (random(64) === 0) { for (let pause = random(20_000); pause > 0; pause--) Atomics.load(done, slot) }
}
parentPort!.postMessage(rings)
