/**
 * Names of inherited sockets where endpoints are given: `fd://http` stands for the endpoint of each socket of that name,
 * `tls+fd://https` for TLS over it.
 *
 * A name becomes the address that its socket has, and the listener of that address gets the socket. So a unit can say
 * where a service listens, and the service need not know.
 */
import * as Result from "effect/Result"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import { InheritedSockets } from "../system/InheritedSockets.ts"

const SCHEME = /^(?:(tls)\+)?fd:\/\/(.*)$/is

/** The endpoints that a text stands for, itself unless it names sockets; or what is wrong with it. */
const endpointsOf = (
  sockets: InheritedSockets,
  uri: string
): Result.Result<ReadonlyArray<string>, string> => {
  const { all, faults } = sockets
  const match = SCHEME.exec(uri)
  if (match === null) return Result.succeed([uri])
  const [, tls, name = ""] = match
  if (sockets === InheritedSockets.elsewhere) return Result.succeed([`${tls ?? "tcp"}://127.0.0.1:0`])
  const uris = all.filter((socket) => socket.name === name).map(({ endpoint }) => Endpoint.format(endpoint))
  if (uris.length === 0) {
    const names = [...new Set(all.flatMap(({ name = [] }) => name))].join(", ")
    const reason = [...(names === "" ? [] : [`those that it has are named ${names}`]), ...faults].join("; ")
    return Result.fail(
      `${JSON.stringify(uri)}: this process was started with no such socket: ${reason || "LISTEN_FDS is not set"}`
    )
  }
  if (tls === undefined) return Result.succeed(uris)
  const other = uris.find((uri) => !uri.startsWith("tcp:"))
  return other === undefined
    ? Result.succeed(uris.map((uri) => uri.replace("tcp:", "tls:")))
    : Result.fail(`${JSON.stringify(uri)}: TLS is served over TCP, and that socket is ${other}`)
}

const isText = (value: unknown): value is string => typeof value === "string"

/** A list of endpoints, or a record by endpoints, with the addresses in place of names; anything else as it is. */
export const expand = (sockets: InheritedSockets, value: unknown): Result.Result<unknown, string> => {
  if (Array.isArray(value)) {
    return value.every(isText)
      ? Result.map(Result.all(value.map((uri) => endpointsOf(sockets, uri))), (uris) => uris.flat())
      : Result.succeed(value)
  }
  if (typeof value !== "object" || value === null) return Result.succeed(value)
  const entries = Object.entries(value).map(([uri, options]) =>
    Result.map(endpointsOf(sockets, uri), (uris) => uris.map((uri) => [uri, options] as const))
  )
  return Result.map(Result.all(entries), (entries) => Object.fromEntries(entries.flat()))
}
