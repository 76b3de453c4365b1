/**
 * A session as its worker holds it, whatever its bytes go through: fifos that the host has the other ends of
 * (`FifoSession`), rings that another worker has the other ends of (`CutThroughSession`), or a socket
 * (`SocketSession`).
 *
 * The `on…` methods are what the host says of the session. Each may call the application, so each is called through a
 * {@link Guard}.
 */
import type { Session } from "../../services/Sessions.ts"
import type { SessionTimes } from "./SessionTimes.ts"

export interface WorkerSession extends Session {
  onReadable(): void
  onWritable(): void
  onEnded(): void
  onReset(reason: string): void
  /** The host's last word on the session. */
  onCleanup(): void
  /** The host's last word on a session that was parked, and goes on with another worker. */
  onMigrated(): void
  /** The host is gone, or has given this worker up: nothing can be sent or freed any more. */
  onDetached(): void
  /** Tells the host if it is parked: another worker goes on with it. */
  tellParked(): void
  /** Takes in what a peer has done that does not go through the host. */
  look(): void
}

/** Which session it is, and what is known of the session when it begins. */
export type SessionIdentity = Pick<Session, "handle" | "remote" | "local" | "mapped" | "about"> & {
  readonly times: SessionTimes
  /** Whether it came by a listener. */
  readonly comes: boolean
}

/** Runs an edge of the application in its session's context. One that throws costs its session, not the worker. */
export type Guard = <S extends Session>(session: S, edge: (session: S) => void) => void

/** `report` hears what an edge has thrown. */
export const makeGuard = (report: (error: unknown) => void): Guard => (session, edge) => {
  try {
    session.resource.runInAsyncScope(edge, undefined, session)
  } catch (error) {
    session.abort()
    report(error)
  }
}
