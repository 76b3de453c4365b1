/**
 * The addresses of a network in memory.
 *
 * Every address is an address of both sides' machines, so any may be listened on and connected from. `localhost` is
 * 127.0.0.1; another name stands for itself, and is found while somebody listens on it or on any address. Connecting to
 * any address goes to the loopback address, as it does on Linux. Two connections may have the same source when they go
 * to different endpoints.
 */
import * as Result from "effect/Result"
import { isIPv6 } from "node:net"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import type { TransportEndpointOf } from "../../services/Transport.ts"

export type MemoryEndpoint = TransportEndpointOf<"tcp">

/** What a listener listens on. */
export interface Bindable {
  readonly endpoint: MemoryEndpoint
  readonly ipv6Only: boolean
}

/** The loopback address of the same family. */
export const loopback = (host: string): string => isIPv6(host) ? "::1" : "127.0.0.1"

/** Where a connection to any address goes, and which address comes from there. */
export const reached = (host: string): string => Endpoint.isAnyHost(host) ? loopback(host) : host

/** Parses an endpoint. Throws for a text that is not a TCP endpoint. */
export const parse = (text: string): MemoryEndpoint => {
  const endpoint = Result.getOrThrow(Endpoint.parseTransport(text))
  if (endpoint._tag !== "tcp") throw new Error(`the network in memory carries TCP only, not ${text}`)
  return named(endpoint)
}

/** The endpoint with an address in place of `localhost`, the name that every machine has. */
export const named = (endpoint: MemoryEndpoint): MemoryEndpoint =>
  endpoint.host === "localhost" ? { ...endpoint, host: "127.0.0.1" } : endpoint

/** Whether a listener hears of connections to `to`. */
export const covers = ({ endpoint: { host }, ipv6Only }: Bindable, to: string): boolean =>
  host === to || (host === "::" && (!ipv6Only || isIPv6(to))) || (host === "0.0.0.0" && !isIPv6(to))
