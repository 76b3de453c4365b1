/** Answers each session 40 ms after its request, as one that waits for a database would, and ends it. */
import { layerAccept } from "../../src/services/Sessions.ts"

/** Milliseconds. */
const WAIT = 40
const ANSWER = Buffer.from("hello, world\n")

export default layerAccept((session) => {
  let isAsked = false
  session.handler = {
    readable: () => {
      const bytes = session.peek()
      if (bytes === undefined) return
      session.drop(bytes.length)
      if (isAsked) return
      isAsked = true
      setTimeout(() => {
        session.write(ANSWER)
        session.close()
      }, WAIT)
    }
  }
})
