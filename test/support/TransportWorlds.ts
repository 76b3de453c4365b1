/** What a transport's suites run over: a network in memory, and the sockets of this machine. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Address from "../../src/domain/net/Address.ts"
import * as Endpoint from "../../src/domain/net/Endpoint.ts"
import * as Options from "../../src/domain/options/Options.ts"
import * as TransportMemory from "../../src/layers/testing/TransportMemory.ts"
import * as Transports from "../../src/layers/transport/Transports.ts"
import * as TransportTcp from "../../src/layers/transport/TransportTcp.ts"
import * as TransportUnix from "../../src/layers/transport/TransportUnix.ts"
import { type SharedConnection, Transport, type TransportListenOptions } from "../../src/services/Transport.ts"
import { sharedOf } from "./AppEnd.ts"
import * as HalfOpen from "./halfOpen.ts"

export const endpointOf = (text: string): Endpoint.TransportEndpoint => Result.getOrThrow(Endpoint.parseTransport(text))

export const inetOf = (text: string): Endpoint.InetEndpoint => {
  const endpoint = Endpoint.inetOf(text)
  if (endpoint === undefined) throw new Error(`${text} has no address and port`)
  return endpoint
}

/** What a listener is told when a test has nothing else to say. */
export const listenOptions: TransportListenOptions = {
  backlog: 16,
  ipv6Only: false,
  listener: Options.defaults.listener,
  certificate: () => undefined,
  isDenied: () => false,
  accept: () => {},
  refused: () => {},
  dropped: () => {},
  acceptError: () => {}
}

export const hasIPv6 = Object.values(Os.networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === "::1") === true
)

/** Listens with the transport, and gives up what it has accepted when the scope closes. */
export const listen = Effect.fnUntraced(
  function*(
    endpoint = "tcp://127.0.0.1:0",
    options: Partial<Pick<TransportListenOptions, "backlog" | "ipv6Only" | "listener">> = {}
  ) {
    const transport = yield* Transport
    const connections: Array<SharedConnection> = []
    const acceptErrors: Array<string> = []
    const local = yield* transport.listen(endpointOf(endpoint), {
      ...listenOptions,
      ...options,
      accept: (connection) => connections.push(sharedOf(connection)),
      acceptError: (error, detail) => acceptErrors.push(`${error}: ${detail}`)
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => connections.forEach((connection) => connection.abort())))
    return { local: Endpoint.format(local), connections, acceptErrors }
  }
)

/** The other end of a connection, over whichever transport. */
export interface Peer {
  /** The endpoint URI of the host's end. */
  readonly remote: string
  send(bytes: Uint8Array | string): void
  end(): void
  reset(): void
  stop(): void
  read(): void
  received(): Buffer
  readonly receivedBytes: number
  /** Bytes sent that have not left this end. */
  readonly unsent: number
  readonly ended: boolean
  readonly closed: boolean
  readonly broken: boolean
}

/** A transport and the world around it. */
export interface World {
  /** Whether its connections are the system's. */
  readonly isReal: boolean
  /** Whether its connections have addresses and ports, and can be reset. */
  readonly isInet: boolean
  /** An endpoint that is free. */
  readonly free: () => string
  readonly layer: Layer.Layer<Transport>
  readonly dial: (endpoint: string) => Peer
  /** Listens for what the host connects to. */
  readonly listen: (endpoint: string) => Effect.Effect<
    { readonly local: string; readonly peers: ReadonlyArray<Peer> },
    never,
    Scope.Scope
  >
  /** An endpoint where connects stay half-open. */
  readonly halfOpen: Effect.Effect<string, never, Scope.Scope>
}

// ---- the world in memory

export const memoryWorld = (): World => {
  const network = new TransportMemory.Network()
  const shown = (peer: TransportMemory.Peer): Peer => ({
    remote: peer.remote,
    send: (bytes) => peer.send(bytes),
    end: () => peer.end(),
    reset: () => peer.reset(),
    stop: () => peer.stop(),
    read: () => peer.read(),
    received: () => peer.received(),
    get receivedBytes() {
      return peer.receivedBytes
    },
    get unsent() {
      return peer.unsent
    },
    get ended() {
      return peer.ended
    },
    get closed() {
      return peer.closed
    },
    get broken() {
      return peer.broken !== undefined
    }
  })
  return {
    isReal: false,
    isInet: true,
    free: () => "tcp://127.0.0.1:0",
    layer: TransportMemory.layer(network),
    dial: (endpoint) => shown(network.dial(endpoint)),
    listen: (endpoint) =>
      Effect.map(
        Effect.acquireRelease(
          Effect.sync(() => {
            const peers: Array<Peer> = []
            return { peers, listener: network.listen(endpoint, (peer) => peers.push(shown(peer))) }
          }),
          ({ listener }) => Effect.sync(() => listener.close())
        ),
        ({ listener, peers }) => ({ local: listener.local, peers })
      ),
    halfOpen: Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => {
          const listener = network.listen("tcp://127.0.0.1:0", () => {})
          listener.hold()
          return listener
        }),
        (listener) => Effect.sync(() => listener.close())
      ),
      ({ local }) => local
    )
  }
}

