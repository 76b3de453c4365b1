/**
 * The channel between the two hosts of a takeover (X4): Node's, between a process and its child. What comes in is
 * decoded before anybody sees it.
 */
import * as Result from "effect/Result"
import type * as ChildProcess from "node:child_process"
import type { ChannelPort } from "../system/Descent.ts"

/** How messages are written and read; and what becomes of them. */
export interface ChannelEnd<Out, In extends { readonly _tag: string }> {
  readonly encode: (message: Out) => unknown
  readonly decode: (message: unknown) => Result.Result<In, { readonly message: string }>
  readonly receive: (message: In, socket: unknown) => void
  /** Something came that can't be read. */
  readonly unread: (why: string) => void
  /** The other process has closed it, or is gone. Called once. */
  readonly lost: () => void
}

/** Milliseconds between a message that could not be sent and the channel's end, at the most. */
const END_TIME = 1_000
/** The most characters of a reason that are shown. */
const SHOWN = 200

export class TakeoverChannel<Out, In extends { readonly _tag: string }> {
  readonly #port: ChannelPort
  readonly #end: ChannelEnd<Out, In>
  #isOpen = true

  get isOpen(): boolean {
    return this.#isOpen
  }

  constructor(port: ChannelPort, end: ChannelEnd<Out, In>) {
    this.#port = port
    this.#end = end
    port.on("message", this.#onMessage)
    port.on("disconnect", this.#onLost)
  }

  /** Sends a message; `socket`: with it, and this process keeps it. What can't be sent is lost, and so is the channel. */
  send(message: Out, socket?: object): void {
    if (!this.#isOpen) return
    if (!this.#port.connected) return this.#onLost()
    const sent = this.#end.encode(message) as object
    this.#port.send?.(sent, socket as ChildProcess.SendHandle | undefined, {}, this.#onSent)
  }

  /** Sends the last message there is, and then closes; `done` is called in any case. */
  sendLast(message: Out, done: () => void): void {
    if (!this.#isOpen || !this.#port.connected) return done()
    this.#port.send?.(this.#end.encode(message) as object, undefined, {}, () => {
      this.close()
      done()
    })
  }

  /** Nothing comes in or goes out any more. */
  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#port.off("message", this.#onMessage)
    this.#port.off("disconnect", this.#onLost)
    if (this.#port.connected) this.#port.disconnect?.()
  }

  readonly #onMessage = (message: unknown, socket: unknown): void => {
    const decoded = this.#end.decode(message)
    if (Result.isSuccess(decoded)) return this.#end.receive(decoded.success, socket)
    this.#end.unread(decoded.failure.message.replaceAll(/\s+/g, " ").slice(0, SHOWN))
  }

  /** The other process reads no more; what it has said before is still to be read, and then the channel says its end. */
  readonly #onSent = (error: Error | null): void => {
    if (error !== null) setTimeout(this.#onLost, END_TIME).unref()
  }

  readonly #onLost = (): void => {
    if (!this.#isOpen) return
    this.close()
    this.#end.lost()
  }
}
