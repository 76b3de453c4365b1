/**
 * The PROXY protocol's header: what a proxy says, before anything else, of the connection that it passes on.
 *
 * Version 1 is a line of text, `PROXY TCP4 192.0.2.1 192.0.2.2 51234 443`, of at most 107 bytes with its line end.
 * Version 2 is binary:
 *
 * ```
 *  0  12  signature
 * 12   1  version 2 in the upper half, command in the lower one: 0 LOCAL, 1 PROXY
 * 13   1  address family (0 none, 1 IPv4, 2 IPv6, 3 Unix) in the upper half, protocol (0 none, 1 stream, 2 datagram)
 * 14   2  bytes that follow
 * 16      source address, destination address, source port, destination port; then type, length and value of more
 * ```
 *
 * A header is read whole or not at all. What is in it beside the addresses is checked for its form and passed over; a
 * checksum is held against the bytes.
 */
import * as Net from "node:net"

/** An address and a port. */
export interface ProxyAddress {
  readonly host: string
  readonly port: number
}

/** The two ends of a connection. */
export interface Ends {
  readonly source: ProxyAddress
  readonly destination: ProxyAddress
}

/**
 * What the beginning of a connection is.
 *
 * **Details**
 *
 * - `Incomplete`: it may become a header, of `needed` bytes at least.
 * - `Invalid`: it is none, whatever may follow.
 * - `Header`: the first `bytes` are one. `ends` is `undefined` where the proxy speaks for itself or does not know them:
 *   then the connection's own addresses are the right ones.
 */
export type Parsed =
  | { readonly _tag: "Incomplete"; readonly needed: number }
  | { readonly _tag: "Invalid"; readonly detail: string }
  | { readonly _tag: "Header"; readonly bytes: number; readonly ends: Ends | undefined }

/** The versions that a header can be written in. */
export type Version = "v1" | "v2"

const invalid = (detail: string): Parsed => ({ _tag: "Invalid", detail })

// ---------------------------------------------------------------------------------------------------------------------
// Version 1
// ---------------------------------------------------------------------------------------------------------------------

const NAME = Buffer.from("PROXY ", "latin1")
/** Bytes of a header at most, with its line end. */
const LONGEST_LINE = 107
/** `PROXY UNKNOWN` and a line end. */
const SHORTEST_LINE = 15

const CR = 13
const LF = 10

const PORT = /^(?:0|[1-9]\d{0,4})$/

/** An IPv6 address in its short form: the same address is the same text. */
const shortened = (address: string): string => new Net.SocketAddress({ family: "ipv6", address }).address

const endsOf = (family: 4 | 6, fields: ReadonlyArray<string>): Ends | undefined => {
  const [source = "", destination = "", sourcePort = "", destinationPort = ""] = fields
  const isAddress = (host: string): boolean => Net.isIP(host) === family && !host.includes("%")
  const isPort = (text: string): boolean => PORT.test(text) && Number(text) <= 65535
  if (fields.length !== 4 || !isAddress(source) || !isAddress(destination)) return undefined
  if (!isPort(sourcePort) || !isPort(destinationPort)) return undefined
  const hostOf = (host: string): string => family === 4 ? host : shortened(host)
  return {
    source: { host: hostOf(source), port: Number(sourcePort) },
    destination: { host: hostOf(destination), port: Number(destinationPort) }
  }
}

const parseLine = (bytes: Uint8Array): Parsed => {
  const end = bytes.indexOf(LF)
  if (end < 0) {
    return bytes.length >= LONGEST_LINE
      ? invalid(`its line is longer than ${LONGEST_LINE} bytes`)
      : { _tag: "Incomplete", needed: Math.max(bytes.length + 1, SHORTEST_LINE) }
  }
  if (end >= LONGEST_LINE) return invalid(`its line is longer than ${LONGEST_LINE} bytes`)
  if (bytes[end - 1] !== CR) return invalid("its line does not end with CR and LF")
  const [, protocol, ...fields] = Buffer.from(bytes.subarray(0, end - 1)).toString("latin1").split(" ")
  const header = (ends: Ends | undefined): Parsed => ({ _tag: "Header", bytes: end + 1, ends })
  // whatever follows is not to be looked at
  if (protocol === "UNKNOWN") return header(undefined)
  if (protocol !== "TCP4" && protocol !== "TCP6") return invalid("its protocol is none of TCP4, TCP6 and UNKNOWN")
  const ends = endsOf(protocol === "TCP4" ? 4 : 6, fields)
  return ends === undefined ? invalid(`it does not have two addresses and two ports of ${protocol}`) : header(ends)
}

