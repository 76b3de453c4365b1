/**
 * What the system's errors mean for listens and connects over IP: a reason, and a sentence that says what to do about
 * it.
 *
 * The same code means different things in different places. From a bind, `EADDRNOTAVAIL` means an address that is not
 * this machine's; from a connect, a source port that the very same connection has already, no port left to connect
 * from, or no address of that family. So it matters which call failed, and whether a source was asked for.
 *
 * A name may have several addresses, and each attempt has an error of its own. The error of the attempt that got
 * furthest is reported: a host that refused says more than an address that cannot be reached.
 */
import * as Os from "node:os"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import * as SystemError from "../../domain/net/SystemError.ts"
import { type AcceptError, TransportError } from "../../services/Transport.ts"

type Reason = TransportError["reason"]

/** What is wrong, for an error whose operation and endpoint are known. */
type Explained = Pick<TransportError, "reason" | "detail">

const reasons: Partial<Record<SystemError.SystemErrorKind, Reason>> = {
  AddressInUse: "AddressInUse",
  AddressNotAvailable: "AddressNotAvailable",
  PermissionDenied: "PermissionDenied",
  ConnectionRefused: "ConnectionRefused",
  Unreachable: "Unreachable",
  NoSuchFamily: "Unreachable",
  TimedOut: "TimedOut",
  Reset: "Reset"
}

const shortages: Partial<Record<SystemError.SystemErrorKind, string>> = {
  ProcessFiles: "this process has as many files open as it may; raise its limit, or close some",
  MachineFiles: "this machine has as many files open as it may; raise its limit, or close some",
  SocketMemory: "this machine has no memory for another socket; close some, or try again later"
}

/** What the table has for the kind of an error. */
const lookUp = <A>(table: Partial<Record<SystemError.SystemErrorKind, A>>, error: Error): A | undefined => {
  const kind = SystemError.kindOf(error)
  return kind === undefined ? undefined : table[kind]
}

/** The reason of the attempt that got furthest goes first. */
const furthest: ReadonlyArray<Reason> = [
  "Reset",
  "ConnectionRefused",
  "TimedOut",
  "PermissionDenied",
  "AddressInUse",
  "AddressNotAvailable",
  "Unreachable",
  "NoCertificate",
  "TlsFailed",
  "TransportFailed"
]

const isLookup = (error: NodeJS.ErrnoException): boolean => error.syscall === "getaddrinfo"

const isLinkLocal = (host: string): boolean => /^fe[89ab][0-9a-f]:/i.test(host)

const NEEDS_ZONE = "a link-local address needs the interface that it is on, as in [fe80::1%eth0]"

const unknown = (error: NodeJS.ErrnoException): Explained => ({
  reason: "TransportFailed",
  detail: lookUp(shortages, error) ?? error.message
})

const nameless = (error: NodeJS.ErrnoException, host: string, family?: 4 | 6): Explained => ({
  reason: "Unreachable",
  detail: SystemError.kindOf(error) === "NameLater"
    ? `the name ${host} can't be looked up at the moment; try again later, or use an address`
    : `no host named ${host}${family === undefined ? "" : ` with an IPv${family} address`} was found`
})

// ---- listen

/** Ports below this one are for the superuser, unless the system has been told otherwise. */
const PRIVILEGED = 1024

const PRIVILEGED_PORT = `this user may not listen on ports below ${PRIVILEGED}; choose a higher one, or allow it: `
  + "AmbientCapabilities=CAP_NET_BIND_SERVICE in a systemd unit, or sysctl net.ipv4.ip_unprivileged_port_start"

const listenFault = (endpoint: Endpoint.InetEndpoint, error: NodeJS.ErrnoException): Explained => {
  // listening on a name means listening on an address that it has
  if (isLookup(error)) return { ...nameless(error, endpoint.host), reason: "AddressNotAvailable" }
  if (SystemError.kindOf(error) === "NotValid" && isLinkLocal(endpoint.host)) {
    return { reason: "AddressNotAvailable", detail: NEEDS_ZONE }
  }
  const reason = SystemError.kindOf(error) === "NoSuchFamily" ? "AddressNotAvailable" : lookUp(reasons, error)
  switch (reason) {
    case "AddressInUse":
      return {
        reason,
        detail: endpoint.port === 0
          ? "all ports of that address are in use; close some listeners"
          : "another program listens there; choose another port, or port 0 for a free one"
      }
    case "AddressNotAvailable":
      return { reason, detail: "this machine has no such address; use one that it has, or 0.0.0.0 for all of them" }
    case "PermissionDenied":
      return { reason, detail: endpoint.port > 0 && endpoint.port < PRIVILEGED ? PRIVILEGED_PORT : "permission denied" }
    default:
      return unknown(error)
  }
}

/** Why a listen failed. */
export const listenFailed = (endpoint: Endpoint.InetEndpoint, error: NodeJS.ErrnoException): TransportError =>
  new TransportError({ operation: "listen", endpoint: Endpoint.format(endpoint), ...listenFault(endpoint, error) })

// ---- connect

