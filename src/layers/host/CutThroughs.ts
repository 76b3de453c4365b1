/**
 * The cut-through sessions of a host (W16), and the links between its workers: a link lets two workers wake each other
 * without the host.
 */
import type { LinkBell } from "../../services/Attachment.ts"
import * as Bells from "../stack/Bells.ts"
import { CutThrough, type Failure, type Outcome } from "./CutThrough.ts"
import type { HostListener } from "./Listener.ts"
import type { Tables } from "./Tables.ts"
import type { LiveWorker } from "./Worker.ts"

export class CutThroughs {
  readonly tables: Tables
  /** Those that are connected, until they are free on both sides. */
  readonly connected = new Set<CutThrough>()
  /** How many have been connected. */
  made = 0
  /** Why a worker may not have another session that it asked for. */
  readonly whyNoConnect: (worker: LiveWorker) => Failure | undefined

  constructor(tables: Tables, whyNoConnect: (worker: LiveWorker) => Failure | undefined) {
    this.tables = tables
    this.whyNoConnect = whyNoConnect
  }

  /**
   * Connects a worker to a listener. `done` hears the outcome once, unless the connect is cancelled first. Returns how
   * to cancel it.
   */
  connect(
    worker: LiveWorker,
    request: number,
    endpoint: string,
    listener: HostListener,
    done: (outcome: Outcome) => void
  ): () => void {
    const slot = worker.takeSlot()
    if (slot === undefined) {
      done({ reason: "no-memory", detail: "the worker has all the cut-through sessions that it may have" })
      return () => {}
    }
    const cutThrough = new CutThrough(this, worker, slot, request, endpoint, done)
    cutThrough.arrive(listener)
    return () => cutThrough.cancel()
  }

  /** The number of `from`'s link to `to`, which is made if there is no link yet. */
  link(from: LiveWorker, to: LiveWorker): number {
    const known = from.links.get(to)
    if (known !== undefined) return known
    const [mine, theirs] = Bells.linkPair(from.slot.kind, to.slot.kind)
    const number = this.#announce(from, to, mine)
    const back = this.#announce(to, from, theirs)
    to.links.set(from, back)
    // a worker that is linked to itself has two numbers for the link, and either will do
    from.links.set(to, number)
    return number
  }

  #announce(worker: LiveWorker, peer: LiveWorker, bell: LinkBell): number {
    const number = worker.nextLink()
    worker.announcements.announce(
      { _tag: "addLink", link: number },
      { _tag: "Link", link: { number, inbox: peer.queue.inbox, bell } },
      () => peer.slot.live === peer
    )
    return number
  }

  /** The worker is going: the others are told that their links to it are gone, and keep no memory for it. */
  unlink(worker: LiveWorker): void {
    for (const peer of worker.links.keys()) {
      peer.segments.cutThrough.forget(worker)
      const link = peer.links.get(worker)
      if (peer === worker || link === undefined) continue
      peer.links.delete(worker)
      peer.announcements.withdraw({ _tag: "deleteLink", link })
    }
    worker.links.clear()
  }
}
