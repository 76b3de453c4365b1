/**
 * Ends connections on which no byte goes, in either direction, for a time that their listener settles (`idleTimeout`).
 *
 * ```
 * begun ── look ── look ── look ── look: four in a row at which nothing had moved since the one before ── onIdle
 *            └ something has moved: the count begins anew
 * ```
 *
 * A watched socket has one timer, which looks at the counters of the system's socket four times in each such time. So
 * moving bytes costs nothing here, a watch works whoever reads and writes the socket, and a connection ends after its
 * idle time and at most a quarter more. Bytes that wait in this process have not gone anywhere: a peer that reads
 * nothing has an idle connection, while one that slowly takes a large write has not.
 */
import * as NodeHandle from "./NodeHandle.ts"

const LOOKS = 4

/** What is told that its connection has been idle for too long; it ends the connection. */
export interface Idler {
  onIdle(): void
}

const look = (watch: IdleWatch): void => watch.look()

/** The watch over one connection, until it is stopped. */
export class IdleWatch {
  readonly #socket: object
  readonly #idler: Idler
  readonly #timer: NodeJS.Timeout
  #left = LOOKS
  #read = 0
  #written = 0
  #queued = 0

  /** `socket` is the lowest one; `idleTimeout` is in milliseconds, above 0. */
  constructor(socket: object, idleTimeout: number, idler: Idler) {
    this.#socket = socket
    this.#idler = idler
    this.#moved()
    // the event loop belongs to the connection, not to its watch
    this.#timer = setTimeout(look, idleTimeout / LOOKS, this).unref()
  }

  /** Whether a byte has gone since the last look. */
  #moved(): boolean {
    const { queued, read, written } = NodeHandle.bytesOf(this.#socket)
    const moved = read !== this.#read || written !== this.#written || queued !== this.#queued
    this.#read = read
    this.#written = written
    this.#queued = queued
    return moved
  }

  look(): void {
    this.#left = this.#moved() ? LOOKS : this.#left - 1
    if (this.#left > 0) this.#timer.refresh()
    else this.#idler.onIdle()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}

/** A watch, where the listener has an idle time. */
export const watch = (socket: object, idleTimeout: number | undefined, idler: Idler): IdleWatch | undefined =>
  idleTimeout === undefined || idleTimeout === 0 ? undefined : new IdleWatch(socket, idleTimeout, idler)
