/**
 * A session whose connection moves, socket and all, to the worker that claims it. What stays here is counted in limits
 * and tables; the worker is told when the connection is to end, and says when it is gone.
 *
 * A worker that drains may give the socket back (X1): it is in the worker's way of handing over before its word of that
 * can be read, and is found there, too, when the worker has died meanwhile. The connection then goes on with another
 * worker, or ends here, if that is what was to become of it.
 */
import type * as Fifo from "../../domain/memory/Fifo.ts"
import * as Message from "../../domain/memory/Message.ts"
import * as SessionBlock from "../../domain/memory/SessionBlock.ts"
import * as ConnectionLoss from "../../domain/net/ConnectionLoss.ts"
import * as Handle from "../../domain/state/Handle.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import * as SessionState from "../../domain/state/SessionState.ts"
import type { MovingSubject } from "../../services/Attachment.ts"
import type { MovableConnection } from "../../services/Transport.ts"
import { type AboutPlace, ConnectionSession } from "./ConnectionSession.ts"
import type { KindReport, ParkingSession, SessionHome } from "./HostSession.ts"

export class TransferSession extends ConnectionSession implements MovingSubject, ParkingSession {
  readonly connection: MovableConnection
  protected readonly rings = undefined
  /** Whether TLS ends in the worker and may still fail there: the worker says so only if it does. */
  #inTls: boolean
  /** Whether the worker was given the socket, and has it. */
  #moved = false
  #returned: { readonly state: Uint8Array | undefined } | undefined
  /** How it was to end, once it was. */
  #ends: "close" | "abort" = "close"

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
      bytesIn: null,
      bytesOut: null,
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

  // ---- given back (X1)

  // a worker that gives it back has dealt with it
  readonly isFresh = false

  override onParked(): void {
    if (!this.#moved || !this.#comeBack(this.worker.handsOver)) {
      this.worker.fault(`the worker said that it gave session ${Handle.format(this.handle)} back, and it has not`)
    }
  }

  override carryOn(): void {
    if (this.#moved) this.#comeBack(true)
  }

  /** Whether the worker has given the socket back. */
  #comeBack(goesOn: boolean): boolean {
    const returned = this.worker.handOver.takeBack(this.handle)
    if (returned === undefined) return false
    const { socket, state } = returned
    if ((state?.length ?? 0) > SessionBlock.STATE_BYTES || !this.connection.comeBack(socket)) return false
    this.#moved = false
    this.#returned = { state }
    if (SessionState.canMove(this.state) && goesOn) this.origin.moves?.carryOn(this)
    else {
      // it was to end, and the worker had not heard of it; or nobody goes on with what this worker had
      this.connection[this.#ends]()
      this.free("gone")
    }
    return true
  }

  takeAway(): { readonly state: Uint8Array | undefined } | undefined {
    const returned = this.#returned
    if (returned === undefined) return undefined
    this.move("moveOn")
    // the worker has forgotten it already
    this.uncount()
    this.free("release")
    return returned
  }

  protected override finish(how: "close" | "abort"): void {
    this.#ends = how
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
