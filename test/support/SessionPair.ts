/**
 * Sessions in memory: two ends joined by two bounded byte fifos, and a {@link Sessions} service over such pairs.
 *
 * It keeps the contract of `Sessions.ts` to the letter and is as awkward as the contract allows: edges come in a
 * microtask of their own, never twice while one is on its way; a fifo takes what fits, down to one byte; a session whose
 * connection broke loses nothing that had come in, and says so with `reset`.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { AsyncResource } from "node:async_hooks"
import * as Endpoint from "../../src/domain/net/Endpoint.ts"
import * as Handle from "../../src/domain/state/Handle.ts"
import type * as Refusal from "../../src/domain/state/Refusal.ts"
import {
  ConnectFailed,
  ListenFailed,
  type Session,
  type SessionHandler,
  type Sessions,
  type WorkerInfo
} from "../../src/services/Sessions.ts"

class Fifo {
  readonly bound: number
  #bytes: Uint8Array
  #head = 0
  #tail = 0

  constructor(bound: number) {
    this.bound = bound
    this.#bytes = new Uint8Array(bound)
  }
  get size(): number {
    return this.#tail - this.#head
  }
  put(bytes: Uint8Array, from: number): number {
    const taken = Math.min(bytes.length - from, this.bound - this.size)
    if (taken <= 0) return 0
    const at = this.#tail % this.bound
    const first = Math.min(taken, this.bound - at)
    this.#bytes.set(bytes.subarray(from, from + first), at)
    this.#bytes.set(bytes.subarray(from + first, from + taken), 0)
    this.#tail += taken
    return taken
  }
  peek(max: number): Uint8Array | undefined {
    if (this.size === 0) return undefined
    const at = this.#head % this.bound
    return this.#bytes.subarray(at, at + Math.min(this.size, max, this.bound - at))
  }
  drop(length: number): void {
    if (length > this.size) throw new Error(`${length} bytes dropped of ${this.size}`)
    this.#head += length
  }
}

type Edge = "readable" | "writable" | "ended" | "closed"

/** One end of a pair. */
export class End implements Session {
  readonly handle: Handle.SessionHandle
  readonly remote: string
  readonly local: string
  readonly about = {}
  readonly mapped = false
  readonly resource = new AsyncResource("SessionPair")
  handler: SessionHandler | undefined
  ended = false
  reset: string | undefined
  /** How often each edge was delivered. */
  readonly edges: Record<Edge, number> = { readable: 0, writable: 0, ended: 0, closed: 0 }
  /** What a handler has thrown. */
  readonly thrown: Array<unknown> = []
  /** Which of `end`, `close`, `abort` took effect, in order. */
  readonly calls: Array<"end" | "close" | "abort"> = []
  readonly cutThrough = false
  get datagrams(): boolean {
    return Endpoint.transportOf(this.local) === "udp"
  }
  /** The connection is gone for both ends. */
  gone = false
  peer!: End
  readonly #rx: Fifo
  readonly #onGone: ((end: End) => void) | undefined
  #txEnded = false
  #givenUp = false
  #blocked = false
  /** What is written before the end, once it was given up. */
  #rest: Buffer | undefined
  readonly #pending = new Set<Edge>()

  constructor(
    handle: Handle.SessionHandle,
    remote: string,
    local: string,
    bound: number,
    onGone: ((end: End) => void) | undefined
  ) {
    this.handle = handle
    this.remote = remote
    this.local = local
    this.#rx = new Fifo(bound)
    this.#onGone = onGone
  }

  get rxBound(): number {
    return this.#rx.bound
  }
  get txBound(): number {
    return this.peer.#rx.bound
  }
  get available(): number {
    return this.#givenUp ? 0 : this.#rx.size
  }
  get writable(): boolean {
    return !this.#txEnded && !this.gone
  }
  get closed(): boolean {
    return this.gone || this.#givenUp
  }

