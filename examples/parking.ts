// A protocol of lines whose sessions are parked between two of them: if their worker blocks, they go on with another one.
// `name ada` sets a name, `block 2000` blocks the worker for so many milliseconds, and each line is answered with the name.
import { threadId } from "node:worker_threads"
import { Sessions } from "sluice/worker"

const block = (millis: number): void => {
  for (const until = performance.now() + millis; performance.now() < until;);
}

const accept = (session: Sessions.Session): void => {
  // what the session's earlier worker has given along
  let name = Buffer.from(session.about.state ?? []).toString() || "nobody"
  let line = ""
  let unsent = ""

  const answer = (): void => {
    const [word, value = ""] = line.split(" ")
    line = ""
    if (word === "name") name = value
    // the answer goes out, and the session is parked, before the worker blocks
    if (word === "block") setTimeout(block, 10, Number(value))
    unsent += `${name}, thread ${threadId}\n`
  }

  const go = (): void => {
    for (let bytes = session.read(); bytes !== undefined; bytes = session.read()) {
      for (const character of Buffer.from(bytes).toString("latin1")) {
        if (character === "\n") answer()
        else line += character
      }
    }
    const written = session.write(Buffer.from(unsent, "latin1"))
    if (written < 0) return session.close()
    unsent = unsent.slice(written)
    // `writable` says when to go on
    if (unsent !== "") return
    if (session.ended) session.close()
    // between two lines, all that this worker knows of the session is the name
    else if (line === "") session.park(Buffer.from(name))
  }

  session.handler = { readable: go, writable: go, ended: go, closed: () => session.close() }
}

export default Sessions.layerAccept(accept)
