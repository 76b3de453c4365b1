/**
 * The sockets that a service manager has given this process: systemd's protocol of socket activation, from a socket unit
 * or from `systemd-socket-activate`.
 *
 * ```
 * LISTEN_PID       the process that they are for: they are left alone by every other one
 * LISTEN_FDS       how many there are: descriptors 3, 4, …
 * LISTEN_FDNAMES   their names (FileDescriptorName= of a socket unit), separated by colons; "unknown" without
 * ```
 *
 * The variables are read once and taken out of the environment, so that no program which this one starts takes them for
 * its own. Node itself has made the descriptors ones that its children don't get.
 *
 * What a descriptor is, is in the system's tables ({@link SocketTable}): Node can't tell without beginning to accept.
 */
import * as Result from "effect/Result"
import * as Fs from "node:fs"
import * as SocketTable from "../../domain/net/SocketTable.ts"
import type { InheritedSocket } from "./InheritedSockets.ts"

/** The first descriptor: those below are the standard ones. */
const FIRST = 3
/** More than a service manager gives; a number beyond is nonsense. */
const MOST = 1024
/** The variables, which are for one process and none that it starts. */
export const VARIABLES: ReadonlyArray<string> = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"]

const SOCKET = /^socket:\[(\d+)\]$/

const textOf = (read: () => string): string => Result.getOrElse(Result.try(read), () => "")

const readTable: SocketTable.SocketTableReader = (table) =>
  textOf(() => Fs.readFileSync(`/proc/self/net/${table}`, "latin1"))

const look = (descriptor: number): SocketTable.ListedSocket => {
  const link = textOf(() => Fs.readlinkSync(`/proc/self/fd/${descriptor}`))
  const inode = SOCKET.exec(link)?.[1]
  if (inode !== undefined) return SocketTable.find(readTable, inode)
  return { _tag: "Unfit", why: link === "" ? "is not open" : "is not a socket" }
}

/** What a service manager has given. */
export interface Activation {
  readonly sockets: ReadonlyArray<InheritedSocket>
  /** Sentences about what was given and can't be used. */
  readonly faults: ReadonlyArray<string>
}

const without = (...faults: ReadonlyArray<string>): Activation => ({ sockets: [], faults })

/** The sockets that the environment tells of. Its variables are removed. */
export const read = (environment: NodeJS.ProcessEnv, pid: number): Activation => {
  const { LISTEN_FDNAMES: names, LISTEN_FDS: count, LISTEN_PID: meant } = environment
  for (const variable of VARIABLES) delete environment[variable]
  if (count === undefined) return without()
  if (meant !== String(pid)) {
    return without(
      `LISTEN_FDS is for process ${
        meant ?? "(none is named)"
      }, and this is process ${pid}: begin a command that stands in `
        + "front of it with exec"
    )
  }
  if (!/^[1-9]\d{0,3}$/.test(count) || Number(count) > MOST) {
    return without(`LISTEN_FDS is ${JSON.stringify(count)}, and not a number from 1 to ${MOST}`)
  }
  const given = names?.split(":") ?? []
  const sockets: Array<InheritedSocket> = []
  const faults: Array<string> = []
  for (let index = 0; index < Number(count); index++) {
    const name = given[index] || "unknown"
    const descriptor = FIRST + index
    const socket = look(descriptor)
    if (socket._tag === "Serves") sockets.push({ name, descriptor, endpoint: socket.endpoint })
    else faults.push(`descriptor ${descriptor} (${JSON.stringify(name)}) ${socket.why}`)
  }
  return { sockets, faults }
}