// ---------------------------------------------------------------------------------------------------------------------
// Version 2
// ---------------------------------------------------------------------------------------------------------------------

const SIGNATURE = Buffer.from([13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10])
const PREAMBLE = 16

const UNSPECIFIED = 0
const INET = 1
const INET6 = 2
const UNIX = 3
const STREAM = 1
const DATAGRAM = 2

/** Bytes of both addresses and ports, by family. */
const ADDRESS_BYTES = { [UNSPECIFIED]: 0, [INET]: 12, [INET6]: 36, [UNIX]: 216 }

const CHECKSUM = 3

const crcTable = Int32Array.from({ length: 256 }, (_, index) => {
  let crc = index
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc
})

/** CRC32c. */
const checksum = (bytes: Uint8Array): number => {
  let crc = -1
  for (const byte of bytes) crc = crcTable[(crc ^ byte) & 0xff]! ^ (crc >>> 8)
  return ~crc >>> 0
}

const host4 = (bytes: Uint8Array): string => bytes.join(".")

const host6 = (bytes: Buffer): string => {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16))
  return shortened(groups.join(":"))
}

/** What is wrong with what follows the addresses, if anything is. */
const extrasFault = (header: Buffer, from: number): string | undefined => {
  for (let at = from; at < header.length;) {
    if (at + 3 > header.length) return "it is cut off within its extras"
    const type = header[at]!
    const length = header.readUInt16BE(at + 1)
    const value = at + 3
    if (value + length > header.length) return "one of its extras is longer than the header"
    if (type === CHECKSUM) {
      if (length !== 4) return "its checksum does not have 4 bytes"
      const copy = Buffer.from(header)
      copy.fill(0, value, value + length)
      if (checksum(copy) !== header.readUInt32BE(value)) return "its checksum is wrong"
    }
    at = value + length
  }
  return undefined
}

const parseBinary = (bytes: Uint8Array): Parsed => {
  const [kind = 0x20, form = 0, high = 0, low = 0] = bytes.subarray(SIGNATURE.length)
  const command = kind & 15
  if (kind >>> 4 !== 2) return invalid(`its version is ${kind >>> 4}`)
  if (command > 1) return invalid(`its command is ${command}`)
  const family = form >>> 4
  const protocol = form & 15
  // a proxy that speaks for itself may write anything here
  if (command === 1 && family > UNIX) return invalid(`its address family is ${family}`)
  if (command === 1 && protocol > DATAGRAM) return invalid(`its protocol is ${protocol}`)
  if (bytes.length < PREAMBLE) return { _tag: "Incomplete", needed: PREAMBLE }
  const length = PREAMBLE + (high << 8) + low
  const addressBytes = command === 1 ? ADDRESS_BYTES[family as keyof typeof ADDRESS_BYTES] : 0
  if (length < PREAMBLE + addressBytes) return invalid("it has no room for its addresses")
  if (bytes.length < length) return { _tag: "Incomplete", needed: length }
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, length)
  const whole = (ends: Ends | undefined): Parsed => ({ _tag: "Header", bytes: length, ends })
  // what follows is the proxy's own business
  if (command === 0) return whole(undefined)
  const fault = extrasFault(header, PREAMBLE + addressBytes)
  if (fault !== undefined) return invalid(fault)
  // datagrams do not come this way, and paths are no addresses
  if (protocol !== STREAM || (family !== INET && family !== INET6)) return whole(undefined)
  const size = family === INET ? 4 : 16
  const hostAt = (at: number): string => {
    const address = header.subarray(at, at + size)
    return family === INET ? host4(address) : host6(address)
  }
  const ports = PREAMBLE + 2 * size
  return whole({
    source: { host: hostAt(PREAMBLE), port: header.readUInt16BE(ports) },
    destination: { host: hostAt(PREAMBLE + size), port: header.readUInt16BE(ports + 2) }
  })
}

