/**
 * The endpoint URIs of a TCP connection's ends.
 *
 * @since 0.1.0
 */
import * as Endpoint from "../domain/Endpoint.ts"

/** IPv4 addresses that came in on a dual-stack listener are written as what they are. */
export const uri = (transport: "tcp" | "tls", address: string | undefined, port: number | undefined): string => {
  const host = (address ?? "0.0.0.0").replace(/^::ffff:(?=\d+\.)/, "")
  return Endpoint.format({ _tag: transport, host, port: port ?? 0 })
}
