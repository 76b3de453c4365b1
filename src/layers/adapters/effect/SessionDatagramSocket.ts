/**
 * Effect's `DatagramSocket` over sessions that carry datagrams, each framed as `SessionDatagrams` frames it.
 *
 * {@link listen} is a server's socket: its reader gives the datagrams of all sessions that this worker has claimed at
 * the endpoint, and what is written goes to the session whose remote address it names. {@link connect} is a client's,
 * with one session for its peer.
 *
 * **How it works** Everything general (the queue of datagrams and its bound, waiting, addresses) is Effect's own
 * `makeFromBackingSocket`; this module is the backing socket. A datagram that comes while the queue is full is dropped
 * and counted in the reader's `dropped`, as with Effect's own sockets. A datagram that is written while its session's
 * fifo is full waits for room.
 *
 * **Gotchas** Sessions are spread over workers: a worker writes to its own peers, and to no others. A peer in local
 * scope has no address, and `datagram.address` throws for it; answer with `{ payload, address: datagram }`, which works
 * for every peer.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as DatagramSocket from "effect/socket/DatagramSocket"
import {
  type ConnectFailed,
  type ConnectOptions,
  type ListenFailed,
  type ListenOptions,
  noEndpoint,
  Sessions
} from "../../../services/Sessions.ts"
import { addressOf, DatagramPeer, DatagramPeers } from "./DatagramPeers.ts"

/**
 * @category options
 * @since 0.1.0
 */
export interface DatagramOptions {
  /** The queue of datagrams that wait to be pulled. Default: 1024 of them, and newer ones are dropped. */
  readonly receiveBuffer?: DatagramSocket.ReceiveBufferOptions | undefined
}

/**
 * @category options
 * @since 0.1.0
 */
export interface DatagramListenOptions extends DatagramOptions {
  /** Default: the first `udp` endpoint that the host was told to serve with this application, else the first of all. */
  readonly endpoint?: string | undefined
  /** Refuses sessions before their first datagram is read: see `Sessions.ListenOptions`. */
  readonly refuse?: ListenOptions["refuse"]
}

const joinMulticast: DatagramSocket.BackingSocket["joinMulticast"] = () =>
  Effect.fail(
    new DatagramSocket.DatagramSocketError({
      reason: new DatagramSocket.DatagramSocketUnsupportedError({ capability: "multicast", runtime: "Sluice" })
    })
  )

/** Sends one by one, and tells when the last is done, with the first error. */
const sendMany =
  (send: DatagramSocket.BackingSocket["send"]): DatagramSocket.BackingSocket["sendMany"] =>
  (payloads, destinations, done) => {
    let left = payloads.length
    let error: DatagramSocket.DatagramSocketError | undefined
    let at: number | undefined
    for (let i = 0; i < payloads.length; i++) {
      send(payloads[i]!, destinations[i], (failed) => {
        if (failed !== undefined && error === undefined) {
          error = failed
          at = i
        }
        if (--left === 0) done(error, at)
      })
    }
  }

const openFailed = (
  cause: ListenFailed | ConnectFailed,
  kind: DatagramSocket.DatagramSocketOpenError["kind"]
): DatagramSocket.DatagramSocketError =>
  new DatagramSocket.DatagramSocketError({ reason: new DatagramSocket.DatagramSocketOpenError({ kind, cause }) })

const notOpened = (error: ListenFailed | ConnectFailed): DatagramSocket.DatagramSocketError => {
  switch (error.reason._tag) {
    case "AddressInUse":
    case "AlreadyListening":
      return openFailed(error, "AddressInUse")
    case "AddressNotAvailable":
    case "PermissionDenied":
      return openFailed(error, error.reason._tag)
    default:
      return openFailed(error, "Unknown")
  }
}

/**
 * A server's socket. Acquiring its reader listens; the end of the reader's scope ends the listener and the sessions.
 *
 * **When to use**
 *
 * For a UDP service that is written for Effect's `DatagramSocket`. On sessions themselves, `SessionDatagrams` needs
 * less.
 *
 * **Details** A write to a peer that has no session in this worker fails with a `DatagramSocketWriteError` of the kind
 * `Unreachable`; a write that never fits, with `MessageTooLarge` (see `SessionDatagrams.largest`).
 *
 * @category constructors
 * @since 0.1.0
 */
export const listen = (
  options: DatagramListenOptions = {}
): Effect.Effect<DatagramSocket.DatagramSocket, never, Sessions> =>
  DatagramSocket.makeFromBackingSocket(
    Effect.fnUntraced(function*(events: DatagramSocket.BackingEvents) {
      const sessions = yield* Sessions
      const { endpoints } = sessions
      const endpoint = options.endpoint ?? endpoints.find((uri) => uri.startsWith("udp:")) ?? endpoints[0]
      if (endpoint === undefined) return yield* notOpened(noEndpoint())
      const peers = new DatagramPeers(events)
      yield* Effect.addFinalizer(() => Effect.sync(() => peers.close()))
      const listener = yield* Effect.mapError(
        sessions.listen(endpoint, peers.add, { refuse: options.refuse }),
        notOpened
      )
      return {
        address: addressOf(listener.local),
        send: peers.send,
        sendMany: sendMany(peers.send),
        joinMulticast,
        close: () => peers.close()
      }
    }),
    options
  )

/**
 * A client's socket. Acquiring its reader connects to the endpoint; what is written without an address goes there, and
 * only there. The end of the session, other than by the reader's scope, closes the socket.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connect = (
  endpoint: string,
  options: DatagramOptions & ConnectOptions = {}
): Effect.Effect<DatagramSocket.DatagramSocket, never, Sessions> =>
  DatagramSocket.makeFromBackingSocket(
    Effect.fnUntraced(function*(events: DatagramSocket.BackingEvents) {
      const sessions = yield* Sessions
      const session = yield* Effect.mapError(sessions.connect(endpoint, options), notOpened)
      const remote = addressOf(session.remote)
      const peer = new DatagramPeer(session, remote, events.onPacket, events.onClose)
      const send: DatagramSocket.BackingSocket["send"] = (payload, _destination, done) => peer.send(payload, done)
      return {
        address: addressOf(session.local),
        peer: remote,
        connected: true,
        send,
        sendMany: sendMany(send),
        joinMulticast,
        close: () => peer.close()
      }
    }),
    options
  )

/**
 * {@link listen} as a layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: DatagramListenOptions
): Layer.Layer<DatagramSocket.DatagramSocket, never, Sessions> =>
  Layer.effect(DatagramSocket.DatagramSocket)(listen(options))

/**
 * {@link connect} as a layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConnect = (
  endpoint: string,
  options?: DatagramOptions & ConnectOptions
): Layer.Layer<DatagramSocket.DatagramSocket, never, Sessions> =>
  Layer.effect(DatagramSocket.DatagramSocket)(connect(endpoint, options))
