/**
 * The responder, which blocks its thread for `BLOCK_MILLIS` with each answer. The thread waits meanwhile and takes no
 * processor: so a worker's worth of load is the same on each machine, whatever else that has to do.
 */
import { layerAccept, type Session } from "../../src/services/Sessions.ts"
import { respond } from "./responder.ts"

const millis = Number(process.env.BLOCK_MILLIS)
const nothing = new Int32Array(new SharedArrayBuffer(4))

const handler = {
  readable(session: Session) {
    for (let bytes = session.read(); bytes !== undefined; bytes = session.read()) {
      const response = respond(bytes, 0)
      if (response === undefined) continue
      Atomics.wait(nothing, 0, 0, millis)
      session.write(response)
    }
  },
  ended(session: Session) {
    session.close()
  }
}

export default layerAccept((session) => {
  session.handler = handler
})
