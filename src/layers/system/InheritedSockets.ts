/**
 * The sockets that this process was started with, and which listener has which of them.
 *
 * Another program has made them, bound them and begun to listen: a service manager (`SocketActivation`), or the
 * host that ran here before. A listener that asks for the address of such a socket gets that socket instead of a new
 * one, so neither the application nor its options need to know of it, and TLS, placement and all else are as ever. `tls`
 * is served on sockets of `tcp`.
 *
 * | state | |
 * |---|---|
 * | free | nobody has asked for it: connections wait in the system |
 * | taken | a listener has it, or had it: a listener that closes has closed its descriptor, and there is no other |
 *
 * One that listens on a socket takes it for as long as this process lives. Only a listener that never got as far as the
 * socket gives it back.
 */
import * as Context from "effect/Context"
import * as Result from "effect/Result"
import * as Path from "node:path"
import * as Address from "../../domain/net/Address.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import type { TransportError } from "../../services/Transport.ts"
import * as Descent from "./Descent.ts"
import type { ListenGate } from "./ListenGate.ts"
import * as SocketActivation from "./SocketActivation.ts"

/** A socket that listens, or for UDP is bound, as the process starts. */
export interface InheritedSocket {
  /** What people know it by, if a service manager has made it; several may have one name. */
  readonly name?: string | undefined
  readonly descriptor: number
  /** The endpoint that has to be asked for to get it: where it listens, or where its listener was asked to listen. */
  readonly endpoint: Endpoint.TransportEndpoint
  /** Before it is open, nobody is to touch the socket: the host that runs has it. */
  readonly gate?: ListenGate<TransportError> | undefined
  /** What the host that ran here before knew of its listener; absent for a socket of anybody else. */
  readonly heirloom?: Heirloom | undefined
}

/** A listener's socket that the host before has handed on (X4). */
export interface Heirloom {
  /** The handle of that listener, as text. */
  readonly handle: string
  /** The application that had the listener: several may have asked for any port. */
  readonly app: string
  readonly bound: Endpoint.TransportEndpoint
  /** Whether the file of a Unix socket is the listener's, and goes with it. */
  readonly ownsFile: boolean
  /** Before it is open, a socket of UDP is not to be read. */
  readonly reading: ListenGate<never>
}

/** The text by which sockets and endpoints are compared. */
const placeOf = (endpoint: Endpoint.TransportEndpoint): string =>
  endpoint._tag === "unix"
    ? `unix ${Path.resolve(endpoint.path)}`
    : `${endpoint._tag === "udp" ? "udp" : "tcp"} ${Address.canonical(endpoint.host)} ${endpoint.port}`

export class InheritedSockets {
  /** Those of another process, which this one can't know, and whose names are as good as any. */
  static readonly elsewhere: InheritedSockets = new InheritedSockets([])
  readonly #free: Set<InheritedSocket>
  readonly all: ReadonlyArray<InheritedSocket>
  /** Sentences about what this process was started with and no listener can have. */
  readonly faults: ReadonlyArray<string>
  /** What else this process was born with, if a host has started it; or why that can't be read. */
  readonly descent: Result.Result<Descent.Descent | undefined, string>

  constructor(
    sockets: ReadonlyArray<InheritedSocket>,
    faults: ReadonlyArray<string> = [],
    descent: Result.Result<Descent.Descent | undefined, string> = Result.succeed(undefined)
  ) {
    this.all = sockets
    this.faults = faults
    this.descent = descent
    this.#free = new Set(sockets)
  }

  /** Those that no listener has asked for. */
  get free(): ReadonlyArray<InheritedSocket> {
    return [...this.#free]
  }

  /**
   * Takes a socket for a listener of the application at the endpoint: the first that is free; `undefined` where none is
   * of that address, or where on any port one more is wanted, `"taken"` where none is left.
   */
  take(endpoint: Endpoint.TransportEndpoint, app = ""): InheritedSocket | "taken" | undefined {
    const place = placeOf(endpoint)
    const there = this.all.filter(({ endpoint, heirloom }) =>
      placeOf(endpoint) === place && (heirloom === undefined || !Endpoint.isEphemeral(endpoint) || heirloom.app === app)
      || heirloom !== undefined && placeOf(heirloom.bound) === place
    )
    const socket = there.find((socket) => this.#free.delete(socket))
    return socket ?? (there.length === 0 || Endpoint.isEphemeral(endpoint) ? undefined : "taken")
  }

  /** Takes all that no listener has asked for, but for those of a service manager: there, connections wait. */
  takeFree(): ReadonlyArray<InheritedSocket> {
    const free = this.free.filter(({ name }) => name === undefined)
    for (const socket of free) this.#free.delete(socket)
    return free
  }

  /** The listener has not touched it. */
  giveBack(socket: InheritedSocket): void {
    this.#free.add(socket)
  }
}

/** The sockets that this process was started with, unless a program says which they are. */
export const Inherited = Context.Reference<InheritedSockets>("sluice/system/InheritedSockets", {
  defaultValue: () => {
    const descent = Descent.read(process.env, process)
    if (Result.isSuccess(descent) && descent.success !== undefined) {
      return new InheritedSockets(Descent.socketsOf(descent.success), [], descent)
    }
    const { faults, sockets } = SocketActivation.read(process.env, process.pid)
    return new InheritedSockets(sockets, faults, descent)
  }
})
