/**
 * The request listener as a Sluice application that gives its server the connections itself: nothing parks them between
 * two requests.
 */
import * as Http from "node:http"
import * as SessionDuplex from "../../src/layers/adapters/node/SessionDuplex.ts"
import { layerAccept } from "../../src/services/Sessions.ts"
import { handler } from "./http-handler.ts"

const server = Http.createServer(handler)

export default layerAccept((session) => {
  const socket = SessionDuplex.fromSession(session)
  socket.setNoDelay(true)
  socket.on("error", () => {})
  server.emit("connection", socket)
})
