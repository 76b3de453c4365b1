/**
 * Reads what one start of a worker says, and hands it to the part of the host that it is for.
 *
 * The host does not trust what a worker writes: a message about a session that is not the worker's, or that makes no
 * sense, is a fault, and the worker is given up.
 *
 * This module is a hot path.
 */
import * as Fifo from "../../domain/memory/Fifo.ts"
import * as Message from "../../domain/memory/Message.ts"
import type { Sink } from "../../domain/memory/QueueConsumer.ts"
import * as Mq from "../../domain/memory/QueueMemory.ts"
import { ReadLoop } from "../../domain/memory/ReadLoop.ts"
import * as Handle from "../../domain/state/Handle.ts"
import type { HostSession } from "./HostSession.ts"
import { splice } from "./SharedSession.ts"
import type { LiveWorker } from "./Worker.ts"

/** What a worker asks of the host. */
export interface HostRequests {
  readonly listen: (worker: LiveWorker, message: Message.Of<"listen">) => void
  readonly unlisten: (worker: LiveWorker, message: Message.Of<"unlisten">) => void
  readonly connect: (worker: LiveWorker, message: Message.Of<"connect">) => void
  readonly cancelConnect: (worker: LiveWorker, message: Message.Of<"cancelConnect">) => void
  /** The session of a handle, if it is not stale. */
  readonly session: (handle: Handle.SessionHandle) => HostSession | undefined
  /** An application has one session less; the session's slot may still be in use. */
  readonly left: () => void
  /** A session's slot is free. */
  readonly freed: (session: HostSession) => void
  /** The worker may take sessions again, or more of them. */
  readonly available: () => void
}

export class WorkerReader {
  readonly #worker: LiveWorker
  readonly #host: HostRequests
  readonly #loop: ReadLoop

  constructor(worker: LiveWorker, host: HostRequests) {
    this.#worker = worker
    this.#host = host
    this.#loop = this.#makeLoop()
  }

  /** Reads until there is nothing left; to be called at every ring. */
  get wake(): () => void {
    return this.#loop.wake
  }

  /**
   * Looks after the worker's queues, as if the worker had rung; to be called at intervals. What the worker has failed
   * to say with a ring is found here, and a worker that has missed one is rung again.
   */
  look(): void {
    const { toHost, toWorker } = this.#worker.queue
    this.wake()
    if (toHost.closed || toWorker.closed) return this.#worker.fault("the worker has closed its queue")
    toHost.look()
    try {
      toWorker.look()
    } catch (error) {
      this.#failed(error)
    }
  }

  /** Reads nothing more. */
  end(): void {
    this.#loop.end()
  }

  /** Reads what the worker says. Most of it is answered: the answers go together, with the sockets that they need. */
  #makeLoop(): ReadLoop {
    const { doorbell, toHost, toWorker } = this.#worker.queue
    return new ReadLoop({
      begin: () => toWorker.cork(),
      read: (max) => {
        const count = toHost.drain(max, this.#sink)
        if (toHost.grantRoom()) doorbell.ring()
        this.#worker.congestion.room()
        return count
      },
      sleep: () => {
        if (!toHost.sleep()) return false
        // room may have been made while this loop was going to sleep, and the worker rings for it only once
        if (!this.#worker.congestion.roomGranted()) return true
        toHost.wake()
        return false
      },
      finish: () => toWorker.uncork(),
      failed: this.#failed
    }, doorbell.soon)
  }

  readonly #failed = (error: unknown): void => {
    if (!(error instanceof Mq.QueueCorrupt || error instanceof Fifo.FifoCorrupt)) throw error
    this.#worker.fault(`the worker's queue is corrupt: ${error.message}`)
  }