// ---- the world of sockets

const uri = (host?: string, port?: number): string => Address.uri("tcp", host, port)

const socketPeer = (socket: Net.Socket, path?: string): Peer => {
  const received: Array<Buffer> = []
  let receivedBytes = 0
  let ended = false
  let closed = false
  let broken = false
  socket.on("data", (bytes: Buffer) => {
    received.push(bytes)
    receivedBytes += bytes.length
  })
  socket.on("end", () => ended = true)
  socket.on("error", () => broken = true)
  socket.on("close", () => closed = true)
  const remoteOf = ({ remoteAddress, remotePort }: Net.Socket): string => path ?? uri(remoteAddress, remotePort)
  let remote = remoteOf(socket)
  socket.once("connect", () => remote = remoteOf(socket))
  return {
    get remote() {
      return remote
    },
    send: (bytes) => void socket.write(bytes),
    end: () => void socket.end(),
    reset: () => void (remote.startsWith("unix") ? socket.destroy() : socket.resetAndDestroy()),
    stop: () => void socket.pause(),
    read: () => void socket.resume(),
    received: () => Buffer.concat(received),
    get receivedBytes() {
      return receivedBytes
    },
    get unsent() {
      return socket.writableLength
    },
    get ended() {
      return ended
    },
    get closed() {
      return closed
    },
    get broken() {
      return broken
    }
  }
}

export const uriOf = (server: Net.Server): string => {
  const { address, port } = server.address() as Net.AddressInfo
  return uri(address, port)
}

/** Listens for what the host connects to, and closes it all with the scope. */
const socketListen = (endpoint: string): ReturnType<World["listen"]> => {
  const at = endpointOf(endpoint)
  return Effect.map(
    Effect.acquireRelease(
      Effect.callback<
        { readonly server: Net.Server; readonly peers: Array<Peer>; readonly sockets: Set<Net.Socket> }
      >(
        (resume) => {
          const peers: Array<Peer> = []
          const sockets = new Set<Net.Socket>()
          const server = Net.createServer({ allowHalfOpen: true }, (socket) => {
            sockets.add(socket)
            peers.push(socketPeer(socket, at._tag === "unix" ? "unix://" : undefined))
          })
          server.listen(at, () => resume(Effect.succeed({ server, peers, sockets })))
        }
      ),
      ({ server, sockets }) =>
        Effect.callback<void>((resume) => {
          for (const socket of sockets) socket.destroy()
          server.close(() => resume(Effect.void))
        })
    ),
    ({ peers, server }) => ({ local: at._tag === "unix" ? endpoint : uriOf(server), peers })
  )
}

export const tcpWorld = (options: TransportTcp.TcpOptions) => (): World => ({
  isReal: true,
  isInet: true,
  free: () => "tcp://127.0.0.1:0",
  layer: TransportTcp.layer(options),
  dial: (endpoint) => socketPeer(Net.connect({ ...inetOf(endpoint), allowHalfOpen: true })),
  listen: socketListen,
  halfOpen: Effect.map(HalfOpen.open, ({ local }) => local)
})

export const unixWorld = (options: TransportTcp.TcpOptions) => (): World => {
  let directory: string | undefined
  let paths = 0
  // it is there as long as the transport, since a test process does not live to clean up at its exit
  const removed = Layer.effectDiscard(Effect.addFinalizer(() =>
    Effect.sync(() => {
      if (directory !== undefined) Fs.rmSync(directory, { recursive: true, force: true })
      directory = undefined
    })
  ))
  return {
    isReal: true,
    isInet: false,
    free: () => {
      directory ??= Fs.mkdtempSync(Path.join(Os.tmpdir(), "slt-"))
      return `unix://${Path.join(directory, `${paths++}.sock`)}`
    },
    layer: Transports.layer({ unix: TransportUnix.make(options) }).pipe(Layer.provideMerge(removed)),
    dial: (endpoint) =>
      socketPeer(Net.connect({ path: endpoint.slice("unix://".length), allowHalfOpen: true }), endpoint),
    listen: socketListen,
    // a connect to a path is there at once
    halfOpen: Effect.die("a Unix socket has no half-open connects")
  }
}
