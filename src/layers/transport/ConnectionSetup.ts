/**
 * What is settled before a connection over a socket begins: what it goes over, and what holds for it.
 */
import type * as Net from "node:net"
import type { SessionAbout } from "../../domain/memory/SessionAbout.ts"
import type { StandstillTimes } from "../../domain/net/Standstill.ts"
import type { ListenerOptions } from "../../domain/options/ListenerOptions.ts"

/** What is settled before a connection begins. */
export interface ConnectionSetup {
  readonly transport: "tcp" | "tls" | "unix"
  /** Endpoint URIs, where they are not the socket's or are known already; for a Unix socket, both. */
  readonly remote?: string | undefined
  readonly local?: string | undefined
  /** Whether these are IPv4 addresses of an IPv6 socket. */
  readonly mapped?: boolean | undefined
  readonly about?: SessionAbout | undefined
  /** The socket below, where this is a TLS socket: the peer sees a reset only if the one below does it. */
  readonly below?: Net.Socket | undefined
}

/** The options of a listener that its connections use. A connect may stand still. */
export type ConnectionSettings = Pick<ListenerOptions, "closeTimeout" | "keepAlive"> & StandstillTimes

/** What holds for connects too: nothing probes their peers. */
export const ofConnect = ({ closeTimeout }: ListenerOptions): ConnectionSettings => ({ closeTimeout, keepAlive: 0 })
