/**
 * What a worker shares with other workers for cut-through sessions (W16): a link to each that it has one with, and the
 * inbox in which they say which of its sessions has something to look at.
 *
 * The worker sleeps on the inbox as it does on its queue, once it has a link. This module is a hot path.
 */
import * as Inbox from "../../domain/memory/Inbox.ts"
import type { CutThroughSession } from "./CutThroughSession.ts"
import type { ReceivedLink, WorkerPlace } from "./WorkerPlace.ts"

/** A link, and what says by it that a session has something to look at. */
interface Link extends ReceivedLink {
  readonly sender: Inbox.Sender
}

export class PeerLinks {
  readonly #receive: WorkerPlace["receiveLink"]
  readonly #inbox: Inbox.Receiver
  readonly #links = new Map<number, Link>()
  /** Sessions by their slots in the inbox. */
  readonly #sessions: Array<CutThroughSession | undefined> = []
  #count = 0

  constructor(inbox: SharedArrayBuffer, receive: WorkerPlace["receiveLink"]) {
    this.#inbox = new Inbox.Receiver(inbox)
    this.#receive = receive
  }

  /** The host has handed a link over; its rings call `wake`. */
  add(number: number, wake: () => void): void {
    const link = this.#receive(number, wake)
    if (link === undefined) return
    this.#links.set(number, { ...link, sender: new Inbox.Sender(link.inbox, link.ring) })
  }

  /** The other worker is gone. */
  remove(number: number): void {
    this.#links.get(number)?.close()
    this.#links.delete(number)
  }

  /** Tells the worker at the other end of a link. */
  sender(number: number): Inbox.Sender | undefined {
    return this.#links.get(number)?.sender
  }

  // ---- its sessions

  /** Cut-through sessions that are open. */
  get sessions(): number {
    return this.#count
  }

  session(slot: number): CutThroughSession | undefined {
    return this.#sessions[slot]
  }

  enter(session: CutThroughSession): void {
    this.#count++
    this.#sessions[session.slot] = session
    this.#inbox.use(session.slot)
  }

  leave(session: CutThroughSession): void {
    this.#count--
    // the slot may be the next one's already
    if (this.#sessions[session.slot] === session) this.#sessions[session.slot] = undefined
  }

  // ---- the inbox, for the loop that reads it; it is no matter while there is no link

  get any(): boolean {
    return this.#links.size > 0
  }

  get pending(): boolean {
    return this.#inbox.pending
  }

  drain(look: (slot: number) => void): number {
    return this.#links.size > 0 ? this.#inbox.drain(look) : 0
  }

  sleep(): boolean {
    return this.#links.size === 0 || this.#inbox.sleep()
  }

  wake(): void {
    this.#inbox.wake()
  }

  /** Nothing comes from other workers any more, and nothing goes to them. */
  close(): void {
    this.#sessions.length = 0
    for (const link of this.#links.values()) link.close()
    this.#links.clear()
  }
}
