/**
 * The tables in which Linux lists the sockets of a network namespace (`/proc/net/tcp` and its like), and what a socket
 * is according to them.
 *
 * A socket is known by its inode, which is what the link of a descriptor says (`socket:[4711]`). A line has columns:
 *
 * ```
 * tcp, tcp6, udp, udp6   sl: local_address rem_address st … … … uid timeout inode …
 * unix                   Num: RefCount Protocol Flags Type St Inode Path
 * ```
 *
 * Addresses are hexadecimal, each word of 32 bits in the order of the machine, and so is the port, in that of the
 * network.
 */
import * as Address from "./Address.ts"
import type * as Endpoint from "./Endpoint.ts"

/** The tables that are looked into. A machine without IPv6 has none for it. */
export const socketTables = ["tcp", "tcp6", "udp", "udp6", "unix"] as const

/** The text of a table; empty where there is none. */
export type SocketTableReader = (table: typeof socketTables[number]) => string

/** A socket that a listener can be served on, or why it is none: words that go behind its name. */
export type ListedSocket =
  | { readonly _tag: "Serves"; readonly endpoint: Endpoint.TransportEndpoint }
  | { readonly _tag: "Unfit"; readonly why: string }

const LISTENS = "0A"
const UNCONNECTED = "07"
const ACCEPTS = 0x10000
const STREAM = "0001"

const littleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1

const addressOf = (hex: string): string => {
  const words = Buffer.from(hex, "hex")
  if (littleEndian) words.swap32()
  if (words.length === 4) return words.join(".")
  const groups = Array.from({ length: 8 }, (_, index) => words.readUInt16BE(index * 2).toString(16))
  return Address.canonical(groups.join(":"))
}

const hostPort = (text: string): Address.HostPort => {
  const [address = "", port = ""] = text.split(":")
  return { host: addressOf(address), port: Number.parseInt(port, 16) }
}

const unfit = (why: string): ListedSocket => ({ _tag: "Unfit", why })

const ofInet = (transport: "tcp" | "udp", [, local = "", , state]: ReadonlyArray<string>): ListedSocket => {
  if (transport === "tcp" && state !== LISTENS) {
    return unfit("is a connection, and no socket that listens: a socket unit needs Accept=no")
  }
  if (transport === "udp" && state !== UNCONNECTED) return unfit("is connected to a peer, and hears nobody else")
  return { _tag: "Serves", endpoint: { _tag: transport, ...hostPort(local) } }
}

const ofUnix = (columns: ReadonlyArray<string>): ListedSocket => {
  const [, , , flags = "", type] = columns
  const path = columns.slice(7).join(" ")
  if (type !== STREAM) return unfit("is a Unix socket of datagrams or packets, and only streams are served")
  if ((Number.parseInt(flags, 16) & ACCEPTS) === 0) {
    return unfit("is a Unix socket that does not listen: a socket unit needs Accept=no")
  }
  if (!path.startsWith("/")) return unfit("is a Unix socket without a path in the file system")
  return { _tag: "Serves", endpoint: { _tag: "unix", path } }
}

/** What the tables say of the socket with this inode. */
export const find = (read: SocketTableReader, inode: string): ListedSocket => {
  for (const table of socketTables) {
    const column = table === "unix" ? 6 : 9
    for (const line of read(table).split("\n")) {
      const columns = line.trim().split(/\s+/)
      if (columns[column] !== inode) continue
      return table === "unix" ? ofUnix(columns) : ofInet(table.startsWith("udp") ? "udp" : "tcp", columns)
    }
  }
  return unfit("is no socket of TCP or UDP and no Unix socket, or does not listen")
}
