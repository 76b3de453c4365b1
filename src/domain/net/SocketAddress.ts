/**
 * Endpoint URIs as the addresses of Effect's network modules.
 *
 * A URI that a host says of a listener or a peer has a numeric host and a port, or it is a path, or it is a name in
 * local scope, which has no address: its URI stands for it.
 */
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"

const INET = /^[a-z]+:\/\/(?:\[([^\]]+)\]|([^[\]:/]+)):(\d{1,5})$/i
const UNIX = /^unix:\/\//i

export interface HostPort {
  /** Without brackets. */
  readonly host: string
  readonly port: number
}

/** Host and port of an endpoint URI, whatever its transport; `undefined` where it has none. */
export const hostPort = (uri: string): HostPort | undefined => {
  const [, bracketed, bare, port] = INET.exec(uri) ?? []
  const host = bracketed ?? bare
  return host === undefined ? undefined : { host, port: Number(port) }
}

/** The address of an endpoint URI. Fails when its host is a name, or its port is above 65535. */
export const fromUri = (uri: string): Result.Result<NetAddress.SocketAddress, NetAddress.NetAddressError> => {
  const inet = hostPort(uri)
  return inet === undefined
    ? Result.succeed(NetAddress.unixPathAddress(uri.replace(UNIX, "")))
    : NetAddress.inetAddressFromIpString(inet.host, inet.port)
}