  #edge(edge: Edge): void {
    if (this.#pending.has(edge)) return
    this.#pending.add(edge)
    queueMicrotask(() => {
      this.#pending.delete(edge)
      const handler = this.handler
      if (handler === undefined || (this.#givenUp && edge !== "closed")) return
      this.edges[edge]++
      try {
        if (edge === "closed") handler.closed?.(this, this.reset)
        else handler[edge]?.(this)
      } catch (error) {
        this.thrown.push(error)
        this.abort()
      }
    })
  }

  peek(max: number = Infinity): Uint8Array | undefined {
    return this.#givenUp ? undefined : this.#rx.peek(max)
  }
  drop(length: number): void {
    this.#rx.drop(length)
    const { peer } = this
    if (peer.#blocked) {
      peer.#blocked = false
      peer.#sendRest()
      peer.#edge("writable")
    }
  }
  read(max: number = Infinity): Uint8Array | undefined {
    const parts: Array<Uint8Array> = []
    for (let left = max; left > 0;) {
      const part = this.peek(left)
      if (part === undefined) break
      parts.push(part.slice())
      left -= part.length
      this.drop(part.length)
    }
    return parts.length === 0 ? undefined : Buffer.concat(parts)
  }
  write(bytes: Uint8Array, from = 0): number {
    if (!this.writable) return -1
    const { peer } = this
    if (peer.#givenUp) {
      // as a connection does whose other side is not there any more
      if (bytes.length > from) this.#break("the peer has gone")
      return bytes.length - from
    }
    const taken = peer.#rx.put(bytes, from)
    if (taken > 0) peer.#edge("readable")
    if (from + taken < bytes.length) this.#blocked = true
    return taken
  }
  writeWhole(parts: ReadonlyArray<Uint8Array>): number {
    if (!this.writable) return -1
    const bytes = Buffer.concat(parts)
    const { bound, size } = this.peer.#rx
    if (bytes.length > bound) throw new RangeError(`${bytes.length} bytes never fit whole into a fifo of ${bound}`)
    if (bytes.length <= bound - size || this.peer.#givenUp) return this.write(bytes)
    this.#blocked = true
    return 0
  }
  takeSocket(): undefined {}
  setOption(): void {}

  splice(): boolean {
    return false
  }
  park(): Refusal.ParkRefusal {
    return "not-accepted"
  }
  end(): void {
    if (this.#txEnded) return
    this.calls.push("end")
    this.#end()
  }
  #end(): void {
    if (this.#txEnded) return
    this.#txEnded = true
    if (this.gone) return
    this.peer.ended = true
    this.peer.#edge("ended")
    if (this.peer.#txEnded) this.#over()
  }
  close(rest: ReadonlyArray<Uint8Array> = []): void {
    if (this.#givenUp) return
    this.calls.push("close")
    const unread = this.#rx.size > 0 && !this.gone
    this.#givenUp = true
    if (unread) return this.#break("the peer did not read all")
    this.#rest = this.writable ? Buffer.concat(rest) : Buffer.alloc(0)
    this.#sendRest()
  }
  #sendRest(): void {
    if (this.#rest === undefined) return
    if (this.#rest.length > 0) this.#rest = this.#rest.subarray(Math.max(0, this.write(this.#rest)))
    if (this.#rest.length > 0) return
    this.#rest = undefined
    this.#end()
  }
  abort(): void {
    if (this.#givenUp && this.#rest === undefined) return
    this.#rest = undefined
    this.calls.push("abort")
    this.#givenUp = true
    this.#break("reset by peer")
  }
  #break(reason: string): void {
    if (this.gone) return
    this.peer.reset = reason
    if (!this.#givenUp) this.reset = reason
    this.#over()
  }
  #over(): void {
    for (const end of [this, this.peer]) {
      if (end.gone) continue
      end.gone = true
      end.#txEnded = true
      end.#edge("closed")
      end.#onGone?.(end)
    }
  }
}

/** A pair of joined ends. `bound`: bytes that each of the two fifos holds. */
export const make = (options: {
  readonly bound?: number | undefined
  readonly server?: string | undefined
  readonly client?: string | undefined
  readonly handle?: Handle.SessionHandle | undefined
  readonly onGone?: ((end: End) => void) | undefined
} = {}): { readonly server: End; readonly client: End } => {
  const local = options.server ?? "tcp://127.0.0.1:8080"
  const remote = options.client ?? "tcp://127.0.0.1:50000"
  const bound = options.bound ?? 65_536
  const handle = options.handle ?? Handle.make<Handle.SessionHandle>(12, 3)
  const server = new End(handle, remote, local, bound, options.onGone)
  const client = new End(handle, local, remote, bound, undefined)
  server.peer = client
  client.peer = server
  return { server, client }
}

/** A worker's sessions, all of them made by {@link Net.dial}. */
export interface Net {
  readonly sessions: Sessions["Service"]
  /** Connects to a listener: the accepting end goes to it, the other one is returned. */
  readonly dial: (endpoint: string) => End
  /** The accepting ends, in order. */
  readonly accepted: ReadonlyArray<End>
  readonly listening: ReadonlyArray<string>
  /** What the host does when it drains the worker. */
  readonly drain: () => void
}

export const worker: WorkerInfo = {
  app: "greeter",
  appIndex: 0 as WorkerInfo["appIndex"],
  workerIndex: 5 as WorkerInfo["workerIndex"],
  worker: 2 as WorkerInfo["worker"],
  kind: "in-process",
  restarts: 0
}

export const makeNet = (options: {
  readonly bound?: number | undefined
  readonly endpoints?: ReadonlyArray<string> | undefined
  /** What the peers' endpoints begin with; `tcp` by default. */
  readonly transport?: string | undefined
} = {}): Net => {
  const listeners = new Map<string, (session: Session) => void>()
  const accepted: Array<End> = []
  const draining = Deferred.makeUnsafe<void>()
  let port = 40_000
  let handles = 0

  const dial = (endpoint: string): End => {
    const accept = listeners.get(endpoint)
    if (accept === undefined) throw new Error(`nobody listens on ${endpoint}`)
    const { client, server } = make({
      bound: options.bound,
      server: endpoint,
      client: `${options.transport ?? "tcp"}://127.0.0.1:${port++}`,
      handle: Handle.make<Handle.SessionHandle>(handles++, 1)
    })
    accepted.push(server)
    accept(server)
    return client
  }

  return {
    dial,
    accepted,
    get listening() {
      return [...listeners.keys()]
    },
    drain: () => Deferred.doneUnsafe(draining, Exit.void),
    sessions: {
      worker,
      endpoints: options.endpoints ?? [],
      config: undefined,
      listen: (endpoint, accept) =>
        Effect.acquireRelease(
          Effect.suspend(() => {
            const local = endpoint.replace(/:0$/, () => `:${port++}`)
            if (listeners.has(local)) {
              const detail = "this worker listens there already"
              return Effect.fail(new ListenFailed({ endpoint, reason: { _tag: "AlreadyListening", detail } }))
            }
            listeners.set(local, accept)
            return Effect.succeed({ handle: Handle.make<Handle.ListenerHandle>(listeners.size, 1), local })
          }),
          ({ local }) => Effect.sync(() => void listeners.delete(local))
        ),
      unlisten: () => Effect.void,
      connect: (endpoint) =>
        Effect.acquireRelease(
          Effect.suspend(() =>
            listeners.has(endpoint)
              ? Effect.succeed(dial(endpoint))
              : Effect.fail(
                new ConnectFailed({ endpoint, reason: { _tag: "ConnectionRefused", detail: "nobody listens there" } })
              )
          ),
          (session) => Effect.sync(() => session.close())
        ),
      draining: Deferred.await(draining),
      handsOver: () => Effect.succeed(false),
      open: Effect.sync(() => accepted.filter((end) => !end.gone).length)
    }
  }
}
