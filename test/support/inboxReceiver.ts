/** Looks at what it is signalled until all has been seen, and sleeps in between. */
import { parentPort, workerData } from "node:worker_threads"
import * as Inbox from "../../src/domain/memory/Inbox.ts"
import { Bell } from "./Bell.ts"

export interface Setup {
  readonly inbox: SharedArrayBuffer
  readonly bell: Int32Array
  readonly done: Int32Array
  readonly slots: ReadonlyArray<number>
  readonly total: number
}

const setup = workerData as Setup
const { done, slots, total } = setup
const bell = new Bell(setup.bell)
const receiver = new Inbox.Receiver(setup.inbox)
for (const slot of slots) receiver.use(slot)

const seen = new Int32Array(Inbox.SLOTS)
let all = 0
let attempts = 0
for (;;) {
  const count = bell.count
  receiver.drain((slot) => {
    const now = Atomics.load(done, slot)
    all += now - seen[slot]!
    seen[slot] = now
  })
  if (all === total) break
  attempts++
  if (!receiver.sleep()) continue
  bell.wait(count)
  receiver.wake()
}
parentPort!.postMessage(attempts)
