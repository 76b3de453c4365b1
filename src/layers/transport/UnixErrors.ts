/**
 * What the system's errors mean for Unix sockets: a reason and a sentence that says what to do about it.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import * as SystemError from "../../domain/net/SystemError.ts"
import * as Thrown from "../../domain/report/Thrown.ts"
import { type TransportEndpointOf, TransportError } from "../../services/Transport.ts"
import type * as UnixSocketFile from "../system/UnixSocketFile.ts"

type Unix = TransportEndpointOf<"unix">
type Explained = Pick<TransportError, "reason" | "detail">

const explainListen = (reason: UnixSocketFile.UnixPathReason, { path }: Unix): Explained => {
  switch (reason._tag) {
    case "InUse":
      return { reason: "AddressInUse", detail: "another program listens there; stop it, or choose another path" }
    case "NotASocket":
      return {
        reason: "AddressInUse",
        detail: "what is there is not a socket, and is left alone; remove it, or choose another path"
      }
    case "System":
      return explainSystem(reason.cause, Path.dirname(path))
  }
}

const explainSystem = (cause: unknown, directory: string): Explained => {
  switch (SystemError.kindOf(cause)) {
    case "NotFound":
      return {
        reason: "AddressNotAvailable",
        detail: `there is no directory ${directory}; make it first, or choose another path`
      }
    case "PermissionDenied":
      return {
        reason: "PermissionDenied",
        detail: `permission denied; use a directory that this program may write to, instead of ${directory}`
      }
    default:
      return { reason: "TransportFailed", detail: Thrown.sentenceOf(cause) }
  }
}

const explainConnect = (cause: Error, { path }: Unix): Explained => {
  switch (SystemError.kindOf(cause)) {
    case "NotFound":
      return { reason: "ConnectionRefused", detail: "there is no such socket; start what listens there" }
    case "ConnectionRefused":
      return Fs.lstatSync(path, { throwIfNoEntry: false })?.isSocket() === false
        ? { reason: "ConnectionRefused", detail: "what is there is not a socket" }
        : { reason: "ConnectionRefused", detail: "nobody listens there" }
    case "OtherSocketType":
      return { reason: "ConnectionRefused", detail: "the socket there is not one for connections" }
    case "Busy":
      return {
        reason: "ConnectionRefused",
        detail: "the program that listens there takes no more connections; try again later"
      }
    case "PermissionDenied":
      return { reason: "PermissionDenied", detail: "permission denied; see the permissions of the socket's file" }
    default:
      return { reason: "TransportFailed", detail: cause.message }
  }
}

/** Why a listen failed. */
export const listenFailed = (endpoint: Unix, reason: UnixSocketFile.UnixPathReason): TransportError =>
  new TransportError({
    operation: "listen",
    endpoint: Endpoint.format(endpoint),
    ...explainListen(reason, endpoint)
  })

/** Why a connect failed. */
export const connectFailed = (endpoint: Unix, cause: Error): TransportError =>
  new TransportError({
    operation: "connect",
    endpoint: Endpoint.format(endpoint),
    ...explainConnect(cause, endpoint)
  })
