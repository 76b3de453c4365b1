/**
 * A takeover as the host sees it that comes (X4). It is born with descriptors of the sockets that its predecessor
 * listens on, and touches them when it is told to, or when the predecessor is gone. Its states are in `TakeoverState`.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { RuleInput } from "../../domain/admission/SessionRule.ts"
import * as Ledger from "../../domain/state/Ledger.ts"
import * as TakeoverState from "../../domain/state/TakeoverState.ts"
import * as TakeoverMessage from "../../domain/takeover/TakeoverMessage.ts"
import type { SessionRules } from "../../services/SessionRules.ts"
import type * as Succession from "../../services/Succession.ts"
import { type ControlHandOver, TakeoverError } from "../../services/Takeover.ts"
import type { Descent } from "../system/Descent.ts"
import type { InheritedSockets } from "../system/InheritedSockets.ts"
import { DatagramRelays } from "./DatagramRelays.ts"
import { TakeoverChannel } from "./TakeoverChannel.ts"

/** What this side needs of the host, once there is one. */
export interface SuccessorHost {
  readonly succession: Succession.Succession["Service"]
  readonly rules: SessionRules["Service"]
  readonly run: (effect: Effect.Effect<void>) => void
}

/** Makes the rules and the deny list those of the predecessor, and leaves what is so already. */
const applyRules = Effect.fnUntraced(function*(
  service: SessionRules["Service"],
  { denied, rules }: Pick<TakeoverMessage.ToSuccessor & { readonly _tag: "Settle" }, "rules" | "denied">
) {
  const keyOf = (rule: object): string =>
    JSON.stringify(Object.entries(rule).filter(([, value]) => value !== undefined).sort())
  const wanted = new Map(rules.map((rule) => [keyOf(rule), rule]))
  for (const { handle, rule } of yield* service.list) {
    if (!wanted.delete(keyOf(rule))) yield* service.remove(handle)
  }
  yield* Effect.forEach(wanted.values(), (rule) => service.add(rule as RuleInput), { discard: true })
  const there = new Set<string>(yield* service.denied)
  for (const source of denied) if (!there.delete(source)) yield* service.denySource(source)
  yield* Effect.forEach(there, (source) => service.allowSource(source), { discard: true })
})

export class SuccessorSide {
  readonly birth: TakeoverMessage.Birth
  readonly #inherited: InheritedSockets
  readonly #gate: Descent["gate"]
  readonly #reading: Descent["reading"]
  readonly #relays = new DatagramRelays((message) => this.#channel.send(message))
  readonly #channel: TakeoverChannel<TakeoverMessage.ToPredecessor, TakeoverMessage.ToSuccessor>
  /** Done when this is the host. */
  readonly #isHost = Deferred.makeUnsafe<void, TakeoverError>()
  #state: TakeoverState.SuccessorState = "STARTING"
  #host: SuccessorHost | undefined
  #control: Parameters<ControlHandOver["waits"]>[0] | undefined

