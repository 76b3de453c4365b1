/** The addresses of a TCP connection's ends: as endpoint URIs, and as a connection keeps them. */
import * as Net from "node:net"
import * as Endpoint from "../../domain/net/Endpoint.ts"

/** IPv4 addresses that came in on a dual-stack listener are what they are. */
const unmapped = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/, "")

export const uri = (transport: "tcp" | "tls", address: string | undefined, port: number | undefined): string =>
  Endpoint.format({ _tag: transport, host: unmapped(address ?? "0.0.0.0"), port: port ?? 0 })

/** An address and its port as a connection keeps them: of IPv4 both in one number, for there are many; else the URI. */
export type PackedAddress = number | string

const PORTS = 2 ** 16

/** What a transport's connections have for addresses; those of paths are known from the start, and never asked for. */
type Transport = "tcp" | "tls" | "unix"

const inet = (transport: Transport): "tcp" | "tls" => transport === "tls" ? "tls" : "tcp"

export const pack = (
  transport: Transport,
  address: string | undefined,
  port: number | undefined
): PackedAddress | undefined => {
  if (address === undefined || port === undefined) return undefined
  const host = unmapped(address)
  if (!Net.isIPv4(host)) return uri(inet(transport), host, port)
  return host.split(".").reduce((bits, byte) => bits * 256 + Number(byte), 0) * PORTS + port
}

export const unpack = (transport: Transport, address: PackedAddress = 0): string => {
  if (typeof address === "string") return address
  const bits = Math.floor(address / PORTS)
  return uri(inet(transport), [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join("."), address % PORTS)
}
