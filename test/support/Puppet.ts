/**
 * An application that does what it is told and says what happens to it: the worker's half of the random test of the
 * host.
 *
 * At its start it listens on all endpoints that it is told to serve. It reads and writes only when it is told to.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Scope from "effect/Scope"
import * as Handle from "../../src/domain/state/Handle.ts"
import type * as Refusal from "../../src/domain/state/Refusal.ts"
import type { ConnectFailed, ListenFailed, UnlistenFailed } from "../../src/services/Sessions.ts"
import type { Session, SessionOffer, Sessions } from "../../src/services/Sessions.ts"
import * as Pattern from "./pattern.ts"
import { keep } from "./Stage.ts"

/** `base`: where in the pattern the bytes of a session begin, one way. */
export type Command =
  | { readonly do: "listen"; readonly id: number; readonly endpoint: string }
  | { readonly do: "unlisten"; readonly id: number; readonly listener: number }
  | { readonly do: "connect"; readonly id: number; readonly endpoint: string; readonly timeout: number }
  | { readonly do: "cancel"; readonly id: number }
  | { readonly do: "write"; readonly session: string; readonly bytes: number; readonly base: number }
  | { readonly do: "read"; readonly session: string; readonly bytes: number; readonly base: number }
  | { readonly do: "end" | "close" | "abort"; readonly session: string }
  /** It parks the session, and gives this along. */
  | { readonly do: "park"; readonly session: string; readonly state: string }
  /** It refuses so many of the sessions that it is offered next. */
  | { readonly do: "refuse"; readonly offers: number }
  /** It does nothing with so many of the sessions that it is given next. */
  | { readonly do: "leaveFresh"; readonly offers: number }
  | { readonly do: "block" | "die" }

/** Why it refuses. */
export const SENTENCE = "not today"

/** A session as it is given to the application. */
export interface Given {
  readonly session: string
  readonly remote: string
  readonly local: string
  readonly cutThrough: boolean
  /** Its slot in the worker's inbox, where it has one. */
  readonly slot: number | undefined
  /** What another worker has given along, and whether nothing has been done with the session: it is parked then. */
  readonly state: string
  readonly fresh: boolean
}

export type Word =
  | { readonly say: "bound"; readonly id: number; readonly listener: Handle.ListenerHandle; readonly local: string }
  | { readonly say: "unlistened"; readonly id: number }
  | { readonly say: "failed"; readonly id: number; readonly reason: string; readonly detail: string }
  | { readonly say: "accepted" } & Given
  | { readonly say: "refused"; readonly remote: string; readonly local: string }
  | { readonly say: "connected"; readonly id: number } & Given
  /** Bytes written, or read, in total, by this worker. */
  | {
    readonly say: "wrote"
    readonly session: string
    readonly bytes: number
    readonly taken: number
    readonly short: boolean
  }
  | { readonly say: "read"; readonly session: string; readonly bytes: number; readonly right: boolean }
  /** It is given up with so many bytes unread. */
  | { readonly say: "gaveUp"; readonly session: string; readonly how: "close" | "abort"; readonly unread: number }
  | {
    readonly say: "parked"
    readonly session: string
    readonly state: string
    readonly refusal: Refusal.ParkRefusal | undefined
  }
  /** It has moved on: heard from the host, or found when something was to be done with it. */
  | { readonly say: "moved" | "away"; readonly session: string }
  /** It is told of bytes, of which so many have not been read before. */
  | { readonly say: "readable"; readonly session: string; readonly unread: number }
  /** It has ended its side; the other side has. */
  | { readonly say: "end" | "ended"; readonly session: string }
  | { readonly say: "closed"; readonly session: string; readonly reset: string | undefined }

interface Held {
  readonly session: Session
  written: number
  read: number
  /** It was found to have moved on. */
  away: boolean
}

const nothing = new Uint8Array(0)

export class Puppet {
  readonly sessions: Sessions["Service"]
  readonly held = new Map<string, Held>()
  readonly #say: (word: Word) => void
  readonly #run: (effect: Effect.Effect<void>) => { readonly interruptUnsafe: () => void }
  readonly #connects = new Map<number, { readonly interruptUnsafe: () => void }>()
  /** Offers that it will refuse. */
  #refusing = 0
  /** Sessions that it will do nothing with. */
  #leaving = 0
  /** Never closed: what it has got ends with the worker, or when it is told to end it. */
  readonly #scope = Scope.makeUnsafe()

  constructor(
    sessions: Sessions["Service"],
    run: (effect: Effect.Effect<void>) => { readonly interruptUnsafe: () => void },
    say: (word: Word) => void
  ) {
    this.sessions = sessions
    this.#run = run
    this.#say = say
  }

