/**
 * Programs that listen by themselves, on the threads of workers.
 *
 * A program that knows nothing of workers makes a server and calls `listen`. On a worker's thread the whole call runs in
 * Node, and only the handle comes from here (see `HostedHandle`), as it does in the workers of `node:cluster`: the host
 * listens, once for all workers, and the server gets its connections from there. The first server listens where the
 * host was told to; where the host was told nothing, or has only a default, it listens where the program says. Other
 * servers listen where the program says.
 *
 * The place is `net.Server.prototype._listen2`, which Node calls when it has read the arguments of `listen` and has
 * looked up the name in them, to make a handle and listen with it; Node keeps the name for code that wraps it. The seam
 * of `node:cluster` itself, `cluster._getServer`, is one step before. It would need `cluster.isWorker`, and with that
 * come libraries that speak to a primary process, and `dgram` sockets that ask for their handles.
 *
 * What stays Node's own: `exclusive` and `reusePort`, which are for one server alone; a handle or a descriptor that the
 * program brings along; abstract sockets.
 *
 * A thread belongs to one worker, so no other worker's servers are affected; nothing is replaced on the host's own loop,
 * nor for applications that are layers.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as Diagnostics from "node:diagnostics_channel"
import * as Net from "node:net"
import * as Path from "node:path"
import * as Endpoint from "../../../domain/net/Endpoint.ts"
import type { Sessions } from "../../../services/Sessions.ts"
import type * as ListenNow from "../../worker/ListenNow.ts"
import { type HandledServer, HostedHandle } from "./HostedHandle.ts"
import * as ListenForms from "./ListenForms.ts"
import { type ListenOrder, NodeServer } from "./NodeServer.ts"
import type { ServerTickets } from "./ServerTickets.ts"

/**
 * The servers that a program listens with.
 */
export interface Listens {
  /** Whether there has been such a server. */
  readonly any: () => boolean
  /** The endpoints that the host was told to serve are taken: servers listen where the program says from here on. */
  readonly taken: () => void
  /** The program is one that knows of workers: `listen` is Node's own again. */
  readonly restore: () => void
  /** Completes when the first one listens. */
  readonly first: Effect.Effect<void>
}

/** Bits of the flags of a listen. */
const IPV6_ONLY = 1
const REUSE_PORT = 2

type Listen2 = HandledServer["_listen2"]
type Arguments = Parameters<Listen2>

/** What Node tells of a `listen` before it does anything. */
interface Started {
  readonly server: Net.Server
  readonly options: unknown
}

const isExclusive = (options: unknown): boolean =>
  Predicate.hasProperty(options, "exclusive") && options.exclusive === true

/** Where the arguments of a listen say, and what to take in its place on a machine without IPv6. */
const placeOf = ([address, port, addressType]: Arguments): Pick<ListenOrder, "endpoints" | "instead"> => {
  if (addressType === -1) return { endpoints: [`unix://${Path.resolve(address ?? "")}`], instead: undefined }
  if (address !== null) return { endpoints: [ListenForms.tcp(address, port)], instead: undefined }
  return { endpoints: [ListenForms.tcp("::", port)], instead: ListenForms.tcp("0.0.0.0", port) }
}

/** The arguments with the place that is listened on, of which Node tells its callers. */
const named = (endpoint: string, args: Arguments): Arguments => {
  const inet = Endpoint.inetOf(endpoint)
  if (inet === undefined) return args
  const [, , , ...rest] = args
  return [inet.host, inet.port, Net.isIPv6(inet.host) ? 6 : 4, ...rest]
}

class Servers {
  readonly #sessions: Sessions["Service"]
  readonly #now: ListenNow.ListenNow
  readonly #tickets: ServerTickets
  readonly #servers = new Set<NodeServer>()
  readonly #exclusive = new WeakSet<Net.Server>()
  readonly first = Deferred.makeUnsafe<void>()
  #draining = false
  /** Whether the program has called `listen`; a name may have to be looked up before it does. */
  any = false
  /** Whether servers listen where the program says. */
  taken: boolean

  constructor(sessions: Sessions["Service"], now: ListenNow.ListenNow, tickets: ServerTickets, taken: boolean) {
    this.#sessions = sessions
    this.#now = now
    this.#tickets = tickets
    this.taken = taken
  }

  /** Hears of a `listen` first. */
  readonly started = (about: unknown): void => {
    const { options, server } = about as Started
    if (isExclusive(options)) this.#exclusive.add(server)
    else {
      this.#exclusive.delete(server)
      this.any = true
    }
  }

  /** In place of Node's: `own` does the rest. */
  listen(server: HandledServer, args: Arguments, own: Listen2): void {
    this.#listen(server, args, own)
    const [part] = HostedHandle.of(server)?.parts ?? []
    if (part?.local !== undefined) this.#tickets.share(server, part.local)
  }

  #listen(server: HandledServer, args: Arguments, own: Listen2): void {
    const [address, , , backlog, fd, flags = 0] = args
    const isOwn = server._handle !== null || typeof fd === "number" || this.#exclusive.has(server)
      || (flags & REUSE_PORT) !== 0 || address?.startsWith("\0") === true
    if (isOwn) return Reflect.apply(own, server, args)
    const place = this.taken ? placeOf(args) : { endpoints: this.#sessions.endpoints, instead: undefined }
    const part = new NodeServer(server, this.#sessions, {
      ...place,
      now: this.#now,
      backlog: backlog || 0,
      ipv6Only: (flags & IPV6_ONLY) !== 0
    })
    const handle = new HostedHandle()
    handle.join(part)
    server._handle = handle
    Reflect.apply(own, server, named(place.endpoints[0] ?? "", args))
    if (HostedHandle.of(server) !== handle) return
    this.taken = true
    this.#servers.add(part)
    if (this.#draining) part.drain()
    setImmediate(() => Deferred.doneUnsafe(this.first, Effect.void))
  }

  drain(): void {
    this.#draining = true
    for (const part of this.#servers) part.drain()
  }

  shutdown(): Effect.Effect<void> {
    return Effect.forEach(this.#servers, (server) => server.shutdown(), { concurrency: "unbounded", discard: true })
  }
}

/**
 * Has this thread's servers listen by the host. They are closed with the scope. `suggested`: the endpoints that the host
 * has are a default, for applications that do not listen by themselves.
 */
export const make = Effect.fnUntraced(
  function*(
    sessions: Sessions["Service"],
    now: ListenNow.ListenNow,
    tickets: ServerTickets,
    suggested: boolean
  ): Effect.fn.Return<Listens, never, Scope.Scope> {
    const servers = new Servers(sessions, now, tickets, suggested || sessions.endpoints.length === 0)
    const prototype = Net.Server.prototype as HandledServer
    const own = prototype._listen2
    const unwatch = tickets.watch()
    const started = Diagnostics.tracingChannel("net.server.listen").asyncStart
    const restore = (): void => {
      prototype._listen2 = own
      started.unsubscribe(servers.started)
      unwatch()
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        started.subscribe(servers.started)
        prototype._listen2 = function(this: HandledServer, ...args: Arguments) {
          servers.listen(this, args, own)
        }
      }),
      () => servers.shutdown()
    )
    yield* Effect.forkScoped(Effect.andThen(sessions.draining, Effect.sync(() => servers.drain())))
    return {
      any: () => servers.any,
      taken: () => {
        servers.taken = true
      },
      restore,
      first: Deferred.await(servers.first)
    }
  }
)