  readonly #sink: Sink = {
    io: (kind, index, generation, argument) => {
      const session = this.#mine(Handle.make(index, generation))
      // late events of a session that has been freed are dropped (W1)
      if (session === undefined) return
      if (kind === Message.Tx) session.send()
      else if (kind === Message.Drained) session.resume()
      else if (kind === Message.Claimed) session.origin.claimed(session)
      else if (kind === Message.Passed) session.origin.passed(session)
      else if (kind === Message.Parked) session.onParked()
      else if (kind === Message.Gone) this.#gone(session, argument)
      else this.#worker.fault(`the worker sent an IO event of kind ${kind}`)
    },
    control: (words, start, length) => {
      const message = Message.decode(words, start, length)
      if (message === undefined) return this.#worker.fault("the worker sent a message that can't be read")
      this.#receive(message)
    }
  }

  #gone(session: HostSession, argument: number): void {
    const ended = Message.endOf(argument)
    if (ended === "unknown") {
      const called = Handle.format(session.handle)
      return this.#worker.fault(`the worker ended session ${called} for a reason that there is not: ${argument}`)
    }
    if (!session.gone(ended)) {
      this.#worker.fault(`the worker gave up session ${Handle.format(session.handle)}, which it does not have`)
    }
  }

  #mine(handle: Handle.SessionHandle): HostSession | undefined {
    const session = this.#host.session(handle)
    if (session === undefined || session.worker === this.#worker) return session
    this.#worker.fault(`the worker sent a message about session ${Handle.format(handle)}, which is another worker's`)
    return undefined
  }

  /** The session, which is not parked: a worker that ends one takes it up before, and never parks it again (X1). */
  #inHand(handle: Handle.SessionHandle): HostSession | undefined {
    const session = this.#mine(handle)
    if (session?.isParked !== true) return session
    this.#worker.fault(`the worker ended or joined session ${Handle.format(handle)}, which it says is parked`)
    return undefined
  }

  #receive(message: Message.Message): void {
    switch (message._tag) {
      case "listen":
        return this.#host.listen(this.#worker, message)
      case "unlisten":
        return this.#host.unlisten(this.#worker, message)
      case "connect":
        return this.#host.connect(this.#worker, message)
      case "cancelConnect":
        return this.#host.cancelConnect(this.#worker, message)
      case "end":
        return this.#inHand(message.session)?.end()
      case "close":
        return this.#inHand(message.session)?.close()
      case "abort":
        return this.#inHand(message.session)?.abort()
      case "release": {
        const session = this.#mine(message.session)
        if (session !== undefined && !session.released()) {
          this.#worker.fault(`the worker released session ${Handle.format(message.session)} while it was open`)
        }
        return
      }
      case "splice":
        return this.#splice(message)
      case "socketOption":
        return this.#mine(message.session)?.setOption(Message.optionOf(message))
      case "insecure": {
        const session = this.#mine(message.session)
        if (session?.origin.insecure(session, message.reason) === false) {
          this.#worker.fault("the worker says that a handshake failed in a session that has none")
        }
        return
      }
      case "probed":
        return this.#worker.probed()
      case "refused": {
        const session = this.#mine(message.session)
        if (session?.origin.refused(session, message.detail) === false) {
          this.#worker.fault("the worker refused a session that was not on offer to it")
        }
        return
      }
      case "segmentMapped":
        return this.#worker.segments.mapped(message.segment)
      case "segmentUnused":
        return this.#worker.segments.unused(message.segment)
      case "needSegment":
        return void this.#worker.segments.addForWorker(message.bytes)
      default:
        return this.#worker.fault(`the worker sent the message "${message._tag}", which only the host sends`)
    }
  }

  #splice(message: Message.Of<"splice">): void {
    const session = this.#inHand(message.session)
    const other = this.#inHand(message.other)
    if (session === undefined || other === undefined) {
      // one of the two has been dropped meanwhile, or is another worker's, which is a fault
      return (session ?? other)?.abort()
    }
    const wrong = splice(session, other)
    if (wrong !== undefined) this.#worker.fault(`the worker joined ${wrong}`)
  }
}
