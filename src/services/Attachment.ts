/**
 * What goes to a worker along with a message: memory, links to other workers, sockets and certificates can't be written
 * into a queue. They are handed over before the message about them is visible (M5). Sockets come back in the same way.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type { MessagePort } from "node:worker_threads"
import type * as Segment from "../domain/memory/Segment.ts"
import type { SessionHandle } from "../domain/state/Handle.ts"
import type { DoorbellShape } from "./Doorbell.ts"
import type { Moving } from "./Transport.ts"

/**
 * A way from one worker to another for cut-through sessions (W16): the other worker's inbox, and a doorbell to that
 * worker. Both ends of a link are made together.
 *
 * @category models
 * @since 0.1.0
 */
export interface Link {
  /** Number of the link among the worker's links; never used twice in a worker's life. */
  readonly number: number
  /** The other worker's inbox. */
  readonly inbox: SharedArrayBuffer
  /** This worker's end of the doorbell. */
  readonly bell: LinkBell
}

/**
 * An end of the doorbell between two workers: a port for a thread, the doorbell itself for a worker on the host's loop.
 *
 * @category models
 * @since 0.1.0
 */
export type LinkBell = MessagePort | DoorbellShape

/**
 * A certificate of the application and its key as PEM texts, for workers that end TLS themselves.
 *
 * @category models
 * @since 0.1.0
 */
export interface PostedCertificate {
  /** Names by which the certificate is found. */
  readonly hosts: ReadonlyArray<string>
  readonly chain: string
  readonly key: string
}

/**
 * What goes to the worker along with a message.
 *
 * @category models
 * @since 0.1.0
 */
export type Attachment =
  | { readonly _tag: "Segment"; readonly segment: Segment.Segment }
  | { readonly _tag: "Link"; readonly link: Link }
  | { readonly _tag: "Certificates"; readonly certificates: ReadonlyArray<PostedCertificate> }
  | {
    readonly _tag: "Socket"
    readonly session: SessionHandle
    readonly socket: Moving
    /** Hears when the socket could not be handed over, and was broken. */
    readonly subject?: MovingSubject
  }

/**
 * What a socket that goes to a worker belongs to.
 *
 * @category models
 * @since 0.1.0
 */
export interface MovingSubject {
  /** The socket could not be handed over, and was broken. The worker finds none, and says that the session is gone. */
  unmoved(): void
}

/**
 * The socket of a session that a worker gives back to the host (X1): nothing that was read from it or written to it is
 * left in the worker.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReturnedSocket {
  /** The handle, as it was posted. */
  readonly socket: object
  /** What the application gives along; `undefined` where it has done nothing with the session. */
  readonly state: Uint8Array | undefined
}

/**
 * How attachments get to the worker, and sockets back to the host. Only `Congestion` hands over.
 *
 * @category services
 * @since 0.1.0
 */
export class HandOver extends Context.Service<HandOver, {
  /** Gives an attachment to the worker before its message is visible; `false` when the worker can't be reached. */
  readonly give: (attachment: Attachment) => boolean
  /** Called before messages become visible, where attachments are sent together; absent where each is sent at once. */
  readonly flush: (() => void) | undefined
  /**
   * The socket of a session that the worker has given back, once; `undefined` when it has not. It is there before the
   * worker's word of it can be read, and also when the worker is gone.
   */
  readonly takeBack: (session: SessionHandle) => ReturnedSocket | undefined
}>()("sluice/services/HandOver") {}
