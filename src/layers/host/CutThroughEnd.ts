/**
 * One end of a cut-through session (W16), and the session of the worker at that end. Bytes never come here; what the
 * host passes on is how the session ends:
 *
 * | what one side does | what the other one hears |
 * |---|---|
 * | `end` | the end of that side; when both have ended, the connection is over |
 * | `close` | the end of that side, and the end of the connection; what was written before can still be read |
 * | `abort`, or `close` with unread bytes | a reset |
 * | its worker goes away | a reset |
 */
import type * as Message from "../../domain/memory/Message.ts"
import type * as Handle from "../../domain/state/Handle.ts"
import type * as Ledger from "../../domain/state/Ledger.ts"
import { HostSession, type KindReport, type Origin, type SessionHome } from "./HostSession.ts"
import type { LiveWorker } from "./Worker.ts"

/** What an end needs of the connect that it is an end of. */
export interface EndOwner {
  /** A session for an offer to the worker; `undefined` when it has no room for one. */
  offerTo(worker: LiveWorker, origin: Origin): HostSession | undefined
  /** The message that offers the session. */
  offerMessage(session: CutThroughHostSession, listener: Handle.ListenerHandle): Message.Of<"cutThroughAccepted">
  /** The server's worker has claimed the session. Answers why the connect can't be completed, if it can't. */
  claimed(): string | undefined
  /** The listener, or the application behind it, has refused the session. */
  refused(reason: Ledger.RefuseReason, detail: string): void
  /** The session no longer uses its memory. */
  freed(session: CutThroughHostSession): void
}

/** One end of a cut-through session, in the place where other sessions have the connection of a transport. */
export class CutThroughEnd {
  readonly _tag = "CutThrough"
  readonly about = undefined
  readonly side: "client" | "server"
  readonly local: string
  readonly remote: string
  /** Called when the client gives up before there is a session. */
  onGone: (() => void) | undefined
  readonly owner: EndOwner
  #peer: CutThroughEnd | undefined
  #session: HostSession | undefined
  #ended = false
  #over = false

  private constructor(side: "client" | "server", local: string, remote: string, owner: EndOwner) {
    this.side = side
    this.local = local
    this.remote = remote
    this.owner = owner
  }

  /** Both ends of one cut-through session, by the endpoints of its client and its server. */
  static makeBoth(client: string, server: string, owner: EndOwner): Record<"client" | "server", CutThroughEnd> {
    const ends = {
      client: new CutThroughEnd("client", client, server, owner),
      server: new CutThroughEnd("server", server, client, owner)
    }
    ends.client.#peer = ends.server
    ends.server.#peer = ends.client
    return ends
  }

  /** The worker at this end has the session. */
  open(session: HostSession): void {
    this.#session = session
    if (this.side === "client") return
    const why = this.owner.claimed()
    if (why !== undefined) queueMicrotask(() => this.#finish(why, undefined))
  }

  /** Nobody takes the session that a connect asks for. `detail`: why, in a sentence, if somebody has said. */
  refuse(reason: Ledger.RefuseReason, detail = `${this.local} takes no session now`): void {
    this.owner.refused(reason, detail)
  }

  end(): void {
    if (this.#ended || this.#over) return
    this.#ended = true
    // never inside the call that caused it
    queueMicrotask(() => {
      const peer = this.#peer
      if (this.#over || peer === undefined) return
      peer.#session?.ended()
      if (peer.#ended) this.#finish(undefined, undefined)
    })
  }

  close(): void {
    queueMicrotask(() => {
      if (this.#over) return
      const peer = this.#peer
      if (!this.#ended && peer !== undefined) peer.#session?.ended()
      this.#finish(undefined, undefined)
    })
  }

  abort(): void {
    queueMicrotask(() => this.#finish("the connection was given up", "the peer reset the connection"))
  }

  /** Ends the connection, with one reason for this side and one for the other. */
  #finish(mine: string | undefined, theirs: string | undefined): void {
    if (this.#over) return
    this.#over = true
    const peer = this.#peer
    if (peer !== undefined) {
      peer.#over = true
      peer.#session?.closed(theirs)
    }
    this.#session?.closed(mine)
  }
}

/** The session at one end. Its block is the segment that the two workers share. */
export class CutThroughHostSession extends HostSession {
  readonly connection: CutThroughEnd
  /** Its number among the worker's cut-through sessions. */
  readonly slot: number

  constructor(handle: Handle.SessionHandle, home: SessionHome, connection: CutThroughEnd, slot: number) {
    super(handle, home)
    this.connection = connection
    this.slot = slot
  }

  override report(): KindReport {
    return {
      kind: this.connection.side === "server" ? "cut-through server" : "cut-through client",
      placement: "shared",
      rx: null,
      tx: null,
      bytesIn: null,
      bytesOut: null,
      dropped: 0,
      parked: false
    }
  }

  protected override offerMessage(listener: Handle.ListenerHandle): Message.Of<"cutThroughAccepted"> {
    return this.connection.owner.offerMessage(this, listener)
  }

  override open(): void {
    this.connection.open(this)
  }

  override end(): void {
    if (this.isOpen) this.connection.end()
  }

  protected override finish(how: "close" | "abort"): void {
    this.connection[how]()
  }

  protected override freeMemory(): void {
    this.worker.freeSlot(this.slot)
    this.connection.owner.freed(this)
  }
}
