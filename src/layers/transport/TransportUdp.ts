/**
 * UDP: a session is what comes from one address and goes back to it.
 *
 * The first datagram from an address makes a connection, which is offered to a worker like any other: limits, rotor,
 * revocation and hold are the same. What comes before the claim waits. A session ends when no datagram has come or gone
 * for `udpIdleTimeout`: the application reads an end, and has the same time again to end its side. What comes from that
 * address later begins a new session. These times are the system's, not the `Clock`'s.
 *
 * Nothing is dropped without being counted. A half-close is no datagram, so the peer does not hear of it.
 *
 * How a session moves its datagrams is in `UdpConnection`, what a socket is to its sessions in `UdpSocket`.
 */
import * as Effect from "effect/Effect"
import * as Dgram from "node:dgram"
import * as Dns from "node:dns"
import type * as Net from "node:net"
import { isIP } from "node:net"
import * as Address from "../../domain/net/Address.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import * as SystemError from "../../domain/net/SystemError.ts"
import * as AppOptions from "../../domain/options/Options.ts"
import type {
  TransportEndpointOf,
  TransportError,
  TransportListenOptions,
  TransportOf
} from "../../services/Transport.ts"
import * as InetErrors from "./InetErrors.ts"
import * as NodeHandle from "./NodeHandle.ts"
import { UdpConnection } from "./UdpConnection.ts"
import { UdpSocket } from "./UdpSocket.ts"

type Udp = TransportEndpointOf<"udp">

const uri = (address: string, port: number): string => Address.uri("udp", address, port)

export interface UdpOptions {
  /** How names become addresses; the system's way by default. */
  readonly lookup?: Net.LookupFunction | undefined
}

const systemLookup: Net.LookupFunction = (host, options, callback) => Dns.lookup(host, options, callback)

/** An address of the host; of the given family, where one is given. */
const addressOf = (
  host: string,
  family: 4 | 6 | undefined,
  lookup: Net.LookupFunction
): Effect.Effect<string, NodeJS.ErrnoException> => {
  if (isIP(host) !== 0) return Effect.succeed(host)
  return Effect.callback((resume) =>
    lookup(host, family === undefined ? {} : { family }, (error, address) => {
      const one = typeof address === "string" ? address : address?.[0]?.address
      if (error !== null) resume(Effect.fail(error))
      else if (one !== undefined) resume(Effect.succeed(one))
      else resume(Effect.fail(SystemError.make("ENOTFOUND", "getaddrinfo")))
    })
  )
}

/** A socket of the address's family. Addresses are never looked up, so a send is done when it returns. */
const openSocket = (address: string, ipv6Only = false): Dgram.Socket =>
  Dgram.createSocket({
    type: address.includes(":") ? "udp6" : "udp4",
    ipv6Only,
    lookup: (host, _options, done) => done(null, host, isIP(host))
  })

/** Waits for what the socket was told to do. */
const step = (
  socket: Dgram.Socket,
  what: (done: (error?: Error) => void) => void
): Effect.Effect<void, NodeJS.ErrnoException> =>
  Effect.callback((resume) => {
    const done = (error?: NodeJS.ErrnoException): void => {
      socket.off("error", done)
      resume(error === undefined || error === null ? Effect.void : Effect.fail(error))
    }
    socket.once("error", done)
    what(done)
    return Effect.sync(() => socket.off("error", done))
  })

const bind = (
  socket: Dgram.Socket,
  where: { readonly address: string; readonly port: number } | { readonly fd: number },
  waitsToRead = false
) =>
  step(socket, (done) => {
    if (waitsToRead && !NodeHandle.setReading(socket, false)) return done(SystemError.make("EINVAL", "recvStop"))
    socket.bind({ ...where, exclusive: true }, () => done())
    // the socket of a descriptor reads from this call on
    if (waitsToRead) NodeHandle.setReading(socket, false)
  })

/** What serves UDP endpoints. */
export const make = ({ lookup = systemLookup }: UdpOptions = {}): TransportOf<Udp> => {
  /** Sockets by the endpoints that they were bound to: sessions may keep a socket after its listener is gone. */
  const bound = new Map<string, UdpSocket>()

  const listenAnew = Effect.fnUntraced(function*(endpoint: Udp, address: string, listen: TransportListenOptions) {
    const socket = openSocket(address, listen.ipv6Only)
    const { descriptor } = listen
    const where = descriptor === undefined ? { address, port: endpoint.port } : { fd: descriptor }
    yield* bind(socket, where, listen.waitsToRead).pipe(Effect.onError(() => Effect.sync(() => socket.close())))
    const at = socket.address()
    const local = uri(at.address, at.port)
    const served = new UdpSocket(socket, () => bound.delete(local))
    served.local = local
    bound.set(local, served)
    return served
  })

  return {
    listen: Effect.fnUntraced(function*(endpoint, listen) {
      const address = yield* Effect.mapError(
        addressOf(endpoint.host, undefined, lookup),
        (error) => InetErrors.listenFailed(endpoint, error)
      )
      const left = bound.get(uri(Address.canonical(address), endpoint.port))
      const served = yield* Effect.acquireRelease(
        Effect.map(
          left !== undefined && left.listen === undefined
            ? Effect.succeed(left)
            : listenAnew(endpoint, address, listen),
          (served) => {
            served.serve(listen)
            return served
          }
        ),
        (served) => Effect.sync(() => served.retire()),
        { interruptible: true }
      ).pipe(Effect.mapError((error) => InetErrors.listenFailed(endpoint, error)))
      return { ...endpoint, ...Address.hostPort(served.local) }
    }),
    connect: Effect.fnUntraced(function*(endpoint, { listener = AppOptions.defaults.listener, source } = {}) {
      const fault = source === undefined ? undefined : InetErrors.sourceFault(endpoint, source)
      if (fault !== undefined) return yield* fault
      const failed = (error: NodeJS.ErrnoException): TransportError => InetErrors.connectFailed(endpoint, source, error)
      const family = source === undefined ? undefined : Endpoint.family(source)
      const address = yield* Effect.mapError(addressOf(endpoint.host, family, lookup), failed)
      const socket = openSocket(address)
      const connected = Effect.gen(function*() {
        if (source !== undefined && !(Endpoint.isAnyHost(source.host) && source.port === 0)) {
          yield* bind(socket, { address: source.host, port: source.port })
        }
        yield* step(socket, (done) => socket.connect(endpoint.port, address, done))
      })
      yield* connected.pipe(Effect.mapError(failed), Effect.onError(() => Effect.sync(() => socket.close())))
      const at = socket.address()
      const peer = socket.remoteAddress()
      const served = new UdpSocket(socket)
      served.local = uri(at.address, at.port)
      const key = `${peer.address} ${peer.port}`
      const connection = new UdpConnection(served, key, uri(peer.address, peer.port), undefined, peer.port, listener)
      served.enter(connection, key)
      return connection
    })
  }
}
