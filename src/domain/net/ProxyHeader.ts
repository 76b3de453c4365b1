/**
 * The PROXY protocol's header: what a proxy says, before anything else, about the connection that it passes on.
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
 * A header is read whole or not at all. Whatever it has besides the addresses is checked for its form and ignored; a
 * checksum is checked against the bytes.
 */
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import * as Net from "node:net"
import * as Address from "./Address.ts"

/** The two ends of a connection. */
export interface ProxyEnds {
  readonly source: Address.HostPort
  readonly destination: Address.HostPort
}

/**
 * What the beginning of a connection is.
 *
 * **Details**
 *
 * - `Incomplete`: it may become a header, of `needed` bytes at least.
 * - `Invalid`: it is not a header, whatever may follow.
 * - `Header`: the first `bytes` are one. `ends` is `undefined` where the proxy speaks for itself or does not know the
 *   two ends: then the connection's own addresses are the right ones.
 */
export type Parsed =
  | { readonly _tag: "Incomplete"; readonly needed: number }
  | { readonly _tag: "Invalid"; readonly detail: string }
  | { readonly _tag: "Header"; readonly bytes: number; readonly ends: ProxyEnds | undefined }

/** The versions that a header can be written in. */
export type Version = "v1" | "v2"

const invalid = (detail: string): Parsed => ({ _tag: "Invalid", detail })

// ---------------------------------------------------------------------------------------------------------------------
// Version 1
// ---------------------------------------------------------------------------------------------------------------------

const NAME = Buffer.from("PROXY ", "latin1")
/** The most bytes of a header of version 1, with its line end. */
const LONGEST_LINE = 107
/** `PROXY UNKNOWN` and a line end. */
const SHORTEST_LINE = 15

const CR = 13
const LF = 10

const PORT = /^(?:0|[1-9]\d{0,4})$/

