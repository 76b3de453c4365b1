/**
 * Requests that a worker has made of the host, until they are answered. An answer has the number of its request.
 */
import { AsyncResource } from "node:async_hooks"
import type * as Message from "../../domain/memory/Message.ts"
import type { Outbox } from "./Outbox.ts"

export type Request = Message.Of<"listen" | "unlisten" | "connect">

/** The host's answer. */
export type Reply = Message.Of<"bound" | "unlistened" | "connected" | "cutThroughConnected" | "failed">

const REPLIES: ReadonlySet<Message.Tag> = new Set<Reply["_tag"]>([
  "bound",
  "unlistened",
  "connected",
  "cutThroughConnected",
  "failed"
])

export const isReply = (message: Message.Message): message is Reply => REPLIES.has(message._tag)

/**
 * Hears the answer; `undefined` when the worker is detached first. When it throws for an answer that makes no sense, it
 * hears `undefined` next: the worker is given up.
 */
export type Answered = (reply: Reply | undefined) => void

const nothing = (): void => {}

export class Requests {
  readonly #outbox: Outbox
  readonly #waiting = new Map<number, Answered>()
  #next = 0
  #detached = false

  constructor(outbox: Outbox) {
    this.#outbox = outbox
  }

  /**
   * Asks, with a number of its own. Returns how to withdraw the request: then `answered` is not called, and the host is
   * told if the request is a connect. `answered` runs in the context of this call.
   */
  ask(message: (request: number) => Request, answered: Answered): () => void {
    if (this.#detached) {
      answered(undefined)
      return nothing
    }
    const request = this.#next++ >>> 0
    this.#waiting.set(request, AsyncResource.bind(answered))
    const sent = message(request)
    this.#outbox.control(sent)
    return () => {
      if (!this.#waiting.delete(request) || sent._tag !== "connect") return
      this.#outbox.control({ _tag: "cancelConnect", request })
    }
  }

  /** Whether the request waits for its answer. */
  waits(request: number): boolean {
    return this.#waiting.has(request)
  }

  /**
   * The host has answered; `false` when the request has been withdrawn meanwhile, or there was no such request. Throws
   * what {@link Answered} throws.
   */
  answer(reply: Reply): boolean {
    const answered = this.#waiting.get(reply.request)
    if (answered === undefined) return false
    this.#waiting.delete(reply.request)
    try {
      answered(reply)
    } catch (error) {
      answered(undefined)
      throw error
    }
    return true
  }

  /** Nothing is answered any more. */
  detach(): void {
    this.#detached = true
    for (const answered of this.#waiting.values()) answered(undefined)
    this.#waiting.clear()
  }
}
