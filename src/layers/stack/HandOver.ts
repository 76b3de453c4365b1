/**
 * Posts sockets to a worker's thread: those of a turn in one message, before the messages about them become visible
 * (M5). A post costs more than all else that is done for a connection.
 *
 * @since 0.1.0
 */
import type { MessagePort, Transferable } from "node:worker_threads"
import type { SessionHandle } from "../../domain/state/Handle.ts"
import type { Moving } from "../../services/Transport.ts"

/**
 * What is posted.
 *
 * @category models
 * @since 0.1.0
 */
export interface HandedSockets {
  readonly sockets: ReadonlyArray<object>
  /** Their sessions, in the same order. */
  readonly sessions: ReadonlyArray<SessionHandle>
}

export class SocketPost {
  readonly #port: MessagePort
  #sessions: Array<SessionHandle> = []
  #moving: Array<Moving> = []

  constructor(port: MessagePort) {
    this.#port = port
  }

  add(session: SessionHandle, moving: Moving): void {
    this.#sessions.push(session)
    this.#moving.push(moving)
  }

  /** Posts what has been added. A worker that is told of one that could not go, and finds none, says that it is gone. */
  readonly flush = (): void => {
    if (this.#moving.length === 0) return
    const sessions = this.#sessions
    const moving = this.#moving
    this.#sessions = []
    this.#moving = []
    try {
      this.#post(sessions, moving.map(({ posted }) => posted))
    } catch {
      // alone, as sockets that are whole: then one that can't go keeps no other
      for (const [i, each] of moving.entries()) {
        try {
          this.#post([sessions[i]!], [each.take()])
        } catch {
          each.destroy()
        }
      }
    }
  }

  #post(sessions: ReadonlyArray<SessionHandle>, sockets: ReadonlyArray<object>): void {
    const handed: HandedSockets = { sessions, sockets }
    this.#port.postMessage(handed, sockets as ReadonlyArray<Transferable> as Array<Transferable>)
  }
}
