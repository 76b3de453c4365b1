/**
 * What goes over the ports between the host and a worker's thread. Everything else goes through the queues.
 *
 * | from | over | what | when |
 * |---|---|---|---|
 * | either side | the worker's port | a ring (`Bells.ofPort`) | the other side sleeps and has something to look at |
 * | the host | the worker's port | {@link Posted} | before the message about it is visible (M5) |
 * | the thread | the thread's own port | `ThreadStatus` | it is ready, or why it is not; where it calls `process.exit`; what it loads |
 *
 * A port keeps its order, so what belongs to a message is there, or still in the port, when that message is read.
 */
import type * as LogLevel from "effect/LogLevel"
import * as Predicate from "effect/Predicate"
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads"
import type { SessionHandle } from "../../domain/state/Handle.ts"
import type { PostedCertificate } from "../../services/Attachment.ts"
import type { LogStyle } from "../log/LogStyle.ts"
import type * as WorkerPlace from "../worker/WorkerPlace.ts"

/** What the thread finds in `workerData`. */
export interface ThreadData {
  readonly start: WorkerPlace.WorkerStart
  readonly url: string
  /** Whether the module runs as the thread's main module. */
  readonly isMain: boolean
  /** Whether the host wants to know which files the thread loads as modules. */
  readonly tellsLoaded: boolean
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

/** The thread's end of the worker's port: keeps what the host has posted until the worker takes it. */
export class ThreadInlet {
  readonly #port: MessagePort
  readonly #segments = new Map<number, PostedSegment>()
  readonly #links = new Map<number, PostedLink>()
  readonly #sockets = new Map<SessionHandle, object>()
  /** The latest certificates, as number 0. */
  readonly #certificates = new Map<0, ReadonlyArray<PostedCertificate>>()

  constructor(port: MessagePort) {
    this.#port = port
    port.on("message", this.#keep)
  }

  /** The memory of a segment, once. */
  segment(number: number): PostedSegment | undefined {
    return this.#take(this.#segments, number)
  }

  /** The end of a link, once. */
  link(number: number): PostedLink | undefined {
    return this.#take(this.#links, number)
  }

  /** The socket of a session, once. */
  socket(session: SessionHandle): object | undefined {
    return this.#take(this.#sockets, session)
  }

  /** The certificates that were posted last; `undefined` when they have been taken. */
  certificates(): ReadonlyArray<PostedCertificate> | undefined {
    return this.#take(this.#certificates, 0)
  }

  readonly #keep = (message: unknown): void => {
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

  /** What was posted before a message became visible is here when the message is read, or still in the port. */
  #take<K, A>(kept: Map<K, A>, key: K): A | undefined {
    for (let next; !kept.has(key) && (next = receiveMessageOnPort(this.#port)) !== undefined;) this.#keep(next.message)
    const taken = kept.get(key)
    kept.delete(key)
    return taken
  }
}

const tags: ReadonlySet<unknown> = new Set<Posted["_tag"]>(["Segment", "Link", "Sockets", "Certificates"])

/** Told by the tag alone: only the host has the other end of the port. */
const isPosted = (message: unknown): message is Posted =>
  Predicate.hasProperty(message, "_tag") && tags.has(message._tag)
