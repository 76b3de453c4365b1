/**
 * What the machine, or the container, lets this process have.
 */
import * as Context from "effect/Context"
import * as Os from "node:os"

export interface Machine {
  /** How many threads may run at once: by the processors there are, those this process may use, and its quota of them. */
  readonly processors: () => number
  /** Bytes of memory that this process may use, and of what is free of it. */
  readonly memory: () => { readonly total: number; readonly free: number }
}

/**
 * In a container that is what its limit leaves beside this process. What the system has read of files for it counts as
 * used there, but is given back when memory is asked for, so it is left out.
 */
const memory: Machine["memory"] = () => {
  const all = Os.totalmem()
  // 0, or a number that is larger than any memory, where nothing is set
  const limit = process.constrainedMemory()
  if (limit <= 0 || limit >= all) return { total: all, free: Os.freemem() }
  return { total: limit, free: Math.min(Os.freemem(), limit - process.memoryUsage.rss()) }
}

/** This machine, unless a program says otherwise. */
export const Machine = Context.Reference<Machine>("sluice/system/Machine", {
  defaultValue: () => ({ processors: Os.availableParallelism, memory })
})
