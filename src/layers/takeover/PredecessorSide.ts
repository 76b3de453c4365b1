/**
 * A takeover as the host sees it that goes (X4): it starts its successor, gives it all that it has, and is not the host
 * any more once the successor has said that it is. Its states, and what each message is an answer to, are in
 * `TakeoverState`.
 *
 * Up to that word, this host closes nothing, and has a descriptor of its own of each socket. So whatever becomes of the
 * successor before, this host goes on; a connection that was on its way goes on here.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as TakeoverState from "../../domain/state/TakeoverState.ts"
import * as TakeoverMessage from "../../domain/takeover/TakeoverMessage.ts"
import type { SessionRules } from "../../services/SessionRules.ts"
import type * as Succession from "../../services/Succession.ts"
import { type TakenOver, TakeoverError } from "../../services/Takeover.ts"
import type { ChannelPort } from "../system/Descent.ts"
import * as UnixSocketFile from "../system/UnixSocketFile.ts"
import { KeptDatagrams } from "./KeptDatagrams.ts"
import { TakeoverChannel } from "./TakeoverChannel.ts"

/** Milliseconds for an answer of the successor, once it is up. */
const ANSWER_TIME = 10_000
/** Milliseconds between two messages with counters. */
const COUNTERS_INTERVAL = 1_000
/** Milliseconds between the end of a process and that of its channel, or the other way round, at the most. */
const EXIT_TIME = 1_000

/** The successor's process, and the channel to it. */
export interface SuccessorProcess extends ChannelPort {
  /** Absent for a process that could not be started. */
  readonly pid?: number | undefined
  once(event: "error", listener: (error: Error) => void): unknown
  once(event: "exit", listener: (code: number | null, signal: NodeJS.Signals | null) => void): unknown
  kill(signal: NodeJS.Signals): unknown
  unref(): void
}

/** What this side needs of the host. */
export interface PredecessorHost {
  readonly succession: Succession.Succession["Service"]
  readonly rules: SessionRules["Service"]
  /** Where the control socket is, if there is one. */
  readonly control: string | undefined
  /** Milliseconds until the successor's workers must be up. */
  readonly startTime: number
  readonly run: (effect: Effect.Effect<void>) => void
  /** Called as the successor is the host. */
  readonly settled: () => void
}

const encodeRules = (rules: SessionRules["Service"]) =>
  Effect.map(Effect.all([rules.list, rules.denied]), ([entries, denied]) => ({
    rules: entries.map(({ rule }) =>
      Object.fromEntries(Object.entries(rule).flatMap(([key, value]) => value === undefined ? [] : [[key, value]]))
    ),
    denied
  }))

export class PredecessorSide {
  readonly result = Deferred.makeUnsafe<TakenOver, TakeoverError>()
  readonly #host: PredecessorHost
  readonly #child: SuccessorProcess
  readonly #channel: TakeoverChannel<TakeoverMessage.ToSuccessor, TakeoverMessage.ToPredecessor>
  #state: TakeoverState.PredecessorState = "STARTING"
  #born: string | undefined
  #served: ReadonlySet<string> = new Set()
  #departures: Succession.DepartureSource | undefined
  #kept: KeptDatagrams | undefined
  /** Whether the successor is the one that reads sockets of UDP. */
  #readsOn = true
  /** The connection that the successor has been sent and has not answered. */
  #underWay: { readonly id: number; readonly departure: Succession.Departure } | undefined
  #ids = 0
  #timer: NodeJS.Timeout | undefined
  #counters: NodeJS.Timeout | undefined
  #exited = false
  #failure: TakeoverError | undefined
  #onIdle: (() => void) | undefined

