/**
 * What Node's `listen`, `address` and errors of a listen are called here, and the other way round.
 */
import type * as Net from "node:net"
import * as Endpoint from "../../../domain/net/Endpoint.ts"
import * as Thrown from "../../../domain/report/Thrown.ts"
import { ListenFailed } from "../../../services/Sessions.ts"

/** The endpoint of a port, with the address in brackets where it needs them. */
const tcp = (host: unknown, port: unknown): string =>
  Endpoint.format({ _tag: "tcp", host: typeof host === "string" && host !== "" ? host : "0.0.0.0", port: Number(port) })

/** The endpoints that a call of `listen` names, whatever its form; `all` where it names none. */
export const endpointsOf = (args: ReadonlyArray<unknown>, all: ReadonlyArray<string>): ReadonlyArray<string> => {
  const [first, second] = args
  if (first === undefined || first === null || typeof first === "function") return all
  if (typeof first === "number") return [tcp(second, first)]
  if (typeof first === "string") {
    if (first.includes("://")) return [first]
    return /^\d+$/.test(first) ? [tcp(second, first)] : [`unix://${first}`]
  }
  const { host, path, port } = first as Net.ListenOptions
  return [path === undefined ? tcp(host, port ?? 0) : `unix://${path}`]
}

/** What `address()` answers for a listener's endpoint. */
export const addressOf = (local: string): Net.AddressInfo | string => {
  const endpoint = Endpoint.inetOf(local)
  // for a Unix socket, Node gives the path
  if (endpoint === undefined) return local.replace(/^unix:\/\//, "")
  const { host, port } = endpoint
  return { address: host, port, family: host.includes(":") ? "IPv6" : "IPv4" }
}

const CODES: Record<ListenFailed["reason"]["_tag"], string> = {
  InvalidEndpoint: "EINVAL",
  AlreadyListening: "EADDRINUSE",
  AddressInUse: "EADDRINUSE",
  AddressNotAvailable: "EADDRNOTAVAIL",
  PermissionDenied: "EACCES",
  OutOfScope: "EACCES",
  NoMemory: "ENOMEM",
  NoCertificate: "EINVAL",
  TransportFailed: "EIO",
  Detached: "ENOTCONN"
}

/** What a server emits as `error` when it could not listen. */
export const errorOf = (cause: unknown): NodeJS.ErrnoException => {
  const code = cause instanceof ListenFailed ? CODES[cause.reason._tag] : "EIO"
  return Object.assign(new Error(`listen ${code}: ${Thrown.sentenceOf(cause)}`, { cause }), { code, syscall: "listen" })
}