// ---------------------------------------------------------------------------------------------------------------------
// Both
// ---------------------------------------------------------------------------------------------------------------------

const agree = (bytes: Uint8Array, with_: Uint8Array): boolean => {
  for (let i = 0; i < bytes.length && i < with_.length; i++) if (bytes[i] !== with_[i]) return false
  return true
}

/** Bytes of a header at most, in either version. */
export const LONGEST = PREAMBLE + 65535

/**
 * Reads the header at the beginning of `bytes`, which may be all that has come so far: what can't become a header any
 * more is `Invalid` at its first wrong byte.
 */
export const parse = (bytes: Uint8Array): Parsed => {
  if (bytes.length === 0) return { _tag: "Incomplete", needed: SHORTEST_LINE }
  if (agree(bytes, NAME)) return parseLine(bytes)
  if (agree(bytes, SIGNATURE)) return parseBinary(bytes)
  return invalid("the connection does not begin with one")
}

/** An IPv4 address as an IPv6 one. */
const asIPv6 = (host: string): string => Net.isIPv4(host) ? `::ffff:${host}` : host

/** The 16 bytes of an IPv6 address. */
const bytes6 = (host: string): Uint8Array => {
  const text = host.replace(
    /(\d+)\.(\d+)\.(\d+)\.(\d+)$/,
    (_, a, b, c, d) => `${(Number(a) * 256 + Number(b)).toString(16)}:${(Number(c) * 256 + Number(d)).toString(16)}`
  )
  const [head = "", tail] = text.split("::")
  const groupsOf = (part: string): ReadonlyArray<string> => part === "" ? [] : part.split(":")
  const first = groupsOf(head)
  const last = tail === undefined ? [] : groupsOf(tail)
  const bytes = Buffer.alloc(16)
  first.forEach((group, index) => bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * index))
  last.forEach((group, index) => bytes.writeUInt16BE(Number.parseInt(group, 16), 16 - 2 * (last.length - index)))
  return bytes
}

const withoutZone = ({ host, port }: ProxyAddress): ProxyAddress => ({ host: host.split("%", 1)[0]!, port })

/**
 * Writes a header for a connection between two addresses, or for one whose addresses are not known or no IP addresses.
 *
 * **Details**
 *
 * Addresses of two families are both written as IPv6. A zone is this machine's business and left out.
 */
export const encode = (version: Version, given: Ends | undefined): Uint8Array => {
  const known = given !== undefined && Net.isIP(given.source.host) !== 0 && Net.isIP(given.destination.host) !== 0
  const ends = known
    ? { source: withoutZone(given.source), destination: withoutZone(given.destination) }
    : undefined
  const is4 = ends !== undefined && Net.isIPv4(ends.source.host) && Net.isIPv4(ends.destination.host)
  if (version === "v1") {
    if (ends === undefined) return Buffer.from("PROXY UNKNOWN\r\n", "latin1")
    const { destination, source } = ends
    const hostOf = ({ host }: ProxyAddress): string => is4 ? host : asIPv6(host)
    const addresses = `${hostOf(source)} ${hostOf(destination)} ${source.port} ${destination.port}`
    return Buffer.from(`PROXY ${is4 ? "TCP4" : "TCP6"} ${addresses}\r\n`, "latin1")
  }
  const family = ends === undefined ? UNSPECIFIED : is4 ? INET : INET6
  const header = Buffer.alloc(PREAMBLE + ADDRESS_BYTES[family])
  header.set(SIGNATURE)
  header[12] = 0x21
  header[13] = ends === undefined ? 0 : (family << 4) | STREAM
  header.writeUInt16BE(ADDRESS_BYTES[family], 14)
  if (ends === undefined) return header
  const size = is4 ? 4 : 16
  for (const [index, { host, port }] of [ends.source, ends.destination].entries()) {
    header.set(is4 ? host.split(".").map(Number) : bytes6(asIPv6(host)), PREAMBLE + index * size)
    header.writeUInt16BE(port, PREAMBLE + 2 * size + 2 * index)
  }
  return header
}
