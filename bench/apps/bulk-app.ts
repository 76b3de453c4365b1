/** Bulk as a Sluice application: drops what `up` brings and says how much it was, writes as much as `down` asks for. */
import { layerAccept, type Session, type SessionHandler } from "../../src/services/Sessions.ts"

const chunk = Buffer.alloc(65536, "sluice")

class Receiver implements SessionHandler {
  #got = 0

  readable(session: Session): void {
    for (let bytes = session.peek(); bytes !== undefined; bytes = session.peek()) {
      this.#got += bytes.length
      session.drop(bytes.length)
    }
  }

  ended(session: Session): void {
    this.readable(session)
    session.write(Buffer.from(String(this.#got)))
    session.close()
  }
}

class Sender implements SessionHandler {
  #left: number

  constructor(bytes: number) {
    this.#left = bytes
  }

  writable(session: Session): void {
    while (this.#left > 0) {
      const bytes = this.#left < chunk.length ? chunk.subarray(0, this.#left) : chunk
      const taken = session.write(bytes)
      if (taken < 0) return
      this.#left -= taken
      if (taken < bytes.length) return
    }
    session.close()
  }
}

/** Reads the first line. It comes in one piece: it is short, and nothing was sent before it. */
const first: SessionHandler = {
  readable(session) {
    const bytes = Buffer.from(session.peek()!)
    const end = bytes.indexOf("\n")
    const [direction, count] = bytes.toString("latin1", 0, end).split(" ")
    session.drop(end + 1)
    if (direction === "up") {
      const receiver = new Receiver()
      session.handler = receiver
      receiver.readable(session)
    } else {
      const sender = new Sender(Number(count))
      session.handler = sender
      sender.writable(session)
    }
  }
}

export default layerAccept((session) => {
  session.handler = first
})
