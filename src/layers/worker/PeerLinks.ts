/**
 * What a worker shares with other workers for cut-through sessions (W16): a link to each worker that it has such a
 * session with, and the inbox in which they say which of its sessions have something to look at.
 *
 * Once it has a link, the worker sleeps on the inbox as it does on its queue. This module is a hot path.
 */
import * as Inbox from "../../domain/memory/Inbox.ts"
import type { CutThroughSession } from "./CutThroughSession.ts"
import type { ReceivedLink, WorkerPlace } from "./WorkerPlace.ts"

/** A link, and the sender that says over it that a session has something to look at. */
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

  /** What tells the worker at the other end of a link that there is something to look at. */
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
    // the slot may belong to the next session already
    if (this.#sessions[session.slot] === session) this.#sessions[session.slot] = undefined
  }

  /** Calls `step` for each of them. */
  each(step: (session: CutThroughSession) => void): void {
    if (this.#count === 0) return
    for (const session of this.#sessions) if (session !== undefined) step(session)
  }

  // ---- the inbox, for the loop that reads it; without a link it plays no part

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
