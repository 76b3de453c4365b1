/**
 * Hands over to a worker what goes with its messages: over the port of a thread, or within the host's process. Sockets
 * come back on the same way.
 */
import { MessagePort, type Transferable } from "node:worker_threads"
import type * as Segment from "../../domain/memory/Segment.ts"
import type { SessionHandle } from "../../domain/state/Handle.ts"
import type {
  Attachment,
  HandOver,
  Link,
  MovingSubject,
  PostedCertificate,
  ReturnedSocket
} from "../../services/Attachment.ts"
import type { Moving } from "../../services/Transport.ts"
import * as NodeHandle from "../transport/NodeHandle.ts"
import * as Bells from "./Bells.ts"
import { HostInlet, type Posted, type PostedSockets } from "./WorkerPort.ts"

type HandOverShape = HandOver["Service"]

/**
 * To a thread. The sockets of a turn go in one post, before the messages about them become visible: a post costs more
 * than all else that is done for a connection. A port to a thread that is gone swallows what is posted.
 */
export class HandOverPort implements HandOverShape {
  readonly #port: MessagePort
  readonly #inlet: HostInlet
  #sessions: Array<SessionHandle> = []
  #moving: Array<Moving> = []
  #subjects: Array<MovingSubject | undefined> = []

  constructor(port: MessagePort) {
    this.#port = port
    this.#inlet = new HostInlet(port)
  }

  readonly takeBack = (session: SessionHandle): ReturnedSocket | undefined => this.#inlet.socket(session)

  /** The worker is gone, and all that it has given back has been taken. */
  close(): void {
    this.#port.close()
    this.#inlet.close()
  }

  readonly give = (attachment: Attachment): boolean => {
    switch (attachment._tag) {
      case "Segment": {
        const { buffer, hostBytes, index } = attachment.segment
        this.#post({ _tag: "Segment", segment: index, buffer, hostBytes })
        return true
      }
      case "Link":
        return this.#giveLink(attachment.link)
      case "Certificates":
        this.#post({ _tag: "Certificates", certificates: attachment.certificates })
        return true
      case "Socket":
        this.#sessions.push(attachment.session)
        this.#moving.push(attachment.socket)
        this.#subjects.push(attachment.subject)
        return true
    }
  }

  #giveLink({ bell, inbox, number }: Link): boolean {
    if (!(bell instanceof MessagePort)) return false
    try {
      this.#post({ _tag: "Link", link: number, inbox, bell }, [bell])
    } catch {
      // the worker at the other end has gone just now, and its end of the doorbell with it: there is nobody to ring
      this.#post({ _tag: "Link", link: number, inbox, bell: undefined })
    }
    return true
  }

  /**
   * Posts the sockets. A worker that is told of a socket which could not be posted finds none, and says that the
   * session is gone.
   */
  readonly flush = (): void => {
    if (this.#moving.length === 0) return
    const sessions = this.#sessions
    const moving = this.#moving
    const subjects = this.#subjects
    this.#sessions = []
    this.#moving = []
    this.#subjects = []
    try {
      this.#postSockets(sessions, moving.map(({ posted }) => posted))
    } catch {
      return this.#postEach(sessions, moving, subjects)
    }
    // where there is no descriptor for a copy, the post is lost, and nothing says so but a socket that is still here
    if (!moving.some(({ isHere }) => isHere)) return
    for (let i = 0; i < moving.length; i++) this.#postAgain(sessions[i]!, moving[i]!, subjects[i])
  }

  /** A socket that can't be posted even alone is given up, and its descriptor is enough for the next one. */
  #postAgain(session: SessionHandle, socket: Moving, subject: MovingSubject | undefined): void {
    if (socket.isHere) {
      this.#postSockets([session], [socket.posted])
      if (!socket.isHere) return
      socket.destroy()
    }
    subject?.unmoved()
  }

  /** One by one, as whole sockets: then one that can't be posted keeps no other from going. */
  #postEach(
    sessions: ReadonlyArray<SessionHandle>,
    moving: ReadonlyArray<Moving>,
    subjects: ReadonlyArray<MovingSubject | undefined>
  ): void {
    for (const [i, each] of moving.entries()) {
      try {
        this.#postSockets([sessions[i]!], [each.take()])
      } catch {
        each.destroy()
        subjects[i]?.unmoved()
      }
    }
  }

  #postSockets(sessions: ReadonlyArray<SessionHandle>, sockets: ReadonlyArray<object>): void {
    this.#post({ _tag: "Sockets", sessions, sockets } satisfies PostedSockets, sockets as ReadonlyArray<Transferable>)
  }

  #post(posted: Posted, transferred: ReadonlyArray<Transferable> = []): void {
    this.#port.postMessage(posted, [...transferred])
  }
}

/** To a worker on the host's loop: it is kept here until the worker takes it. */
export class HandOverInProcess implements HandOverShape {
  readonly #segments = new Map<number, Segment.Segment>()
  readonly #links = new Map<number, Link>()
  readonly #sockets = new Map<SessionHandle, Moving>()
  readonly #back = new Map<SessionHandle, ReturnedSocket>()
  #certificates: ReadonlyArray<PostedCertificate> = []
  readonly flush: undefined

  readonly give = (attachment: Attachment): boolean => {
    if (attachment._tag === "Segment") this.#segments.set(attachment.segment.index, attachment.segment)
    else if (attachment._tag === "Link") this.#links.set(attachment.link.number, attachment.link)
    else if (attachment._tag === "Certificates") this.#certificates = attachment.certificates
    else this.#sockets.set(attachment.session, attachment.socket)
    return true
  }

  readonly takeBack = (session: SessionHandle): ReturnedSocket | undefined => taken(this.#back, session)

  /** The worker gives a socket back. */
  readonly giveBack = (session: SessionHandle, returned: ReturnedSocket): boolean => {
    this.#back.set(session, returned)
    return true
  }

  /** The memory of a segment, once. */
  readonly segment = (index: number): Segment.Segment | undefined => taken(this.#segments, index)

  /** The end of a link, once. */
  readonly link = (number: number): Link | undefined => taken(this.#links, number)

  /** The socket of a session, once. */
  readonly socket = (session: SessionHandle): Moving | undefined => taken(this.#sockets, session)

  /** The certificates that were handed over last. */
  readonly certificates = (): ReadonlyArray<PostedCertificate> => this.#certificates

  /** The worker is gone: nobody takes what is still here. */
  close(): void {
    for (const { bell } of this.#links.values()) Bells.closeLink(bell)
    for (const socket of this.#sockets.values()) socket.destroy()
    for (const { socket } of this.#back.values()) if (NodeHandle.isTcpHandle(socket)) socket.close()
  }
}

const taken = <K, A>(kept: Map<K, A>, key: K): A | undefined => {
  const found = kept.get(key)
  kept.delete(key)
  return found
}
