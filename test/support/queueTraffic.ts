/** What the queue's threads send each other: both sides work out the same messages from a seed. */
import { CONTROL_WORDS } from "../../src/domain/memory/QueueMemory.ts"
import type { Geometry } from "../../src/domain/memory/QueueMemory.ts"
import type { Random } from "./random.ts"

export interface Setup {
  readonly memory: SharedArrayBuffer
  readonly geometry: Geometry
  readonly doorbell: Int32Array
  readonly roomBell: Int32Array
  readonly messages: number
  readonly seed: number
}

/** Words of the next control message, or 0 when an IO event is next: one in four is a control message. */
export const next = (random: Random): number => random(4) > 0 ? 0 : 1 + random(random(8) === 0 ? CONTROL_WORDS : 6)

export const word = (sequence: number, at: number): number => Math.imul(sequence + 1, 0x9e3779b1) ^ at
