/**
 * What the workers that share one of Node's servers know of it: who serves it, which worker each connection belongs to,
 * and which responses are under way.
 *
 * In-process workers share the modules they are made of, and with them a server that a module exports. Each has
 * connections of its own, and stops on its own: what Node does to all connections of the server is kept from those of
 * other workers. So a connection knows its owner.
 */
import { constVoid } from "effect/Function"
import type * as Http from "node:http"
import type * as Http2 from "node:http2"
import type * as Net from "node:net"
import * as Tls from "node:tls"
import * as NodeHandle from "../../transport/NodeHandle.ts"
import type { NodeServer } from "./NodeServer.ts"
import { SessionDuplex } from "./SessionDuplex.ts"
import * as TlsParts from "./TlsParts.ts"

const OWNER = Symbol("owner")
const ABOVE = Symbol("above")

/** A connection knows its owner, and the TLS socket that the server has put above it. */
export type ServedConnection = Net.Socket & { [OWNER]: NodeServer; [ABOVE]?: Net.Socket }

/** What the workers that share a server know of it. */
export interface SharedServer {
  readonly served: Set<NodeServer>
  /** Looks at a response, once responses are looked at. */
  attend: ((response: Http.ServerResponse) => void) | undefined
}

const shared = new WeakMap<Net.Server, SharedServer>()

/**
 * Whether the client asks, or may be about to: it has sent nothing yet, which Node 26 takes for idle and Node 24 does
 * not, or there are bytes that Node has not been given yet. A connection that has moved has no such bytes.
 */
export const isAsking = (connection: ServedConnection): boolean =>
  connection.bytesRead === 0 || (connection instanceof SessionDuplex && connection.session.available > 0)

function onConnectionClose(this: ServedConnection): void {
  this[OWNER].gone(this)
}

/** Makes the stream a connection of this worker's, which hears of its end. */
export const own = (stream: Net.Socket, owner: NodeServer): ServedConnection => {
  const connection = Object.assign(stream, { [OWNER]: owner }) as ServedConnection
  // an error that nobody listens for ends that connection, and nothing else
  connection.on("error", constVoid)
  connection.once("close", onConnectionClose)
  return connection
}

/** The server has made a session of HTTP/2 over a connection. */
const began = (session: Http2.Http2Session): void => {
  for (let socket: Net.Socket | undefined = session.socket; socket !== undefined; socket = NodeHandle.below(socket)) {
    // what HTTP/2 has for a socket answers when it is asked for a member, and not whether it has one
    const owner: unknown = Reflect.get(socket, OWNER)
    if (owner !== undefined) return (owner as NodeServer).begins(session)
  }
}

const isOwned = (socket: object | null): socket is ServedConnection => socket !== null && OWNER in socket

/** The owner of the connection that a response goes to; `undefined` for one that a program has brought itself. */
const ownerOf = ({ req }: Http.ServerResponse): NodeServer | undefined => {
  for (let socket: Net.Socket | undefined = req.socket; socket !== undefined; socket = NodeHandle.below(socket)) {
    if (isOwned(socket)) return socket[OWNER]
  }
  return undefined
}

/** The server has ended the handshake on a connection, and goes on with the TLS socket above it. */
const secured = (above: Tls.TLSSocket): void => {
  const connection = NodeHandle.below(above)
  if (connection === undefined || !isOwned(connection)) return
  connection[ABOVE] = above
  if (connection instanceof SessionDuplex) TlsParts.give(above)
}

/** What Node's HTTP keeps at a socket: the response that is being written. Not public: there may be none. */
interface Busy {
  readonly _httpMessage?: Http.ServerResponse | null
}

/** The response that is being written on a connection. */
export const responseOf = (connection: ServedConnection): Http.ServerResponse | undefined => {
  const socket: Net.Socket & Busy = connection[ABOVE] ?? connection
  return socket._httpMessage ?? undefined
}

/** What is known of a server, from the first time that it is asked for. */
export const watch = (server: Net.Server): SharedServer => {
  const known = shared.get(server)
  if (known !== undefined) return known
  const state: SharedServer = { served: new Set(), attend: undefined }
  shared.set(server, state)
  if (server instanceof Tls.Server) server.prependListener("secureConnection", secured)
  // an event of servers of HTTP/2 only
  server.prependListener("session", began)
  return state
}

/**
 * Looks at the responses that the server makes from here on, on whatever event it makes them: one that is written while
 * the server stops ends its connection. It costs each request something, so it begins when a server stops.
 */
export const attend = (server: Net.Server, state: SharedServer): (response: Http.ServerResponse) => void => {
  if (state.attend !== undefined) return state.attend
  const seen = new WeakSet<Http.ServerResponse>()
  const onClose = (): void => {
    for (const served of state.served) if (served.stopping) served.settleSoon()
  }
  const begun = (response: Http.ServerResponse): void => {
    if (!seen.has(response)) response.once("close", onClose)
    seen.add(response)
    if (ownerOf(response)?.endsAfter(response.req.socket) === true) response.shouldKeepAlive = false
  }
  const emit = server.emit
  server.emit = function(this: Net.Server, name: string, ...args: Array<any>): boolean {
    if (name === "request" || name === "checkContinue" || name === "checkExpectation") begun(args[1])
    return emit.call(this, name, ...args)
  }
  return state.attend = begun
}

/** Does something that would destroy connections, and keeps these from it; returns those that it would have destroyed. */
export const keeping = (
  connections: ReadonlyArray<ServedConnection>,
  act: () => void
): ReadonlyArray<ServedConnection> => {
  const spared: Array<ServedConnection> = []
  const kept: Array<Net.Socket> = []
  for (const connection of connections) {
    // Node knows the TLS socket above a connection only; one whose program has its own `destroy` is left to it
    const known = connection[ABOVE] ?? connection
    if (Object.hasOwn(known, "destroy")) continue
    kept.push(Object.assign(known, { destroy: () => (spared.push(connection), known) }))
  }
  act()
  for (const connection of kept) Reflect.deleteProperty(connection, "destroy")
  return spared
}
