/**
 * Ends connections that stand still, as `Standstill` says, for a time that their listener settles.
 *
 * A watched socket has one timer, which looks at the counters of the system's socket. So moving bytes costs nothing
 * here, and a watch works whoever reads and writes the socket. Bytes that wait in this process have not gone anywhere; for those that
 * the system has taken, it answers itself.
 */
import {
  lookInterval,
  Standstill,
  type StandstillReason,
  type StandstillTimes,
  type Traffic
} from "../../domain/net/Standstill.ts"
import * as NodeHandle from "./NodeHandle.ts"

/** What is watched. */
export interface Watched {
  /** Bytes that wait for the peer. */
  readonly waiting: number
  /** The connection has stood still for too long, and is to be broken. */
  onStandstill(reason: StandstillReason): void
}

const look = (watch: SocketWatch): void => watch.look()

/** The watch over one connection, until it is stopped. */
export class SocketWatch {
  readonly #socket: object
  readonly #watched: Watched
  readonly #interval: number
  readonly #standstill: Standstill
  readonly #timer: NodeJS.Timeout
  #stopped = false

  /** `socket` is the lowest one; `interval` is in milliseconds. */
  constructor(socket: object, times: StandstillTimes, interval: number, watched: Watched) {
    this.#socket = socket
    this.#watched = watched
    this.#interval = interval
    this.#standstill = new Standstill(times, this.#traffic())
    // the event loop belongs to the connection, not to its watch
    this.#timer = setTimeout(look, interval, this).unref()
  }

  #traffic(): Traffic {
    const { waiting } = this.#watched
    return { ...NodeHandle.bytesOf(this.#socket), waiting }
  }

  look(): void {
    const reason = this.#standstill.look(this.#interval, this.#traffic())
    // what waits may turn out to be unreadable, which ends the connection
    if (this.#stopped) return
    if (reason === undefined) this.#timer.refresh()
    else this.#watched.onStandstill(reason)
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }
}

/** A watch, where the listener bounds how long a connection may stand still. */
export const watch = (socket: object, times: StandstillTimes, watched: Watched): SocketWatch | undefined => {
  const interval = lookInterval(times)
  return interval === undefined ? undefined : new SocketWatch(socket, times, interval, watched)
}
