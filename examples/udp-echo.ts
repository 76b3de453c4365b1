// An app module on datagrams: each goes back to where it came from. Serve it on udp://127.0.0.1:5353, for example.
import { SessionDatagrams, Sessions } from "sluice/worker"

const echo = (session: Sessions.Session): void => {
  session.handler = {
    readable: () => {
      for (;;) {
        const datagram = SessionDatagrams.receive(session)
        // a datagram for which there is no room is lost, as datagrams may be
        if (datagram === undefined || SessionDatagrams.send(session, datagram) === "closed") return
      }
    },
    // nothing has come for a while
    ended: () => session.close()
  }
}

export default Sessions.layerAccept(echo)
