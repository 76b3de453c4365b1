/**
 * A session over a transport's connection. Its block, and the text of what is known of it, are in the worker's memory.
 */
import type * as Fifo from "../../domain/memory/Fifo.ts"
import * as Message from "../../domain/memory/Message.ts"
import type * as Handle from "../../domain/state/Handle.ts"
import type { Connection } from "../../services/Transport.ts"
import { HostSession, type SessionHome } from "./HostSession.ts"

/** Where the text of what is known of a session is; `hasState`: and what an earlier worker's application gave along. */
export interface AboutPlace {
  readonly place: Fifo.BlockPlace
  readonly bytes: number
  readonly hasState: boolean
}

export abstract class ConnectionSession extends HostSession {
  abstract override readonly connection: Connection
  protected readonly blocks: Fifo.Blocks
  /** Where its fifos' rings are; a connection that moves has none. */
  protected abstract readonly rings: Fifo.BlockPlace | undefined
  /** Kept until the worker has read the text. */
  #about: AboutPlace | undefined

  constructor(handle: Handle.SessionHandle, home: SessionHome, blocks: Fifo.Blocks, about: AboutPlace | undefined) {
    super(handle, home)
    this.blocks = blocks
    this.#about = about
  }

  /** Bits of the message's kind. */
  protected get kind(): number {
    return (this.connection.mapped ? Message.MAPPED : 0) | (this.#about?.hasState === true ? Message.HAS_STATE : 0)
  }

  protected override offerMessage(listener: Handle.ListenerHandle): Message.Of<"accepted"> {
    const { local, remote } = this.connection
    return { _tag: "accepted", listener, ...this.#where, remote, local }
  }

  /** The message that answers the worker's connect. */
  connectedMessage(request: number): Message.Of<"connected"> {
    const { local, remote } = this.connection
    return { _tag: "connected", request, ...this.#where, remote, local }
  }

  get #where(): Omit<Message.Of<"connected">, "_tag" | "request" | "remote" | "local"> {
    const about = this.#about
    return {
      session: this.handle,
      kind: this.kind,
      segment: this.place.segment,
      offset: this.place.offset,
      ringsSegment: this.rings?.segment ?? 0,
      ringsOffset: this.rings?.offset ?? 0,
      aboutSegment: about?.place.segment ?? 0,
      aboutOffset: about?.place.offset ?? 0,
      aboutBytes: about?.bytes ?? 0
    }
  }

  override forgetAbout(): void {
    if (this.#about !== undefined) this.blocks.free(this.#about.place)
    this.#about = undefined
  }

  protected override freeMemory(): void {
    this.forgetAbout()
    this.blocks.free(this.place)
  }
}
