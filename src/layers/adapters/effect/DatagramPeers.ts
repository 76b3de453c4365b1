/**
 * The peers of a datagram socket: each is a session, found by the address that it came from. The inside of
 * `SessionDatagramSocket`.
 */
import * as DatagramSocket from "effect/socket/DatagramSocket"
import * as Address from "../../../domain/net/Address.ts"
import type { Session, SessionHandler } from "../../../services/Sessions.ts"
import * as SessionDatagrams from "../../worker/SessionDatagrams.ts"
import { lost } from "../node/SessionDuplex.ts"

type Done = (error?: DatagramSocket.DatagramSocketError) => void

const notSent = (kind: DatagramSocket.IoErrorKind, cause: Error): DatagramSocket.DatagramSocketError =>
  new DatagramSocket.DatagramSocketError({ reason: new DatagramSocket.DatagramSocketWriteError({ kind, cause }) })

/** One peer: takes datagrams from its session, and sends them on it. */
export class DatagramPeer implements SessionHandler {
  readonly host: string
  readonly port: number
  readonly session: Session
  readonly #onPacket: DatagramSocket.BackingEvents["onPacket"]
  readonly #onGone: (peer: DatagramPeer) => void
  /** What waits for room, oldest first. */
  #waiting: Array<{ readonly payload: Uint8Array; readonly done: Done }> = []

  constructor(
    session: Session,
    { host, port }: Address.HostPort,
    onPacket: DatagramSocket.BackingEvents["onPacket"],
    onGone: (peer: DatagramPeer) => void
  ) {
    this.session = session
    this.host = host
    this.port = port
    this.#onPacket = onPacket
    this.#onGone = onGone
    session.handler = this
    // it may have spoken, or gone, before
    this.readable()
    if (session.closed) this.closed()
  }

  readable(): void {
    const { session } = this
    for (;;) {
      const payload = SessionDatagrams.receive(session)
      if (payload === undefined) break
      this.#onPacket(payload, this.host, this.port)
    }
    // a stream's end: no more will come, and nobody is left to be answered
    if (session.ended) this.close()
  }

  ended(): void {
    this.readable()
  }

  writable(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const outcome = this.#send(next.payload)
      if (outcome === "full") return
      this.#waiting.shift()
      next.done(outcome)
    }
  }

  closed(): void {
    this.close()
  }

  send(payload: Uint8Array, done: Done): void {
    const outcome = this.#waiting.length > 0 ? "full" : this.#send(payload)
    if (outcome === "full") this.#waiting.push({ payload, done })
    else done(outcome)
  }

  #send(payload: Uint8Array): DatagramSocket.DatagramSocketError | "full" | undefined {
    const { session } = this
    const outcome = SessionDatagrams.send(session, payload)
    switch (outcome) {
      case "full":
        return outcome
      case "sent":
        return undefined
      case "too-large": {
        const largest = SessionDatagrams.largest(session)
        const detail = `a datagram of ${payload.length} bytes; this session carries at most ${largest}`
        return notSent("MessageTooLarge", new Error(detail))
      }
      case "closed":
        return notSent("Unreachable", lost("write", session))
    }
  }

  /** Gives the session up: what was sent is still delivered. */
  close(): void {
    const { session } = this
    if (session.handler !== this) return
    session.handler = undefined
    session.close()
    this.#onGone(this)
    const waiting = this.#waiting
    this.#waiting = []
    for (const { done } of waiting) done(notSent("Unreachable", lost("write", session)))
  }
}

const key = (host: string, port: number): string => `${host} ${port}`

/**
 * Where there is no address, the URI stands for the host: it is what is shown, and answers find their way back by it.
 */
export const addressOf = (uri: string): Address.HostPort => Address.hostPort(uri) ?? { host: uri, port: 0 }

/** The sessions of one open reader. */
export class DatagramPeers {
  readonly #byAddress = new Map<string, DatagramPeer>()
  readonly #events: DatagramSocket.BackingEvents
  /** How many ports the peers in local scope have been given. */
  #ports = 0
  #closed = false

  constructor(events: DatagramSocket.BackingEvents) {
    this.#events = events
  }

  readonly add = (session: Session): void => {
    if (this.#closed) return session.close()
    const { host, port } = addressOf(session.remote)
    const address = { host, port: port === 0 ? ++this.#ports : port }
    const name = key(address.host, address.port)
    // the host has let an idle session go, and its peer has come back before this worker heard of it
    this.#byAddress.get(name)?.close()
    const peer = new DatagramPeer(session, address, this.#events.onPacket, (gone) => {
      if (this.#byAddress.get(name) === gone) this.#byAddress.delete(name)
    })
    if (session.handler === peer) this.#byAddress.set(name, peer)
  }

  readonly send: DatagramSocket.BackingSocket["send"] = (payload, destination, done) => {
    const { host, port } = destination!
    const peer = this.#byAddress.get(key(host, port))
    if (peer !== undefined) return peer.send(payload, done)
    done(notSent("Unreachable", new Error(`this worker has no session with ${host} port ${port}`)))
  }

  close(): void {
    this.#closed = true
    for (const peer of this.#byAddress.values()) peer.close()
  }
}
