/** Sends each datagram back. With `PARK` in the environment, a session is parked behind each. */
import * as SessionDatagrams from "../../src/layers/worker/SessionDatagrams.ts"
import { layerAccept, type Session } from "../../src/services/Sessions.ts"

const parks = process.env["PARK"] !== undefined

const serve = (session: Session): void => {
  session.handler = {
    readable: () => {
      for (let one; (one = SessionDatagrams.receive(session)) !== undefined;) SessionDatagrams.send(session, one)
      if (parks) session.park()
    },
    ended: () => session.close()
  }
}

export default layerAccept(serve)
