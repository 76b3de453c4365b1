/**
 * Errors of the system, by what they mean, whichever call they come from: the only table of error codes.
 *
 * | kind | codes |
 * |---|---|
 * | `AddressInUse`, `AddressNotAvailable` | `EADDRINUSE`; `EADDRNOTAVAIL` |
 * | `PermissionDenied` | `EACCES`, `EPERM`, `EROFS` |
 * | `ConnectionRefused`, `TimedOut` | `ECONNREFUSED`; `ETIMEDOUT` |
 * | `Reset`, `PeerClosed` | `ECONNRESET`, `ECONNABORTED`; `EPIPE` |
 * | `Unreachable` | `EHOSTUNREACH`, `EHOSTDOWN`, `ENETUNREACH`, `ENETDOWN` |
 * | `NoSuchFamily`, `NotValid` | `EAFNOSUPPORT`; `EINVAL` |
 * | `NameUnknown`, `NameLater` | `ENOTFOUND`; `EAI_AGAIN` |
 * | `NotFound`, `Exists` | `ENOENT`, `ENOTDIR`; `EEXIST` |
 * | `Busy`, `OtherSocketType` | `EAGAIN`; `EPROTOTYPE` |
 * | `DatagramTooLarge` | `EMSGSIZE` |
 * | `ProcessFiles`, `MachineFiles`, `SocketMemory` | `EMFILE`; `ENFILE`; `ENOBUFS`, `ENOMEM` |
 *
 * What a kind means for a listen, a connect, an established connection or the control socket is said where these are
 * served, in words that fit there.
 */

const kinds = {
  EACCES: "PermissionDenied",
  EADDRINUSE: "AddressInUse",
  EADDRNOTAVAIL: "AddressNotAvailable",
  EAFNOSUPPORT: "NoSuchFamily",
  EAGAIN: "Busy",
  EAI_AGAIN: "NameLater",
  ECONNABORTED: "Reset",
  ECONNREFUSED: "ConnectionRefused",
  ECONNRESET: "Reset",
  EEXIST: "Exists",
  EHOSTDOWN: "Unreachable",
  EHOSTUNREACH: "Unreachable",
  EINVAL: "NotValid",
  EMFILE: "ProcessFiles",
  EMSGSIZE: "DatagramTooLarge",
  ENETDOWN: "Unreachable",
  ENETUNREACH: "Unreachable",
  ENFILE: "MachineFiles",
  ENOBUFS: "SocketMemory",
  ENOENT: "NotFound",
  ENOMEM: "SocketMemory",
  ENOTDIR: "NotFound",
  ENOTFOUND: "NameUnknown",
  EPERM: "PermissionDenied",
  EPIPE: "PeerClosed",
  EPROTOTYPE: "OtherSocketType",
  EROFS: "PermissionDenied",
  ETIMEDOUT: "TimedOut"
} as const

export type SystemErrorCode = keyof typeof kinds
export type SystemErrorKind = typeof kinds[SystemErrorCode]

const isKnown = (code: string): code is SystemErrorCode => Object.hasOwn(kinds, code)

/** The code of an error; empty for whatever has no code. */
export const codeOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : ""

/** What an error means; `undefined` for one without a code, or with a code that is not in the table. */
export const kindOf = (cause: unknown): SystemErrorKind | undefined => {
  const code = codeOf(cause)
  return isKnown(code) ? kinds[code] : undefined
}

/** An error as the system would give it, for what the program finds out by itself. */
export const make = (code: SystemErrorCode, syscall: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`${syscall} ${code}`), { code, syscall })
