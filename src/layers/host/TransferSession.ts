/**
 * A session whose connection moves, socket and all, to the worker that claims it. What stays here is counted in limits
 * and tables; the worker is told when the connection is to end, and says when it is gone.
 */
import type * as Fifo from "../../domain/memory/Fifo.ts"
import * as Message from "../../domain/memory/Message.ts"
import * as ConnectionLoss from "../../domain/net/ConnectionLoss.ts"
import type * as Handle from "../../domain/state/Handle.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import type { MovingSubject } from "../../services/Attachment.ts"
import type { MovableConnection } from "../../services/Transport.ts"
import { type AboutPlace, ConnectionSession } from "./ConnectionSession.ts"
import type { KindReport, SessionHome } from "./HostSession.ts"

export class TransferSession extends ConnectionSession implements MovingSubject {
  readonly connection: MovableConnection
  protected readonly rings = undefined
  /** Whether TLS ends in the worker and may still fail there: the worker says so only if it does. */
  #inTls: boolean
  /** Whether the worker was given the socket. */
  #moved = false

  constructor(
    handle: Handle.SessionHandle,
    home: SessionHome,
    blocks: Fifo.Blocks,
    about: AboutPlace | undefined,
    connection: MovableConnection
  ) {
    super(handle, home, blocks, about)
    this.connection = connection
    this.#inTls = connection.inTls
  }

  protected override get kind(): number {
    return super.kind | Message.MOVES | (this.connection.inTls ? Message.IN_TLS : 0)
  }

  override report(): KindReport {
    return {
      kind: "accepted",
      placement: "transfer",
      parked: false,
      rx: null,
      tx: null,
      dropped: 0
    }
  }

  override offer(listener: Handle.ListenerHandle, undelivered: () => void): void {
    // many are accepted in one turn, and each still has a round trip between host and worker ahead of it
    this.worker.gather()
    super.offer(listener, undelivered)
  }

  override open(): void {
    const socket = this.connection.take()
    if (socket === undefined) return
    this.#moved = true
    this.worker.congestion.send({
      message: { _tag: "moved", session: this.handle },
      attachment: { _tag: "Socket", session: this.handle, socket, subject: this },
      live: this.isLive,
      cleanUp: () => {
        socket.destroy()
        this.free("drop")
      }
    })
  }

  /** Its worker finds no socket, and gives the session up. */
  unmoved(): void {
    if (this.isOpen) this.origin.unmoved(this)
  }

  override insecure(): boolean {
    if (!this.#inTls || !this.isOpen) return false
    this.#inTls = false
    return true
  }

  override gone(ended: Ledger.EndReason | undefined): boolean {
    if (!this.#moved) return false
    if (ended !== undefined) this.origin.ended(this, ended)
    this.free("gone")
    return true
  }

  protected override finish(how: "close" | "abort"): void {
    if (!this.#moved) return this.connection.abort()
    const session = this.handle
    this.#tell(
      how === "close" ? { _tag: "disconnected", session } : { _tag: "reset", session, reason: ConnectionLoss.GIVEN_UP }
    )
  }

  /** Tells the worker what is to become of the connection that it has. */
  #tell(message: Message.Of<"disconnected" | "reset">): void {
    if (this.state !== "TRANSPORT_DELETED") this.worker.congestion.send({ message, live: this.isLive })
  }
}
