/**
 * Programs that listen by themselves, on the threads of workers.
 *
 * A program that knows nothing of workers makes a server and calls `listen`. On a worker's thread that call is answered
 * as `node:cluster` answers it in its workers: the host listens, once for all workers, and the server gets its
 * connections from there. The first server listens where the host was told to; where the host was told nothing, or has
 * only a default, it listens where the program says. Other servers listen where the program says. With
 * `exclusive: true` the call is Node's own.
 *
 * For this the thread's `net.Server.prototype.listen` is replaced. A thread belongs to one worker, so no other worker's
 * servers are affected; nothing is replaced on the host's own loop, nor for applications that are layers.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import type { Sessions } from "../../../services/Sessions.ts"
import * as AdoptedServer from "./AdoptedServer.ts"
import type { NodeServer } from "./NodeServer.ts"

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
  /** Completes when the first one listens, fails when it can't. */
  readonly first: Effect.Effect<void, unknown>
}

const isExclusive = (options: unknown): boolean =>
  Predicate.hasProperty(options, "exclusive") && options.exclusive === true

/**
 * Replaces `listen` on this thread. The servers are closed with the scope. `suggested`: the endpoints that the host has
 * are a default, for applications that do not listen by themselves.
 */
export const make = Effect.fnUntraced(
  function*(
    sessions: Sessions["Service"],
    suggested: boolean
  ): Effect.fn.Return<Listens, never, Scope.Scope> {
    const servers = new Set<NodeServer>()
    const first = yield* Deferred.make<void, unknown>()
    let taken = suggested || sessions.endpoints.length === 0
    const own = Net.Server.prototype.listen
    const listen = function(this: Net.Server, ...args: Array<any>): Net.Server {
      if (isExclusive(args[0])) return Reflect.apply(own, this, args)
      const server = AdoptedServer.adopt(this, sessions)
      if (servers.size === 0) {
        const failed = (error: Error): void => void Deferred.doneUnsafe(first, Effect.fail(error))
        this.once("error", failed)
        this.once("listening", () => {
          this.off("error", failed)
          Deferred.doneUnsafe(first, Effect.void)
        })
      }
      servers.add(server)
      server.listen(taken ? args : args.filter(Predicate.isFunction))
      taken = true
      return this
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        Net.Server.prototype.listen = listen
      }),
      () => Effect.forEach(servers, (server) => server.shutdown(), { concurrency: "unbounded", discard: true })
    )
    return {
      any: () => servers.size > 0,
      taken: () => {
        taken = true
      },
      restore: () => {
        Net.Server.prototype.listen = own
      },
      first: Deferred.await(first)
    }
  }
)
