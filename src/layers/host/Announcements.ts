/**
 * The segments and links that a worker is given to keep (W20): each is handed over with a message that announces it,
 * and withdrawn by another. The worker hears of a withdrawal only if it has heard of the announcement.
 */
import type * as Message from "../../domain/memory/Message.ts"
import type { Attachment } from "../../services/Attachment.ts"
import type { Congestion } from "../../services/Congestion.ts"
import * as Bells from "../stack/Bells.ts"

/** What a worker is given to keep. */
type Announced = Exclude<Attachment, { readonly _tag: "Socket" | "Certificates" }>

export class Announcements {
  readonly #congestion: Congestion["Service"]
  /** Numbers of those whose announcement was released: the worker does not know them. */
  readonly #untold: Record<Announced["_tag"], Set<number>> = { Segment: new Set(), Link: new Set() }

  constructor(congestion: Congestion["Service"]) {
    this.#congestion = congestion
  }

  /** Hands a segment or a link over, with the message about it, while it is `live` (W20). */
  announce(message: Message.Of<"addSegment" | "addLink">, attachment: Announced, live: () => boolean): void {
    const number = message._tag === "addSegment" ? message.segment : message.link
    const untold = this.#untold[attachment._tag]
    const cleanUp = (): void => {
      untold.add(number)
      if (attachment._tag === "Link") Bells.closeLink(attachment.link.bell)
    }
    this.#congestion.send({ message, attachment, live, cleanUp })
  }

  /** Tells the worker that the segment or link is gone, if the worker was ever told of it. */
  withdraw(message: Message.Of<"deleteSegment" | "deleteLink">): void {
    const isSegment = message._tag === "deleteSegment"
    const number = isSegment ? message.segment : message.link
    const untold = this.#untold[isSegment ? "Segment" : "Link"]
    // a postponed message is checked again when its turn comes: the one before it is delivered by then, or released
    if (!untold.delete(number)) this.#congestion.send({ message, live: () => !untold.delete(number) })
  }
}
