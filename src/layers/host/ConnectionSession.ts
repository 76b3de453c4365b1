/**
 * A session over a transport's connection. Its block, and the text of what is known of it, are in the worker's memory.
 */
import type * as Fifo from "../../domain/memory/Fifo.ts"
import type * as Message from "../../domain/memory/Message.ts"
import type * as Handle from "../../domain/state/Handle.ts"
import type { Connection } from "../../services/Transport.ts"
import { HostSession, type SessionHome } from "./HostSession.ts"

/** Where the text of what is known of a session is. */
export interface AboutPlace {
  readonly place: Fifo.BlockPlace
  readonly bytes: number
}

export abstract class ConnectionSession extends HostSession {
  abstract override readonly connection: Connection
  protected readonly blocks: Fifo.Blocks
  /** Kept until the worker has read the text. */
  #about: AboutPlace | undefined

  constructor(handle: Handle.SessionHandle, home: SessionHome, blocks: Fifo.Blocks, about: AboutPlace | undefined) {
    super(handle, home)
    this.blocks = blocks
    this.#about = about
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

  get #where(): Pick<
    Message.Of<"accepted">,
    "session" | "segment" | "offset" | "aboutSegment" | "aboutOffset" | "aboutBytes"
  > {
    const about = this.#about
    return {
      session: this.handle,
      segment: this.place.segment,
      offset: this.place.offset,
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
