/**
 * Whether the machine, or the container, has room for another worker (X8). Pure: what there is comes in as numbers.
 */
import type { NeedLimit } from "../state/NeedReason.ts"

/** Bytes that a thread takes besides its heap and its shared memory. */
const THREAD = 16 * 1024 * 1024
/** The part of all memory that stays free. */
const RESERVE = 0.1

export interface WorkerRoom {
  /** Workers of the application, those that are going included, and the most that it may have. */
  readonly workers: number
  readonly most: number
  /** Threads of workers of all applications, those that are going included. */
  readonly threads: number
  readonly processors: number
  /** Bytes of all memory that this process may use, and of what is free of it. */
  readonly memory: number
  readonly free: number
  /** Bytes of the largest heap that a worker of the application has, and of the memory that each shares with the host. */
  readonly heap: number
  readonly shared: number
}

/** What stands in the way of one more. */
export const limitOf = (room: WorkerRoom): NeedLimit | undefined => {
  if (room.workers >= room.most) return "most"
  if (room.threads >= room.processors) return "processors"
  return room.free - (THREAD + room.heap + room.shared) < RESERVE * room.memory ? "memory" : undefined
}