  constructor(inherited: InheritedSockets, { birth, gate, port, reading }: Descent) {
    this.birth = birth
    this.#inherited = inherited
    this.#gate = gate
    this.#reading = reading
    this.#channel = new TakeoverChannel(port, {
      encode: TakeoverMessage.encodeToPredecessor,
      decode: TakeoverMessage.decodeToSuccessor,
      receive: (message, socket) => this.#receive(message, socket),
      unread: (why) => this.#nonsense(`what the running host says can't be read: ${why}`),
      lost: () => this.#onLost()
    })
  }

  get state(): TakeoverState.SuccessorState {
    return this.#state
  }

  /** The only place where the state changes; `false` when this is not what can happen now. */
  #move(event: TakeoverState.SuccessorEvent): boolean {
    if (!TakeoverState.successor.allows(this.#state, event)) return false
    this.#state = TakeoverState.successor.next(this.#state, event)
    return true
  }

  /** Where the control socket is kept out of sight, if the predecessor has it at this path. */
  control(path: string): ControlHandOver | undefined {
    if (this.birth.control !== Path.resolve(path)) return undefined
    return { waits: (socket) => void (this.#control = socket) }
  }

  /** This host serves all that it is to serve: it takes over. Succeeds when it is the host. */
  up(host: SuccessorHost): Effect.Effect<void, TakeoverError> {
    return Effect.suspend(() => {
      this.#host = host
      if (!this.#move("up")) return Deferred.await(this.#isHost)
      if (this.#state === "ALONE") this.#goOnAlone(host)
      else this.#channel.send({ _tag: "Ready", control: this.#control?.born })
      return Deferred.await(this.#isHost)
    })
  }

  /** Another host follows this one: what the predecessor still has is no longer read here. */
  followed(): void {
    if (this.#state === "SETTLED") this.#channel.send({ _tag: "Followed" })
  }

  /** This host does not come up. */
  failed(detail: string): void {
    if (this.#state !== "SETTLED" && this.#state !== "ALONE") this.#channel.send({ _tag: "Failed", detail })
  }

  // ---- what the predecessor says

  #receive(message: TakeoverMessage.ToSuccessor, socket: unknown): void {
    const host = this.#host
    if (host !== undefined && this.#hear(host, message, socket)) return
    this.#nonsense(`the running host said "${message._tag}" where nobody expects it`)
  }

  /** Returns whether it may be said now. */
  #hear(host: SuccessorHost, message: TakeoverMessage.ToSuccessor, socket: unknown): boolean {
    switch (message._tag) {
      case "Serve":
        if (!this.#move("serve")) return false
        host.succession.inherit(Ledger.known(message.totals), message.hosts)
        this.#step(
          host,
          Effect.andThen(applyRules(host.rules, message), this.#gate.open),
          () => this.#channel.send({ _tag: "Serving", listeners: host.succession.inherited() })
        )
        return true
      case "Connection": {
        if (this.#state !== "SETTLED") return false
        const { _tag, id, listener, ...baggage } = message
        const taken = host.succession.adopt(listener, socket, {
          ...baggage,
          about: baggage.about,
          unread: baggage.unread.length === 0 ? undefined : baggage.unread,
          state: baggage.state
        })
        this.#channel.send({ _tag: taken ? "Taken" : "Declined", id })
        return true
      }
      case "Settle":
        if (this.#state !== "SERVING") return false
        this.#step(host, applyRules(host.rules, message), () => {
          this.#move("settle")
          this.#closeUnserved()
          this.#channel.send({ _tag: "Settled" })
          Deferred.doneUnsafe(this.#isHost, Effect.void)
        })
        return true
      case "Peers":
      case "Over":
      case "Relayed":
      case "Back":
        return this.#state === "SETTLED" && this.#relays.hear(message, host.succession.datagrams(message.listener))
      case "Read":
        if (this.#state !== "SETTLED") return false
        host.run(this.#reading.open)
        return true
      case "Counters":
        if (this.#state !== "SETTLED") return false
        host.succession.inherit(Ledger.known(message.totals), message.hosts)
        return true
    }
  }

  /** Does something that may fail, and with it the takeover. */
  #step(host: SuccessorHost, step: Effect.Effect<void, { readonly message: string }>, done: () => void): void {
    host.run(step.pipe(
      Effect.match({
        onSuccess: done,
        onFailure: ({ message }) => {
          this.failed(message)
          this.#giveUp("Failed", message)
        }
      })
    ))
  }

  /** The sockets that no listener here has asked for. */
  #closeUnserved(): void {
    for (const { descriptor } of this.#inherited.takeFree()) Result.try(() => Fs.closeSync(descriptor))
  }

  // ---- without a predecessor

  #onLost(): void {
    const host = this.#host
    const before = this.#state
    if (!this.#move("lost") || host === undefined) return
    this.#relays.lost()
    if (before === "SETTLED") {
      this.#control?.settle()
      host.run(this.#reading.open)
    } else if (this.#state === "ALONE") return this.#goOnAlone(host)
    host.succession.inherit(Ledger.closed(host.succession.predecessors()), [])
  }

  #goOnAlone(host: SuccessorHost): void {
    host.succession.inherit(Ledger.closed(host.succession.predecessors()), [])
    this.#step(host, Effect.andThen(this.#gate.open, this.#reading.open), () => {
      this.#control?.settle()
      this.#closeUnserved()
      Deferred.doneUnsafe(this.#isHost, Effect.void)
    })
  }

  // ---- a predecessor that is none

  #nonsense(detail: string): void {
    if (this.#state === "SETTLED") {
      // this is the host, whatever the other one says
      this.#channel.close()
      return this.#onLost()
    }
    this.failed(detail)
    this.#giveUp("Nonsense", detail)
  }

  #giveUp(reason: TakeoverError["reason"], detail: string): void {
    Deferred.doneUnsafe(this.#isHost, Effect.fail(new TakeoverError({ reason, detail })))
  }
}