const endsOf = (family: 4 | 6, fields: ReadonlyArray<string>): ProxyEnds | undefined => {
  const [source = "", destination = "", sourcePort = "", destinationPort = ""] = fields
  const isAddress = (host: string): boolean => Net.isIP(host) === family && !host.includes("%")
  const isPort = (text: string): boolean => PORT.test(text) && Number(text) <= 65535
  if (fields.length !== 4 || !isAddress(source) || !isAddress(destination)) return undefined
  if (!isPort(sourcePort) || !isPort(destinationPort)) return undefined
  return {
    source: { host: Address.canonical(source), port: Number(sourcePort) },
    destination: { host: Address.canonical(destination), port: Number(destinationPort) }
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
  const header = (ends: ProxyEnds | undefined): Parsed => ({ _tag: "Header", bytes: end + 1, ends })
  // whatever follows is to be ignored
  if (protocol === "UNKNOWN") return header(undefined)
  if (protocol !== "TCP4" && protocol !== "TCP6") return invalid("its protocol is not TCP4, TCP6 or UNKNOWN")
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

/** What is wrong, if anything, with what follows the addresses. */
const extrasFault = (header: Buffer, from: number): string | undefined => {
  for (let at = from; at < header.length;) {
    if (at + 3 > header.length) return "it is cut off within its extras"
    const type = header[at]!
    const length = header.readUInt16BE(at + 1)
    const value = at + 3
    if (value + length > header.length) return "one of its extras is longer than the header"
    if (type === CHECKSUM) {
      if (length !== 4) return "its checksum is not 4 bytes long"
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
  const whole = (ends: ProxyEnds | undefined): Parsed => ({ _tag: "Header", bytes: length, ends })
  // what follows is the proxy's own business
  if (command === 0) return whole(undefined)
  const fault = extrasFault(header, PREAMBLE + addressBytes)
  if (fault !== undefined) return invalid(fault)
  // datagrams do not come this way, and paths are not addresses
  if (protocol !== STREAM || (family !== INET && family !== INET6)) return whole(undefined)
  const size = family === INET ? 4 : 16
  const hostAt = (at: number): string => {
    const bytes = header.subarray(at, at + size)
    const address = size === 4 ? NetAddress.ipv4FromBytesUnsafe(bytes) : NetAddress.ipv6FromBytesUnsafe(bytes)
    return Address.canonical(NetAddress.formatIp(address))
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

/** The most bytes of a header, in either version. */
export const LONGEST = PREAMBLE + 65535

/**
 * Reads the header at the beginning of `bytes`, which may be only what has come so far: what can no longer become a
 * header is `Invalid` at its first wrong byte.
 */
export const parse = (bytes: Uint8Array): Parsed => {
  if (bytes.length === 0) return { _tag: "Incomplete", needed: SHORTEST_LINE }
  if (agree(bytes, NAME)) return parseLine(bytes)
  if (agree(bytes, SIGNATURE)) return parseBinary(bytes)
  return invalid("the connection does not begin with one")
}

/** An address without its zone, which is this machine's business; `undefined` for a name. */
const addressOf = ({ host }: Address.HostPort): NetAddress.IpAddress | undefined =>
  Result.getOrUndefined(NetAddress.ipFromString(host.split("%", 1)[0]!))

const octetsOf = (address: NetAddress.IpAddress): ReadonlyArray<number> =>
  NetAddress.isIpv4Address(address) ? NetAddress.ipv4ToOctets(address) : NetAddress.ipv6ToOctets(address)

const inIPv6 = (address: NetAddress.IpAddress): NetAddress.Ipv6Address =>
  NetAddress.isIpv4Address(address) ? NetAddress.toIpv4Mapped(address) : address

/** The addresses of both ends in one family, which is IPv4 where both are, and IPv6 otherwise. */
const inOneFamily = (
  ends: ProxyEnds | undefined
): readonly [NetAddress.IpAddress, NetAddress.IpAddress] | undefined => {
  if (ends === undefined) return undefined
  const source = addressOf(ends.source)
  const destination = addressOf(ends.destination)
  if (source === undefined || destination === undefined) return undefined
  const both4 = NetAddress.isIpv4Address(source) && NetAddress.isIpv4Address(destination)
  return both4 ? [source, destination] : [inIPv6(source), inIPv6(destination)]
}

/**
 * Writes a header for a connection between two addresses. If they are not known, or an end is a name, the header says
 * nothing about them. If the addresses are of different families, both are written as IPv6.
 */
export const encode = (version: Version, ends: ProxyEnds | undefined): Uint8Array => {
  const addresses = inOneFamily(ends)
  if (ends === undefined || addresses === undefined) {
    return version === "v1" ? Buffer.from("PROXY UNKNOWN\r\n", "latin1") : preamble(UNSPECIFIED)
  }
  const is4 = NetAddress.isIpv4Address(addresses[0])
  const ports = [ends.source.port, ends.destination.port]
  if (version === "v1") {
    const fields = [...addresses.map(NetAddress.formatIp), ...ports].join(" ")
    return Buffer.from(`PROXY ${is4 ? "TCP4" : "TCP6"} ${fields}\r\n`, "latin1")
  }
  const header = preamble(is4 ? INET : INET6)
  const octets = addresses.flatMap(octetsOf)
  header.set(octets, PREAMBLE)
  ports.forEach((port, index) => header.writeUInt16BE(port, PREAMBLE + octets.length + 2 * index))
  return header
}

/** The beginning of a header of version 2, with room for the addresses. */
const preamble = (family: typeof UNSPECIFIED | typeof INET | typeof INET6): Buffer => {
  const header = Buffer.alloc(PREAMBLE + ADDRESS_BYTES[family])
  header.set(SIGNATURE)
  header[12] = 0x21
  header[13] = family === UNSPECIFIED ? 0 : (family << 4) | STREAM
  header.writeUInt16BE(ADDRESS_BYTES[family], 14)
  return header
}