const hasIPv6 = (): boolean =>
  Object.values(Os.networkInterfaces()).some((addresses) => addresses?.some(({ family }) => family === "IPv6") === true)

const noAddress = (
  endpoint: Endpoint.InetEndpoint,
  source: Endpoint.InetEndpoint | undefined,
  error: NodeJS.ErrnoException
): Explained => {
  const from = source === undefined ? "" : Endpoint.format(source)
  if (error.syscall === "bind") {
    return {
      reason: "AddressNotAvailable",
      detail: `source ${from} is not an address of this machine; use one that is, or leave the source out`
    }
  }
  if (source !== undefined && source.port !== 0) return portTaken(source)
  const to = (error as { readonly address?: string }).address ?? endpoint.host
  return to.includes(":") && !hasIPv6()
    ? { reason: "Unreachable", detail: "this machine has no IPv6 address to connect from; use an IPv4 address" }
    : portTaken(source)
}

const portTaken = (source: Endpoint.InetEndpoint | undefined): Explained => ({
  reason: "AddressInUse",
  detail: source === undefined
    ? "no port is left to connect from; close some connections to that host, or connect from another source address"
    : source.port === 0
    ? `source ${Endpoint.format(source)} has no port left; close some connections, or use another source address`
    : `source ${Endpoint.format(source)} is in use; choose another port, or port 0 for a free one`
})

const denied = (source: Endpoint.InetEndpoint | undefined, error: NodeJS.ErrnoException): Explained => ({
  reason: "PermissionDenied",
  detail: error.syscall === "bind" && source !== undefined
    ? `source ${Endpoint.format(source)}: permission denied; ports below 1024 are usually reserved`
    : "permission denied; a rule of this machine's firewall may forbid it"
})

const details: Partial<Record<Reason, string>> = {
  ConnectionRefused: "nobody listens there",
  Unreachable: "there is no route to that host; check the address, and the network of this machine",
  TimedOut: "the host did not answer; check the address, and that no firewall is in between",
  Reset: "the peer reset the connection at once; try again"
}

const connectFault = (
  endpoint: Endpoint.InetEndpoint,
  source: Endpoint.InetEndpoint | undefined,
  error: NodeJS.ErrnoException
): Explained => {
  if (isLookup(error)) return nameless(error, endpoint.host, source === undefined ? undefined : Endpoint.family(source))
  if (SystemError.kindOf(error) === "NotValid") {
    if (source === undefined) {
      return isLinkLocal(endpoint.host) ? { reason: "Unreachable", detail: NEEDS_ZONE } : unknown(error)
    }
    const from = Endpoint.format(source)
    const detail = error.syscall === "bind" && isLinkLocal(source.host)
      ? `source ${from}: ${NEEDS_ZONE}`
      : `there is no route from source ${from} to that host; use another source, or leave it out`
    return { reason: "AddressNotAvailable", detail }
  }
  const reason = lookUp(reasons, error)
  switch (reason) {
    case "AddressNotAvailable":
      return noAddress(endpoint, source, error)
    case "AddressInUse":
      return portTaken(source)
    case "PermissionDenied":
      return denied(source, error)
    case undefined:
      return unknown(error)
    default:
      return { reason, detail: details[reason] ?? error.message }
  }
}

/** Why a connect failed; after several attempts, why the one that got furthest did. */
export const connectFailed = (
  endpoint: Endpoint.InetEndpoint,
  source: Endpoint.InetEndpoint | undefined,
  error: NodeJS.ErrnoException
): TransportError => {
  const attempts: ReadonlyArray<NodeJS.ErrnoException> = error instanceof AggregateError ? error.errors : [error]
  const [first = unknown(error)] = attempts
    .map((attempt) => connectFault(endpoint, source, attempt))
    .sort((one, other) => furthest.indexOf(one.reason) - furthest.indexOf(other.reason))
  return new TransportError({ operation: "connect", endpoint: Endpoint.format(endpoint), ...first })
}

/** What is wrong with a source before the system has been asked. */
export const sourceFault = (
  endpoint: Endpoint.InetEndpoint,
  source: Endpoint.InetEndpoint
): TransportError | undefined => {
  const from = Endpoint.family(source)
  const to = Endpoint.family(endpoint)
  if (from !== undefined && (to === undefined || to === from)) return undefined
  const detail = from === undefined
    ? `source ${Endpoint.format(source)} is a name; use an address of this machine, or leave the source out`
    : `source ${Endpoint.format(source)} is an IPv${from} address and the host an IPv${to} one; `
      + `use an IPv${to} source, or leave it out`
  return new TransportError({
    operation: "connect",
    endpoint: Endpoint.format(endpoint),
    reason: "AddressNotAvailable",
    detail
  })
}

// ---- accept

const ACCEPT_ERRORS: ReadonlyArray<Exclude<AcceptError, "other">> = [
  "EMFILE",
  "ENFILE",
  "ENOBUFS",
  "ENOMEM",
  "ECONNABORTED"
]

/** What is wrong with an accept, by its code: reports tell these errors apart. None of them ends the listener. */
export const acceptError = (code: string | undefined): AcceptError =>
  ACCEPT_ERRORS.find((known) => known === code) ?? "other"
