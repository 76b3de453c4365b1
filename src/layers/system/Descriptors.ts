/**
 * How many files and sockets this process may have open, and whether it is about to run out of them.
 *
 * A descriptor is the lowest number that is free. So the number of a connection that was just accepted tells how many
 * are left, and no call has to be made for it. Where nothing is left, the system's answer to an accept is nobody's to
 * see: libuv takes the waiting connections and closes them in silence. So a listener refuses connections while there
 * are still a few descriptors, for files, for the control socket, and for connections on their way to a worker.
 */

/** The most descriptors that connections leave free; of a small limit, an eighth. */
const RESERVED = 16

interface Report {
  readonly userLimits?: { readonly open_files?: { readonly soft?: number | "unlimited" } }
}

const readLimit = (): number => {
  const { report } = process
  const before: unknown = Reflect.get(report, "excludeNetwork")
  // the part about the network may look names up
  Reflect.set(report, "excludeNetwork", true)
  const { userLimits } = report.getReport() as Report
  Reflect.set(report, "excludeNetwork", before)
  const soft = userLimits?.open_files?.soft
  return typeof soft === "number" ? soft : Infinity
}

let known: number | undefined

/** The most descriptors of this process; infinite where the system has no such limit. Asked for once. */
export const limit = (): number => known ??= readLimit()

/** Whether a descriptor is one of those that connections leave free, where `max` is the limit. */
export const isReserved = (descriptor: number, max = limit()): boolean =>
  descriptor >= max - Math.min(RESERVED, max >> 3)
