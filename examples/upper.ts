// An app module that works on sessions: it answers each chunk in upper case, with backpressure both ways.
import { Sessions } from "sluice/worker"

export const upper = (session: Sessions.Session): void => {
  let left: Uint8Array | undefined
  const pump = (): void => {
    for (;;) {
      left ??= session.read(4096)
      if (left === undefined) return session.ended ? session.end() : undefined
      const bytes = Buffer.from(Buffer.from(left).toString("latin1").toUpperCase(), "latin1")
      const written = session.write(bytes)
      if (written < 0) return session.close()
      left = written < left.length ? left.subarray(written) : undefined
      // `writable` says when to go on
      if (left !== undefined) return
    }
  }
  session.handler = { readable: pump, writable: pump, ended: pump, closed: () => session.close() }
}

export default Sessions.layerAccept(upper)
