/**
 * What one of Node's servers (`net`, `http`, `https`, `tls`, `http2`) has for a handle while the host listens for it.
 *
 * Node's server leaves to its handle all that touches the system, and does the rest itself: `listening`, `address`,
 * `close`, `ref`, errors and their events, the count of connections. So the server stays as it is, down to its
 * subclasses and to whatever the program has replaced in it, and this handle answers in place of Node's own. The parts
 * of a handle that Node asks for are those that the faux handles of `node:cluster` have.
 *
 * Behind a handle are the parts that workers have in the server: one on a thread, and on the host's own loop as many as
 * share the module that made the server.
 */
import * as Fs from "node:fs"
import type * as Net from "node:net"
import * as Path from "node:path"
import * as SystemError from "../../../domain/net/SystemError.ts"
import * as ListenForms from "./ListenForms.ts"

/** What Node asks of a server's handle, and what it does with its server, that no types tell of. */
export interface HandledServer extends Net.Server {
  _handle: object | null
  _pipeName?: string
  _connections: number
  _emitCloseIfDrained(): void
  _listen2(
    address: string | null,
    port: number | null,
    addressType: number | null,
    backlog: number,
    fd?: number,
    flags?: number
  ): void
}

/** A worker's part in a server, as its handle sees it. */
export interface Part {
  /** Begins to listen, and returns 0 or an error number; for a part that listens already there is nothing to do. */
  bind(backlog: number): number
  /** The server is closed. */
  closed(): void
  /** Where it listens, once it does. */
  readonly local: string | undefined
}

/** Bits of `fchmod`: all users may read, or write. */
const READABLE = 1
const WRITABLE = 2

export class HostedHandle {
  readonly #parts = new Set<Part>()
  /** Only where there is an address and a port: for a path, Node answers with the path. */
  getsockname: ((out: object) => number) | undefined
  /** Node sets it. Connections take the way of `NodeServer` instead, which is the same for every kind of connection. */
  onconnection: unknown
  /** Whether Node has been told that the server listens: once, whichever of its parts is the first to. */
  isListening = false

  /** The handle of a server, if it is one of these. */
  static of(server: Net.Server): HostedHandle | undefined {
    const { _handle: handle } = server as HandledServer
    return handle instanceof HostedHandle ? handle : undefined
  }

  get parts(): ReadonlySet<Part> {
    return this.#parts
  }

  join(part: Part): void {
    this.#parts.add(part)
  }

  /** `true` when it was the last one. */
  leave(part: Part): boolean {
    return this.#parts.delete(part) && this.#parts.size === 0
  }

  /** The server is where the endpoint says. */
  settle(server: HandledServer, local: string): void {
    const address = ListenForms.addressOf(local)
    // a path that the program has named stays as it was named
    if (typeof address === "string") {
      if (Path.resolve(server._pipeName ?? "") !== address) server._pipeName = address
    } else this.getsockname = (out) => (Object.assign(out, address), 0)
  }

  // ---- what Node asks for

  listen(backlog: number): number {
    this.isListening = true
    for (const part of this.#parts) {
      const error = part.bind(backlog)
      if (error !== 0) return error
    }
    return 0
  }

  close(callback?: () => void): void {
    for (const part of this.#parts) part.closed()
    if (typeof callback === "function") process.nextTick(callback)
  }

  /** It is the worker, not the server, that keeps the process alive. */
  ref(): void {}
  unref(): void {}
  hasRef(): boolean {
    return true
  }

  /** Widens the rights of a Unix socket's path. */
  fchmod(bits: number): number {
    const [part] = this.#parts
    const path = part?.local === undefined ? "" : ListenForms.addressOf(part.local)
    const all = (bits & READABLE ? 0o444 : 0) | (bits & WRITABLE ? 0o222 : 0)
    try {
      Fs.chmodSync(String(path), Fs.statSync(String(path)).mode | all)
      return 0
    } catch (error) {
      return ListenForms.errnoOf(SystemError.codeOf(error))
    }
  }
}
