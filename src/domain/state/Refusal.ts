/**
 * Why the host did not do what a worker asked for: listen, unlisten, connect.
 *
 * A reason is a literal where it arises and in the error that the application gets. On its way between them it is a
 * code, its place in {@link Reasons}: both ends are of the same release, so the list may change between releases.
 *
 * There are two kinds. Reasons in PascalCase say what is wrong with the request, or what the system answered. The
 * others are the host's own: what its limits and rules say ({@link Whys}). A connect that fails for one of the host's
 * reasons is `Refused`, and the same request may succeed later.
 */
import { RefuseReasons } from "./Ledger.ts"

/** What a transport answers. */
export const TransportReasons = [
  "AddressInUse",
  "AddressNotAvailable",
  "PermissionDenied",
  "ConnectionRefused",
  "Unreachable",
  "TimedOut",
  "Reset",
  "NoCertificate",
  "TlsFailed",
  /** Everything else; the sentence that comes with it is the system's own. */
  "TransportFailed"
] as const
export type TransportReason = typeof TransportReasons[number]

/** Why the host does not listen. */
export const ListenReasons = [
  /** The endpoint can't be read, or no listener can have it. */
  "InvalidEndpoint",
  /** This worker listens there already, or another application whose scope overlaps does. */
  "AlreadyListening",
  /** Another program listens there, or another application in the local scope. */
  "AddressInUse",
  /** This machine has no such address, or no host with that name was found. */
  "AddressNotAvailable",
  /** The system, or the rights of a Unix socket's directory, forbid it. */
  "PermissionDenied",
  /** The application's scope, or what it may stand in for, does not reach that far. */
  "OutOfScope",
  /** The host has no room for another listener. */
  "NoMemory",
  /** The application has no certificate for TLS. */
  "NoCertificate",
  /** The transport failed for another reason. */
  "TransportFailed",
  /** The worker was given up meanwhile. */
  "Detached"
] as const
export type ListenReason = typeof ListenReasons[number]

/** Why a listener was not ended (W9). */
export const UnlistenReasons = [
  /** The listener is another application's. */
  "NotOwner",
  /** The worker has no such listener. */
  "NoSuchListener",
  /** The worker was given up meanwhile. */
  "Detached"
] as const

/** Why a connect failed, if it was not the host that refused it. */
export const ConnectReasons = [
  /** The endpoint can't be read, or is not one to connect to. */
  "InvalidEndpoint",
  /** The address to connect from can't be read, or is not of the endpoint's kind. */
  "InvalidSource",
  /** The application's scope does not reach there. */
  "OutOfScope",
  /** Nobody listens there. */
  "ConnectionRefused",
  /** The source is in use, or no port is left to connect from. */
  "AddressInUse",
  /** The source is not an address of this machine. */
  "AddressNotAvailable",
  /** The system forbids it. */
  "PermissionDenied",
  /** There is no route to it, or no host with that name. */
  "Unreachable",
  /** No answer came within the connect's time. */
  "TimedOut",
  /** The peer reset the connection at once. */
  "Reset",
  /** The TLS handshake failed. */
  "TlsFailed",
  /** The transport failed for another reason. */
  "TransportFailed",
  /** The worker was given up meanwhile. */
  "Detached"
] as const
export type ConnectReason = typeof ConnectReasons[number]

/** Why the host refuses a connect (M7): those for which listeners refuse, and those of connects alone. */
export const Whys = [
  ...RefuseReasons,
  /** The worker has as many connects under way as it may have. */
  "half-open-limit",
  /** The worker has a connect with the same number under way. */
  "asked-already"
] as const
export type Why = typeof Whys[number]

/** Every reason there is, in the order of their codes. */
export const Reasons = [
  "InvalidEndpoint",
  "InvalidSource",
  "AlreadyListening",
  "OutOfScope",
  "NoMemory",
  "NotOwner",
  "NoSuchListener",
  "Detached",
  ...TransportReasons,
  ...Whys
] as const
export type Reason = typeof Reasons[number]

/** A reason, and a sentence that says what would be right. */
export interface Refusal<R extends Reason = Reason> {
  readonly reason: R
  readonly detail: string
}

const isOneOf = <A extends Reason>(reasons: ReadonlyArray<A>) => {
  const all = new Set<Reason>(reasons)
  return (reason: Reason): reason is A => all.has(reason)
}

export const isListenReason = isOneOf(ListenReasons)
export const isUnlistenReason = isOneOf(UnlistenReasons)
export const isConnectReason = isOneOf(ConnectReasons)
export const isWhy = isOneOf(Whys)

/** The reason for each answer of a transport to a listen. One that no listen should get is `TransportFailed`. */
export const ofListen: Readonly<Record<TransportReason, ListenReason>> = {
  AddressInUse: "AddressInUse",
  AddressNotAvailable: "AddressNotAvailable",
  PermissionDenied: "PermissionDenied",
  ConnectionRefused: "TransportFailed",
  Unreachable: "TransportFailed",
  TimedOut: "TransportFailed",
  Reset: "TransportFailed",
  NoCertificate: "NoCertificate",
  TlsFailed: "TransportFailed",
  TransportFailed: "TransportFailed"
}

/** The reason for each answer of a transport to a connect. One that no connect should get is `TransportFailed`. */
export const ofConnect: Readonly<Record<TransportReason, ConnectReason>> = {
  AddressInUse: "AddressInUse",
  AddressNotAvailable: "AddressNotAvailable",
  PermissionDenied: "PermissionDenied",
  ConnectionRefused: "ConnectionRefused",
  Unreachable: "Unreachable",
  TimedOut: "TimedOut",
  Reset: "Reset",
  NoCertificate: "TransportFailed",
  TlsFailed: "TlsFailed",
  TransportFailed: "TransportFailed"
}

/** Why a TLS handshake in a worker did not end in a session. */
export const HandshakeReasons = ["tls-failed", "handshake-time", "handshake-limit"] as const
export type HandshakeReason = typeof HandshakeReasons[number]

/** Why a session is not parked. */
export const ParkRefusals = [
  /** It is over, one of its sides has ended, it is joined with another one, or it has gone on to another worker. */
  "ended",
  /**
   * The application has seen bytes and has left them unread: it was told of them, or has looked, and not read or dropped
   * them. Bytes that have come since it last looked don't count.
   */
  "unread",
  /** A write was cut short, and the application has not gone on with it. */
  "unsent",
  /** More than 4096 bytes were to be given along. */
  "state-too-large",
  /** There is no memory for what is to be given along. */
  "no-memory",
  /** This worker has asked for it by a connect, its peer is another worker, or its TLS ends in this worker. */
  "not-accepted"
] as const
export type ParkRefusal = typeof ParkRefusals[number]