  readonly #accept = (session: Session): void => {
    const fresh = this.#leaving > 0 && !session.cutThrough
    if (fresh) this.#leaving--
    this.#say({ say: "accepted", ...this.#take(session, fresh) })
  }

  readonly #refuse = ({ local, remote }: SessionOffer): string | undefined => {
    if (this.#refusing === 0) return undefined
    this.#refusing--
    this.#say({ say: "refused", remote, local })
    return SENTENCE
  }

  #take(session: Session, fresh = false): Given {
    if (!fresh) keep(session)
    const name = Handle.format(session.handle)
    this.held.set(name, { session, written: 0, read: 0, away: false })
    const closed = (reset: string | undefined): void => this.#say({ say: "closed", session: name, reset })
    session.handler = {
      readable: ({ available }) => this.#say({ say: "readable", session: name, unread: available }),
      ended: () => this.#say({ say: "ended", session: name }),
      closed: (_, reset) => closed(reset),
      moved: () => {
        this.held.delete(name)
        this.#say({ say: "moved", session: name })
      }
    }
    // it may be gone before anybody could listen to it
    if (session.closed) queueMicrotask(() => closed(session.reset))
    const { about, cutThrough, local, remote } = session
    const { slot } = session as { readonly slot?: number }
    return { session: name, remote, local, cutThrough, slot, state: Buffer.from(about.state ?? []).toString(), fresh }
  }

  #failed(id: number) {
    return (error: ListenFailed | UnlistenFailed | ConnectFailed): Effect.Effect<void> =>
      Effect.sync(() => this.#say({ say: "failed", id, reason: error.reason._tag, detail: error.detail }))
  }

  listen(id: number, endpoint: string): Effect.Effect<void> {
    return this.sessions.listen(endpoint, this.#accept, { refuse: this.#refuse }).pipe(
      Effect.map(({ handle, local }) => this.#say({ say: "bound", id, listener: handle, local })),
      Effect.catch(this.#failed(id)),
      Scope.provide(this.#scope)
    )
  }

  #connect(id: number, endpoint: string, timeout: number): void {
    const connect = this.sessions.connect(endpoint, timeout === 0 ? {} : { timeout }).pipe(
      Effect.map((session) => this.#say({ say: "connected", id, ...this.#take(session) })),
      Effect.catch(this.#failed(id)),
      Scope.provide(this.#scope),
      Effect.onExit((exit) =>
        Effect.sync(() => {
          this.#connects.delete(id)
          if (Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)) {
            this.#say({ say: "failed", id, reason: "Cancelled", detail: "" })
          }
        })
      )
    )
    this.#connects.set(id, this.#run(connect))
  }

  obey(command: Command): void {
    switch (command.do) {
      case "listen":
        return void this.#run(this.listen(command.id, command.endpoint))
      case "unlisten":
        return void this.#run(
          this.sessions.unlisten(command.listener as Handle.ListenerHandle).pipe(
            Effect.map(() => this.#say({ say: "unlistened", id: command.id })),
            Effect.catch(this.#failed(command.id))
          )
        )
      case "connect":
        return this.#connect(command.id, command.endpoint, command.timeout)
      case "cancel":
        return this.#connects.get(command.id)?.interruptUnsafe()
      case "refuse":
        this.#refusing = command.offers
        return
      case "leaveFresh":
        this.#leaving = command.offers
        return
      case "block":
      case "die":
        return
      default:
        return this.#act(command)
    }
  }

  #act(command: Extract<Command, { readonly session: string }>): void {
    const name = command.session
    const held = this.held.get(name)
    if (held === undefined) return
    const { session } = held
    // whatever is done with a session takes it up, if it can: what can still be written to, and takes nothing, is away
    const isOpen = !held.away && session.writable
    if (isOpen && command.do !== "park" && command.do !== "read" && session.write(nothing) < 0) held.away = true
    // what has come since the last look, parking leaves for the next message
    const unread = command.do === "park" ? 0 : session.available
    switch (command.do) {
      case "write": {
        const taken = session.write(Pattern.at(command.base + held.written, command.bytes))
        if (taken > 0) held.written += taken
        this.#say({ say: "wrote", session: name, bytes: held.written, taken, short: taken < command.bytes })
        break
      }
      case "read": {
        const bytes = session.read(command.bytes) ?? nothing
        if (unread > 0 && bytes.length === 0) held.away = true
        const right = Pattern.isAt(bytes, command.base + held.read)
        held.read += bytes.length
        this.#say({ say: "read", session: name, bytes: held.read, right })
        break
      }
      case "park": {
        const refusal = session.park(Buffer.from(command.state))
        if (isOpen && !session.writable) held.away = true
        this.#say({ say: "parked", session: name, state: command.state, refusal })
        break
      }
      case "end":
        session.end()
        if (!held.away) this.#say({ say: "end", session: name })
        break
      case "close":
      case "abort":
        if (!held.away) this.#say({ say: "gaveUp", session: name, how: command.do, unread })
        session[command.do]()
    }
    if (held.away) this.#say({ say: "away", session: name })
  }
}

/** The application: `birth` is told of each start of a worker, and what it says goes where that answers. */
export const app = (birth: (puppet: Puppet) => void, say: (puppet: () => Puppet) => (word: Word) => void) =>
  Effect.fnUntraced(function*(sessions: Sessions["Service"]) {
    const run = yield* FiberSet.makeRuntime<never, void, never>()
    const puppet: Puppet = new Puppet(sessions, run, say(() => puppet))
    birth(puppet)
    for (const [at, endpoint] of sessions.endpoints.entries()) yield* puppet.listen(-1 - at, endpoint)
  })
