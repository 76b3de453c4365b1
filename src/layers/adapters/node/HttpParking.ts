/**
 * Parks the sessions of HTTP connections between two requests (X1): a kept-alive connection has nothing in hand then,
 * and its next request may go to another worker.
 *
 * That a response has ended, Node says to whoever subscribes to its channel. Whether the parser has begun with the next
 * request, of which so far only a part may have come, only the parser knows. It calls back as it begins a message, if it
 * is given something to call; where it can't be given that, no session is parked.
 */
import * as DiagnosticsChannel from "node:diagnostics_channel"
import type * as Net from "node:net"
import { SessionDuplex } from "./SessionDuplex.ts"

/** A socket's HTTP parser, as far as it is used: its callbacks are at numbers that its class knows. */
interface Parser {
  readonly constructor: { readonly kOnMessageBegin?: unknown }
  readonly socket?: unknown
  [callback: number]: unknown
}

const isParser = (value: unknown): value is Parser => typeof value === "object" && value !== null

function onMessageBegin(this: Parser): void {
  // the parser of a connection that is over serves another one later, which may be a socket of the system's
  if (this.socket instanceof SessionDuplex) this.socket.requests++
}

/** What Node says of a response that has ended. */
interface Ended {
  readonly request: { readonly complete: boolean }
  readonly socket: Net.Socket
}

const onEnded = (message: unknown): void => {
  const { request, socket } = message as Ended
  if (!(socket instanceof SessionDuplex)) return
  socket.requests--
  // in a tick of its own: the server has not dealt with the end of the response yet
  if (request.complete && socket.requests === 0) process.nextTick(park, socket)
}

const park = (socket: SessionDuplex): void => {
  if (socket.requests === 0) socket.park()
}

let subscribed = false

/** From now on the session is parked whenever it has no request in hand; to be called once a server has the socket. */
export const watch = (socket: SessionDuplex): void => {
  const parser: unknown = Reflect.get(socket, "parser")
  const begin = isParser(parser) ? parser.constructor.kOnMessageBegin : undefined
  if (!isParser(parser) || typeof begin !== "number" || !Object.hasOwn(parser, begin)) return
  parser[begin] = onMessageBegin
  socket.parks = true
  if (subscribed) return
  subscribed = true
  DiagnosticsChannel.subscribe("http.server.response.finish", onEnded)
}
