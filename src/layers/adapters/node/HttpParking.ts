/**
 * Parks the sessions of HTTP connections between two requests (X1): a kept-alive connection has nothing in hand then,
 * and its next request may go to another worker.
 *
 * That a response has ended, Node says to whoever subscribes to its channel. Whether the parser has begun with the next
 * request, of which so far only a part may have come, only the parser knows. It calls back as it begins a message, if it
 * is given something to call; where it can't be given that, no session is parked. A connection that was upgraded, or
 * made a tunnel by `CONNECT`, has a request that is never answered, and stays.
 *
 * That call from native code would be the dearest part of parking. So the parser is given nothing to call where the
 * bytes end with an empty line, as those of most requests do: whatever message begins in them, its head ends in them,
 * and then the parser hands on a request.
 *
 * **A socket that has moved to this worker** is not parked: its worker gives it back to the host in a drain, when Node
 * says that it is idle, with nothing of a next request in its parser.
 *
 * **In the next worker** To Node, a connection that has moved there is a new one, which has to send a request in
 * `headersTimeout`. If it had requests before, it is a kept-alive connection, and has no longer than `keepAliveTimeout`
 * either.
 *
 * Hot path: per request no object and no closure is made here.
 */
import { constVoid } from "effect/Function"
import * as DiagnosticsChannel from "node:diagnostics_channel"
import type * as Http from "node:http"
import type * as Net from "node:net"
import type { Session } from "../../../services/Sessions.ts"
import { SocketSession } from "../../worker/SocketSession.ts"
import { SessionDuplex } from "./SessionDuplex.ts"

const AWAITED = Symbol("awaited")

/** A socket that waits for its first request in this worker, after others elsewhere, has its timeout from then on. */
interface MovedSocket extends Net.Socket {
  [AWAITED]?: number | undefined
}

/** A socket's HTTP parser, as far as it is used: its callbacks are at numbers that its class knows. */
interface Parser {
  readonly constructor: { readonly kOnMessageBegin?: unknown }
  readonly socket?: MovedSocket | null
  /** Gives the server a request whose head is complete. */
  onIncoming?: ((request: Http.IncomingMessage, keepAlive: boolean) => unknown) | null
  [callback: number]: unknown
}

/** A socket with what an HTTP server adds to it. */
interface ServedSocket extends SessionDuplex {
  readonly parser?: Parser | null
}

/** The times of a server, in milliseconds; 0 where there is none. */
type Times = Pick<Http.Server, "headersTimeout" | "keepAliveTimeout" | "keepAliveTimeoutBuffer" | "timeout">

const isParser = (value: unknown): value is Parser => typeof value === "object" && value !== null

function onMessageBegin(this: Parser): void {
  const { socket } = this
  if (socket === null || socket === undefined) return
  // the parser of a connection that is over serves another one later, which may be a socket of the system's
  if (socket instanceof SessionDuplex) socket.hasPart = true
  begun(socket)
}

/** The first request after a move: from here on, the time between two requests is Node's to look after. */
const begun = (socket: MovedSocket): void => {
  const timeout = socket[AWAITED]
  if (timeout === undefined) return
  socket[AWAITED] = undefined
  socket.setTimeout(timeout)
}

/** What Node says of a response that has ended. */
interface Ended {
  readonly request: Pick<Http.IncomingMessage, "complete" | "once">
  readonly socket: Net.Socket
}

/**
 * The server has still to deal with the end of the response. It does nothing to a session that is to be parked; one that
 * goes on, or is closed, is taken up by that.
 */
const onEnded = (message: unknown): void => {
  const { request, socket } = message as Ended
  if (!(socket instanceof SessionDuplex) || --socket.requests > 0) return
  if (request.complete) park(socket)
  // the response came before the end of the request
  else request.once("end", () => process.nextTick(park, socket))
}

const park = (socket: SessionDuplex): void => {
  if (socket.requests === 0 && !socket.hasPart) socket.park()
}

const CR = 13
const LF = 10

const endsWithEmptyLine = (bytes: Uint8Array): boolean => {
  const { length } = bytes
  return length >= 4 && bytes[length - 1] === LF && bytes[length - 2] === CR && bytes[length - 3] === LF
    && bytes[length - 4] === CR
}

let subscribed = false

/**
 * From now on the session is parked whenever it has no request in hand, if that can be known; to be called once the
 * server has the socket.
 */
export const watch = (socket: Net.Socket, session: Session, server: Times): void => {
  const hasMoved = session.about.state !== undefined
  // a socket of the system's tells of nothing but its first request after a move
  if (!(socket instanceof SessionDuplex || hasMoved)) return
  const parser: unknown = Reflect.get(socket, "parser")
  const begin = isParser(parser) ? parser.constructor.kOnMessageBegin : undefined
  if (!isParser(parser) || typeof begin !== "number" || !Object.hasOwn(parser, begin)) return
  parser[begin] = onMessageBegin
  if (hasMoved) goOn(socket, server)
  if (!(socket instanceof SessionDuplex)) return
  const { onIncoming } = parser
  if (typeof onIncoming !== "function") return
  parser.onIncoming = (request, keepAlive) => {
    socket.hasPart = false
    socket.requests++
    begun(socket)
    return onIncoming(request, keepAlive)
  }
  let calls = true
  socket.beforeRead((bytes) => {
    if (endsWithEmptyLine(bytes) !== calls) return
    calls = !calls
    // a connection that is over, or was upgraded, has no parser, and another one may have it
    const { parser } = socket as ServedSocket
    if (parser) parser[begin] = calls ? onMessageBegin : undefined
  })
  socket.parks = true
  if (subscribed) return
  subscribed = true
  DiagnosticsChannel.subscribe("http.server.response.finish", onEnded)
}

/** The part of `headersTimeout` after which a connection is closed: well before Node looks whether it is over. */
const SOONER = 0.9

/**
 * The connection had requests in another worker: it is idle, as it would be after a response. It is closed, in order,
 * before Node would answer that no request has come in time.
 */
const goOn = (socket: MovedSocket, server: Times): void => {
  const { headersTimeout, keepAliveTimeout, keepAliveTimeoutBuffer, timeout } = server
  const idle = keepAliveTimeout > 0 ? keepAliveTimeout + keepAliveTimeoutBuffer : Infinity
  const silent = headersTimeout > 0 ? SOONER * headersTimeout : Infinity
  const millis = Math.min(idle, silent)
  if (millis === Infinity) return
  socket[AWAITED] = timeout
  socket.setTimeout(millis)
}

const nothing = new Uint8Array(0)

/** Whether the socket has moved to this worker and can go back: HTTP is what reads from it, and nothing in between. */
export const isReturnable = (socket: Net.Socket, session: Session): boolean =>
  session instanceof SocketSession && session.isReturnable && isParser(Reflect.get(socket, "parser"))

/** Gives a socket that Node says is idle back to the host, if it can go there. */
export const giveBack = (socket: Net.Socket, session: Session | undefined): void => {
  if (!(session instanceof SocketSession)) return
  // a parser that reads from the handle itself leaves it for whoever else listens
  socket.on("data", constVoid).off("data", constVoid)
  session.giveBack({ state: socket.bytesRead === 0 ? undefined : nothing })
}
