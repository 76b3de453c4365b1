/**
 * What Node's `listen`, `address` and errors of a listen are called here, and the other way round.
 */
import type * as Net from "node:net"
import { constants } from "node:os"
import * as Endpoint from "../../../domain/net/Endpoint.ts"
import type * as SystemError from "../../../domain/net/SystemError.ts"
import * as Thrown from "../../../domain/report/Thrown.ts"
import type { ListenReason } from "../../../domain/state/Refusal.ts"
import { ListenFailed } from "../../../services/Sessions.ts"

/** The endpoint of a port, with the address in brackets where it needs them. */
export const tcp = (host: unknown, port: unknown): string =>
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

const CODES: Record<ListenReason, SystemError.SystemErrorCode | "EIO" | "ENOTCONN"> = {
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

const isNumbered = (code: string): code is keyof typeof constants.errno => code in constants.errno

/** The number of an error, as Node's handles return it. */
export const errnoOf = (code: string): number => -constants.errno[isNumbered(code) ? code : "EIO"]

/** The code of the error that a failed listen is. */
export const codeOfListen = (reason: ListenReason): string => CODES[reason]

/** Its number. */
export const errnoOfListen = (reason: ListenReason): number => errnoOf(CODES[reason])

/** What a server emits as `error` when it could not listen. */
export const errorOf = (cause: unknown): NodeJS.ErrnoException => {
  const code = cause instanceof ListenFailed ? CODES[cause.reason._tag] : "EIO"
  return Object.assign(new Error(`listen ${code}: ${Thrown.sentenceOf(cause)}`, { cause }), { code, syscall: "listen" })
}
