/**
 * What goes over the ports between the host and a worker's thread. Everything else goes through the queues.
 *
 * | from | over | what | when |
 * |---|---|---|---|
 * | either side | the worker's port | a ring (`Bells.ofPort`) | the other side sleeps and has something to look at |
 * | the host | the worker's port | {@link Posted} | before the message about it is visible (M5) |
 * | the thread | the worker's port | {@link PostedBack} | before its word of it is visible (X1) |
 * | the thread | the thread's own port | `ThreadStatus` | it is ready, or why it is not; where it calls `process.exit`; what it loads |
 *
 * A port keeps its order, so what belongs to a message is there, or still in the port, when that message is read.
 */
import type * as LogLevel from "effect/LogLevel"
import * as Predicate from "effect/Predicate"
import { type MessagePort, receiveMessageOnPort, type Transferable } from "node:worker_threads"
import type { SessionHandle } from "../../domain/state/Handle.ts"
import type { PostedCertificate, ReturnedSocket } from "../../services/Attachment.ts"
import type { LogStyle } from "../log/LogStyle.ts"
import * as NodeHandle from "../transport/NodeHandle.ts"
import type * as WorkerPlace from "../worker/WorkerPlace.ts"

/** What the thread finds in `workerData`. */
export interface ThreadData {
  readonly start: WorkerPlace.WorkerStart
  readonly url: string
  /** Whether the module runs as the thread's main module. */
  readonly isMain: boolean
  /** Whether the host wants to know which files the thread loads as modules. */
  readonly tellsLoaded: boolean
  /** Whether the host wants to know what is left of the thread's heap whenever all of it was collected. */
  readonly tellsHeap: boolean
  /** What the workers of the application make the keys of TLS tickets of, for servers that end TLS themselves. */
  readonly tickets: Uint8Array
  readonly port: MessagePort
  /** What is logged on the thread, and how it looks: as the host's own log. */
  readonly log: { readonly style: LogStyle; readonly level: LogLevel.LogLevel }
}

/** Memory that the worker shares with the host from now on. */
export interface PostedSegment {
  readonly _tag: "Segment"
  readonly segment: number
  readonly buffer: ArrayBufferLike
  readonly hostBytes: number
}

/** This worker's end of a link to another one. There is no bell if the other worker has gone meanwhile. */
export interface PostedLink {
  readonly _tag: "Link"
  readonly link: number
  readonly inbox: SharedArrayBuffer
  readonly bell: MessagePort | undefined
}

/** Sockets, and their sessions in the same order. */
export interface PostedSockets {
  readonly _tag: "Sockets"
  readonly sockets: ReadonlyArray<object>
  readonly sessions: ReadonlyArray<SessionHandle>
}

/** The application's certificates, all of them. */
export interface PostedCertificates {
  readonly _tag: "Certificates"
  readonly certificates: ReadonlyArray<PostedCertificate>
}

/** What the host posts, apart from rings. */
export type Posted = PostedSegment | PostedLink | PostedSockets | PostedCertificates

/** The socket of a session that the thread gives back. */
export interface PostedBack extends ReturnedSocket {
  readonly _tag: "Back"
  readonly session: SessionHandle
}

/**
 * One end of a port: keeps what comes until it is asked for. What was posted before a message became visible is here when
 * the message is read, or still in the port.
 */
abstract class Inlet {
  readonly #port: MessagePort

  constructor(port: MessagePort) {
    this.#port = port
    port.on("message", (message: unknown) => this.keep(message))
  }

  /** Keeps what is meant for this inlet; a ring may be dropped, since whoever takes something is awake. */
  protected abstract keep(message: unknown): void

  protected take<K, A>(kept: Map<K, A>, key: K): A | undefined {
    for (let next; !kept.has(key) && (next = receiveMessageOnPort(this.#port)) !== undefined;) this.keep(next.message)
    const taken = kept.get(key)
    kept.delete(key)
    return taken
  }
}

/** The thread's end of the worker's port. */
export class ThreadInlet extends Inlet {
  readonly #segments = new Map<number, PostedSegment>()
  readonly #links = new Map<number, PostedLink>()
  readonly #sockets = new Map<SessionHandle, object>()
  /** The latest certificates, as number 0. */
  readonly #certificates = new Map<0, ReadonlyArray<PostedCertificate>>()

  /** The memory of a segment, once. */
  segment(number: number): PostedSegment | undefined {
    return this.take(this.#segments, number)
  }

  /** The end of a link, once. */
  link(number: number): PostedLink | undefined {
    return this.take(this.#links, number)
  }

  /** The socket of a session, once. */
  socket(session: SessionHandle): object | undefined {
    return this.take(this.#sockets, session)
  }

  /** The certificates that were posted last; `undefined` when they have been taken. */
  certificates(): ReadonlyArray<PostedCertificate> | undefined {
    return this.take(this.#certificates, 0)
  }

  protected override keep(message: unknown): void {
    if (!isPosted(message)) return
    switch (message._tag) {
      case "Segment":
        return void this.#segments.set(message.segment, message)
      case "Link":
        return void this.#links.set(message.link, message)
      case "Certificates":
        return void this.#certificates.set(0, message.certificates)
      case "Sockets":
        for (const [i, session] of message.sessions.entries()) this.#sockets.set(session, message.sockets[i]!)
    }
  }
}

/** The host's end of a worker's port. */
export class HostInlet extends Inlet {
  readonly #back = new Map<SessionHandle, ReturnedSocket>()

  /** The socket of a session that the thread has given back, once. */
  socket(session: SessionHandle): ReturnedSocket | undefined {
    return this.take(this.#back, session)
  }

  /** Nobody takes what is still here. */
  close(): void {
    for (const { socket } of this.#back.values()) if (NodeHandle.isTcpHandle(socket)) socket.close()
  }

  protected override keep(message: unknown): void {
    if (isPostedBack(message)) this.#back.set(message.session, { socket: message.socket, state: message.state })
  }
}

/** Posts a socket to the host; `false` when it is still here, for want of a descriptor for its copy. */
export const giveBack = (port: MessagePort, session: SessionHandle, { socket, state }: ReturnedSocket): boolean => {
  const transferred: Array<object> = [socket]
  port.postMessage({ _tag: "Back", session, socket, state } satisfies PostedBack, transferred as Array<Transferable>)
  return !NodeHandle.isHere(socket)
}

const tags: ReadonlySet<unknown> = new Set<Posted["_tag"]>(["Segment", "Link", "Sockets", "Certificates"])

/** Told by the tag alone: only the host has the other end of the port. */
const isPosted = (message: unknown): message is Posted =>
  Predicate.hasProperty(message, "_tag") && tags.has(message._tag)

/** The host looks at what it gets: the application's code runs on the thread, too. */
const isPostedBack = (message: unknown): message is PostedBack =>
  Predicate.hasProperty(message, "_tag") && message._tag === "Back"
  && Predicate.hasProperty(message, "session") && typeof message.session === "number"
  && Predicate.hasProperty(message, "socket") && Predicate.isObject(message.socket)
  && Predicate.hasProperty(message, "state")
  && (message.state === undefined || message.state instanceof Uint8Array)
