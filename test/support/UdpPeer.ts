/** The other end of a UDP session: a plain socket. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Dgram from "node:dgram"
import { inetOf } from "./TransportWorlds.ts"

export interface UdpPeer {
  /** Its own endpoint URI. */
  readonly local: string
  /** What came, datagram by datagram. */
  readonly received: ReadonlyArray<Buffer>
  readonly send: (bytes: Uint8Array | string, to?: string) => void
}

/** A socket on a port of its own that sends to the endpoint; it is closed with the scope. */
export const make = (
  to: string,
  host = inetOf(to).host,
  port = 0
): Effect.Effect<UdpPeer, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly socket: Dgram.Socket; readonly received: Array<Buffer> }>((resume) => {
        const received: Array<Buffer> = []
        const socket = Dgram.createSocket(host.includes(":") ? "udp6" : "udp4")
        socket.on("message", (bytes) => received.push(bytes))
        socket.on("error", () => {})
        socket.bind(port, host, () => resume(Effect.succeed({ socket, received })))
      }),
      ({ socket }) => Effect.sync(() => socket.close())
    ),
    ({ received, socket }): UdpPeer => {
      const { address, port } = socket.address()
      return {
        local: `udp://${address.includes(":") ? `[${address}]` : address}:${port}`,
        received,
        send: (bytes, where = to) => {
          const { host, port } = inetOf(where)
          socket.send(bytes, port, host)
        }
      }
    }
  )
