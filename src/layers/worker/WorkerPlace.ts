/**
 * What a worker is started with, and what it needs of the place it runs in: a thread, or the host's own loop.
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Net from "node:net"
import type * as Mq from "../../domain/memory/QueueMemory.ts"
import type { Soon } from "../../domain/memory/ReadLoop.ts"
import type * as Handle from "../../domain/state/Handle.ts"
import type { PostedCertificate, ReturnedSocket } from "../../services/Attachment.ts"
import type { DoorbellShape } from "../../services/Doorbell.ts"
import type { WorkerInfo } from "../../services/Sessions.ts"
import type { TlsStart } from "../transport/TlsStart.ts"
import type { TimesStart } from "./SessionTimes.ts"
import type { WorkerTls } from "./WorkerTls.ts"

/** What a worker is started with; everything in it can be posted to a thread. */
export interface WorkerStart {
  readonly info: WorkerInfo
  readonly endpoints: ReadonlyArray<string>
  /** Whether a program that listens by itself listens where it chooses, and not on these. */
  readonly suggested?: boolean | undefined
  readonly config: unknown
  readonly geometry: Mq.Geometry
  /** Its first segment, with the queues, and where its own arena begins there. */
  readonly buffer: ArrayBufferLike
  readonly hostBytes: number
  /** In this inbox other workers say that a cut-through session has something to look at. */
  readonly inbox: SharedArrayBuffer
  /** Bytes of segments that the worker may have in all. */
  readonly memoryLimit: number
  /** How TLS ends in the worker, if it may. */
  readonly tls?: TlsStart | undefined
  /** Bytes that a fifo of a session holds, in each direction. */
  readonly rxFifoSize: number
  readonly txFifoSize: number
  readonly times: TimesStart
  /** Milliseconds between two checks for idle fifo memory. */
  readonly trimInterval: number
}

/** This worker's end of a link to another worker (W16). */
export interface ReceivedLink {
  /** The other worker's inbox. */
  readonly inbox: SharedArrayBuffer
  /** Wakes the other worker. */
  readonly ring: () => void
  readonly close: () => void
}

/** What a worker needs of the place it runs in. */
export interface WorkerPlace {
  readonly doorbell: DoorbellShape
  /** The memory of a segment that the host has handed over, and where the worker's arena begins in it. */
  readonly receive: (segment: number) => { readonly buffer: ArrayBufferLike; readonly hostBytes: number } | undefined
  /** The link that the host has handed over; the other worker's rings call `wake` from then on. */
  readonly receiveLink: (link: number, wake: () => void) => ReceivedLink | undefined
  /** The socket of a session that the host has handed over. */
  readonly receiveSocket: (session: Handle.SessionHandle) => Net.Socket | undefined
  /** Gives the socket of a session back to the host; `false` when it stays here. */
  readonly returnSocket: (session: Handle.SessionHandle, returned: ReturnedSocket) => boolean
  /** The application's certificates, as the host last handed them over; `undefined` when there are no newer ones. */
  readonly receiveCertificates: () => ReadonlyArray<PostedCertificate> | undefined
  /** Ends TLS, in a worker that may have to. */
  readonly tls: WorkerTls | undefined
  /**
   * The most microseconds for which a worker with cut-through sessions waits before it goes to sleep; 0: it never
   * waits, not even for a connection that it has claimed.
   */
  readonly spin: number
  /** For a worker that is slow on purpose: it takes one message at a time, and this is how it gets to the next one. */
  readonly pace?: () => Soon | undefined
  /** For a worker that does not look on purpose: it is told of each look that it would take by itself. */
  readonly looks?: (look: () => void) => void
  /** Does something at an interval of milliseconds, where a timer of Effect's would keep the place from ending. */
  readonly every?: (millis: number, step: () => void) => Effect.Effect<void, never, Scope.Scope>
  /** The host wants the application to stop. */
  readonly stop: () => void
  /** The application's code threw where nothing else hears of it. */
  readonly report: (error: unknown) => void
  /** The host wrote what no host writes: this worker can't go on, and from here on hears and says nothing. */
  readonly fault: (detail: string) => void
}
