/**
 * IP addresses, alone and with a port: the one spelling that each has here, and how it gets into and out of endpoint
 * URIs.
 *
 * An address can be spelled in many ways, and an IPv4 address also as an IPv6 one: a dual-stack socket reports its peer
 * 10.0.0.1 as `::ffff:10.0.0.1`. Addresses are compared by their text, so each is brought into one spelling first:
 *
 * | given | `canonical` | `plain` |
 * |---|---|---|
 * | `10.0.0.1` | `10.0.0.1` | `10.0.0.1` |
 * | `0:0:0:0:0:0:0:1` | `::1` | `::1` |
 * | `::ffff:a00:1` | `::ffff:10.0.0.1` | `10.0.0.1` |
 * | `FE80:0::1%eth0` | `fe80::1%eth0` | `fe80::1%eth0` |
 * | `example.com` | `example.com` | `example.com` |
 *
 * The spelling is the system's, since that is what sockets report. `NetAddress.formatIp` of Effect departs from it
 * (`::10.0.0.1` becomes `::a00:1`) and takes twice as long; what `effect/net` is used for is arithmetic on addresses,
 * in `Prefix` and `ProxyHeader`, and the address types of Effect's own interfaces ({@link fromUri}).
 *
 * {@link uri}, {@link pack} and {@link unpack} run for every connection, and are plain string and number operations.
 */
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import { BlockList, isIPv4, isIPv6, SocketAddress } from "node:net"

// ---- addresses

const MAPPED = /^::ffff:(?=\d+\.)/

const mapped = new BlockList()
mapped.addSubnet("::ffff:0:0", 96, "ipv6")

/**
 * The family of an address, not of its spelling: `::ffff:10.0.0.1` is IPv4. A zone makes no difference; `undefined` for
 * what is no address.
 */
export const family = (host: string): 4 | 6 | undefined => {
  if (isIPv4(host)) return 4
  if (!isIPv6(host)) return undefined
  return mapped.check(host, "ipv6") ? 4 : 6
}

/** One spelling for an address, in the family that it is written in. A zone stays, and so does what is no address. */
export const canonical = (host: string): string => {
  if (!isIPv6(host)) return host
  const [address = "", zone] = host.split("%", 2)
  const spelled = new SocketAddress({ address, family: "ipv6" }).address
  return zone === undefined ? spelled : `${spelled}%${zone}`
}

/** An address in the system's spelling; an IPv4 address that is written as IPv6 becomes IPv4. */
export const unmapped = (address: string): string => address.replace(MAPPED, "")

/** Whether an address in the system's spelling is an IPv4 address that is written as IPv6. */
export const isMapped = (address = ""): boolean => MAPPED.test(address)

/** An IPv4 address written as IPv6, as a dual-stack socket reports it; any other as it is. */
export const toMapped = (address: string): string => isIPv4(address) ? `::ffff:${address}` : address

/** One spelling for an address, whatever family it is written in. An IPv4 address has no zone. */
export const plain = (host: string): string => {
  const spelled = canonical(host)
  const [inner = ""] = unmapped(spelled).split("%", 1)
  return isIPv4(inner) ? inner : spelled
}

// ---- addresses with ports

/** A host, without brackets, and a port. */
export interface HostPort {
  readonly host: string
  readonly port: number
}

/**
 * The endpoint URI of an address that a socket reports; an IPv4 address is written as IPv4. A socket whose connection
 * is gone reports nothing: its URI has address `0.0.0.0` and port 0.
 */
export const uri = (transport: "tcp" | "tls" | "udp", address = "0.0.0.0", port = 0): string => {
  const host = unmapped(address)
  return host.includes(":") ? `${transport}://[${host}]:${port}` : `${transport}://${host}:${port}`
}

const INET = /^[a-z]+:\/\/(?:\[([^\]]+)\]|([^[\]:/]+)):(\d{1,5})$/i
const UNIX = /^unix:\/\//i

/** Host and port of an endpoint URI, whatever its transport; `undefined` if it has no port. */
export const hostPort = (uri: string): HostPort | undefined => {
  const [, bracketed, bare, port] = INET.exec(uri) ?? []
  const host = bracketed ?? bare
  return host === undefined ? undefined : { host, port: Number(port) }
}

/**
 * An endpoint URI as one of Effect's addresses: with its port, or a path. A name in local scope has no address; its URI
 * takes the place of one. Fails when the host is a name, or the port is above 65535.
 */
export const fromUri = (uri: string): Result.Result<NetAddress.SocketAddress, NetAddress.NetAddressError> => {
  const inet = hostPort(uri)
  return inet === undefined
    ? Result.succeed(NetAddress.unixPathAddress(uri.replace(UNIX, "")))
    : NetAddress.inetAddressFromIpString(inet.host, inet.port)
}

// ---- addresses with ports, packed

/**
 * An address and its port as a connection keeps them, since there are many connections: for IPv4, address and port
 * share one number, and a bit above them says whether the address was written as IPv6; otherwise it is the URI.
 */
export type PackedAddress = number | string

const PORTS = 2 ** 16
const MAPPED_BIT = 2 ** 48

/** Packs an address; `undefined` where a socket reports none. */
export const pack = (
  transport: "tcp" | "tls",
  address: string | undefined,
  port: number | undefined
): PackedAddress | undefined => {
  if (address === undefined || port === undefined) return undefined
  const host = unmapped(address)
  if (!isIPv4(host)) return uri(transport, host, port)
  const bits = host.split(".").reduce((bits, byte) => bits * 256 + Number(byte), 0) * PORTS + port
  return host === address ? bits : bits + MAPPED_BIT
}

/** Whether a packed address was an IPv4 address that was written as IPv6. */
export const isPackedMapped = (packed: PackedAddress = 0): boolean => typeof packed === "number" && packed >= MAPPED_BIT

/** The URI of a packed address. */
export const unpack = (transport: "tcp" | "tls", packed: PackedAddress = 0): string => {
  if (typeof packed === "string") return packed
  const bits = Math.floor(packed / PORTS)
  return uri(transport, [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join("."), packed % PORTS)
}