  constructor(child: SuccessorProcess, host: PredecessorHost) {
    this.#host = host
    this.#child = child
    child.once("error", (error) => this.#lose("NotStarted", `a process could not be started: ${error.message}`))
    child.once("exit", (code, signal) => this.#onExit(code, signal))
    this.#channel = new TakeoverChannel(child, {
      encode: TakeoverMessage.encodeToSuccessor,
      decode: TakeoverMessage.decodeToPredecessor,
      receive: (message) => this.#receive(message),
      unread: (why) => this.#lose("Nonsense", `what the successor says can't be read: ${why}`),
      lost: () => this.#onLost()
    })
    host.succession.record("begun")
    this.#within(host.startTime, "its workers were not up")
  }

  get state(): TakeoverState.PredecessorState {
    return this.#state
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** The only place where the state changes; `false` when this is not what can happen now. */
  #move(event: TakeoverState.PredecessorEvent): boolean {
    if (!TakeoverState.predecessor.allows(this.#state, event)) return false
    this.#state = TakeoverState.predecessor.next(this.#state, event)
    clearTimeout(this.#timer)
    return true
  }

  #within(millis: number, what: string): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#lose("TooLate", `${what} within ${millis / 1000} s`), millis)
  }

  // ---- what the successor says

  #receive(message: TakeoverMessage.ToPredecessor): void {
    if (this.#hear(message)) return
    this.#lose("Nonsense", `the successor said "${message._tag}" where nobody expects it`)
  }

  /** Returns whether it may be said now. */
  #hear(message: TakeoverMessage.ToPredecessor): boolean {
    switch (message._tag) {
      case "Ready":
        if (!this.#move("ready")) return false
        this.#born = message.control
        this.#tellRules("Serve")
        return true
      case "Serving":
        if (!this.#move("serving")) return false
        this.#served = new Set(message.listeners)
        this.#tellRules("Settle")
        return true
      case "Taken":
      case "Declined":
        return this.#hearOf(message.id, message._tag === "Taken")
      case "Settled":
        if (!this.#move("settled")) return false
        this.#settle()
        return true
      case "Datagrams":
        return this.#state === "DRAINING" && this.#kept?.take(message) === true
      case "Followed":
        this.#readsOn = false
        return this.#state === "DRAINING"
      case "Failed":
        this.#lose("Failed", message.detail)
        return true
    }
  }

  #tellRules(_tag: "Serve" | "Settle"): void {
    const { rules, run, succession } = this.#host
    this.#within(ANSWER_TIME, _tag === "Serve" ? "it did not listen" : "it did not become the host")
    run(Effect.map(encodeRules(rules), (encoded) =>
      this.#channel.send(
        _tag === "Serve" ? { _tag, ...encoded, ...countersOf(succession) } : { _tag, ...encoded }
      )))
  }

  #hearOf(id: number, taken: boolean): boolean {
    const underWay = this.#underWay
    if (underWay?.id !== id) return false
    this.#underWay = undefined
    if (!this.#exited) clearTimeout(this.#timer)
    if (taken) underWay.departure.gone()
    else underWay.departure.stays()
    this.#sendNext()
    return true
  }

  // ---- what goes over

  #sendNext(): void {
    if (this.#underWay !== undefined || this.#exited || this.#state !== "DRAINING") return
    const departure = this.#departures?.next()
    if (departure !== undefined) return this.#send(departure)
    this.#onIdle?.()
  }

  #send(departure: Succession.Departure): void {
    const { baggage: { about, unread, ...baggage }, listener, socket } = departure
    const id = this.#ids++
    this.#underWay = { id, departure }
    this.#within(ANSWER_TIME, "it did not take a connection")
    this.#channel.send({
      _tag: "Connection",
      id,
      listener,
      ...baggage,
      ...(about === undefined ? {} : { about }),
      unread: unread ?? new Uint8Array(0)
    }, socket)
  }

  /** The successor is the host: all in one turn. */
  #settle(): void {
    const { control, settled, succession } = this.#host
    try {
      if (control !== undefined && this.#born !== undefined) UnixSocketFile.moveTo(this.#born, control)
    } catch {
      // the successor moves it as well, as soon as this host is gone
    }
    const sessions = succession.sessions()
    this.#departures = succession.depart(this.#served)
    this.#kept = new KeptDatagrams(this.#departures.datagrams, (message) => this.#channel.send(message))
    this.#departures.onMore = () => this.#sendNext()
    settled()
    const tell = (): void => this.#channel.send({ _tag: "Counters", ...countersOf(succession) })
    tell()
    this.#counters = setInterval(tell, COUNTERS_INTERVAL).unref()
    Deferred.doneUnsafe(this.result, Effect.succeed({ pid: this.pid, sessions }))
    this.#sendNext()
  }

  // ---- the end

  #onExit(code: number | null, signal: NodeJS.Signals | null): void {
    this.#exited = true
    if (this.#state === "ABANDONED") return this.#over()
    const lose = (): void =>
      this.#lose("Gone", `the successor ended ${signal === null ? `with code ${code}` : `by ${signal}`}`)
    if (this.#state !== "DRAINING" || !this.#channel.isOpen) return lose()
    // whose the connection is that was on its way, the last words in the channel may say
    clearTimeout(this.#timer)
    this.#timer = setTimeout(lose, EXIT_TIME)
  }

  #onLost(): void {
    const lose = (): void => this.#lose("Gone", "the successor has closed its channel")
    if (this.#exited) return lose()
    // its end is told a moment later, with more to say
    clearTimeout(this.#timer)
    this.#timer = setTimeout(lose, EXIT_TIME)
  }

  #lose(reason: TakeoverError["reason"], detail: string): void {
    const wasHost = TakeoverState.hasSettled(this.#state)
    if (!this.#move("lost")) return
    this.#channel.close()
    if (wasHost) return this.#stayAlone(detail)
    this.#failure = new TakeoverError({ reason, detail })
    if (this.#exited || this.#child.pid === undefined) return this.#over()
    // it must not be a host beside this one
    this.#child.kill("SIGKILL")
  }

  /** The successor is gone before it was the host: all is as it was. */
  #over(): void {
    this.#move("gone")
    this.#host.succession.record("abandoned")
    Deferred.doneUnsafe(this.result, Effect.fail(this.#failure!))
    this.#onIdle?.()
  }

  /** The successor is gone, or does not speak any more: what is in hand finishes here. */
  #stayAlone(why: string): void {
    clearInterval(this.#counters)
    // a process that goes on may have the connection, or will once it goes on
    if (this.#exited) {
      this.#underWay?.departure.stays()
      if (this.#readsOn) this.#kept?.takeBack()
    } else this.#underWay?.departure.unanswered()
    this.#underWay = undefined
    this.#departures?.end(why)
    this.#onIdle?.()
  }

  /** The successor is given up, if it is not the host yet. */
  abandon({ detail, reason }: TakeoverError): void {
    if (!TakeoverState.hasSettled(this.#state)) this.#lose(reason, detail)
  }

  /** All that is to go over has gone, or can't, and the successor has the last counts; or there is no successor. */
  get finish(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const end = (): void => {
        this.#move("drained")
        this.#departures?.end()
        this.#child.unref()
        resume(Effect.void)
      }
      this.#onIdle = () => {
        this.#onIdle = undefined
        clearInterval(this.#counters)
        this.#channel.sendLast({ _tag: "Counters", ...countersOf(this.#host.succession) }, end)
      }
      if (this.#state === "DRAINING") this.#sendNext()
      else if (this.#state !== "ABANDONED") this.#onIdle()
    })
  }
}

/** What has been counted, and the hosts that are still there: this one, and those before it. */
const countersOf = ({ hosts, totals }: Succession.Succession["Service"]) => {
  const { arrivals, messages, offers } = totals()
  return { totals: { messages: { ...messages }, offers: { ...offers }, arrivals: { ...arrivals } }, hosts: hosts() }
}
