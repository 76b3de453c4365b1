/**
 * What the system can be told of one connection over IP while the connection lasts.
 */

/**
 * An option of a connection's socket. Times are in seconds, as systems have them; 0 stands for the system's own value.
 *
 * - `NoDelay`: whether small writes go out at once. Connections begin with `true`.
 * - `KeepAlive`: whether the system probes a peer from which nothing has come for `delay`; `count` probes that are not
 *   answered, `interval` apart, end the connection. Connections begin as their listener says (`keepAlive`).
 * - `TypeOfService`: the byte of that name in the headers of packets, 0 to 255.
 */
export type SocketOption =
  | { readonly _tag: "NoDelay"; readonly enable: boolean }
  | {
    readonly _tag: "KeepAlive"
    readonly enable: boolean
    readonly delay: number
    readonly interval: number
    readonly count: number
  }
  | { readonly _tag: "TypeOfService"; readonly value: number }

/** The options, in the order of their codes in messages. */
export const names = ["NoDelay", "KeepAlive", "TypeOfService"] as const satisfies ReadonlyArray<SocketOption["_tag"]>

/**
 * What the connections of a listener begin with, whatever applications have set before: `keepAlive` is in milliseconds,
 * 0 for no probes.
 */
export const initial = (keepAlive: number): ReadonlyArray<SocketOption> => [
  { _tag: "NoDelay", enable: true },
  {
    _tag: "KeepAlive",
    enable: keepAlive > 0,
    delay: Math.max(1, Math.round(keepAlive / 1000)),
    interval: 0,
    count: 0
  },
  { _tag: "TypeOfService", value: 0 }
]
