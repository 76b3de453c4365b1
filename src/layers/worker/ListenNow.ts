/**
 * Listening in the very turn in which it is asked for, for programs that expect `listen` to have happened when it
 * returns: on threads only, where the host goes on while the worker waits.
 *
 * The answer is read ahead of the messages before it, so nothing else happens while the worker waits. Where the host
 * can't answer before the worker reads on, or does not in time, the answer comes later, as it does to everybody else.
 */
import * as Result from "effect/Result"
import * as Message from "../../domain/memory/Message.ts"
import type * as Handle from "../../domain/state/Handle.ts"
import * as Refusal from "../../domain/state/Refusal.ts"
import type { Listener, ListenOptions, Session } from "../../services/Sessions.ts"
import type { Reply, Request } from "./Requests.ts"
import type { WorkerLoop } from "./WorkerLoop.ts"

/** Milliseconds for which a worker waits, and between two looks for the answer. */
const LONGEST_WAIT = 2000
const LOOKS = 0.1

/** What nobody ever wakes. */
const pause = new Int32Array(new SharedArrayBuffer(4))

/** The listener, or why there is none. */
export type ListenOutcome = Result.Result<Listener, Refusal.ListenReason>

export class ListenNow {
  readonly #loop: WorkerLoop

  constructor(loop: WorkerLoop) {
    this.#loop = loop
  }

  /** Without an outcome, `late` hears it. */
  listen(
    endpoint: string,
    accept: (session: Session) => void,
    { backlog = 0, ipv6Only = false, speaksHttp = false }: ListenOptions,
    late: (outcome: ListenOutcome) => void
  ): ListenOutcome | undefined {
    const flags = Message.listenFlags(ipv6Only, speaksHttp)
    const outcome = (reply: Reply | undefined): ListenOutcome => {
      if (reply?._tag === "bound") {
        this.#loop.arrivals.listen(reply.listener, endpoint, accept)
        return Result.succeed({ handle: reply.listener, local: reply.local })
      }
      const reason = reply?._tag === "failed" ? reply.reason : "Detached"
      return Result.fail(Refusal.isListenReason(reason) ? reason : "TransportFailed")
    }
    const message = (request: number): Request => ({ _tag: "listen", request, endpoint, backlog, flags })
    const reply = this.#ask(message, (reply) => late(outcome(reply)))
    return reply && outcome(reply)
  }

  /** From here on, nothing comes from there. */
  unlisten(listener: Handle.ListenerHandle): void {
    this.#ask((request) => ({ _tag: "unlisten", request, listener }), () => {})
    this.#loop.arrivals.unlisten(listener)
  }

  /** Without an answer, `late` hears it. */
  #ask(message: (request: number) => Request, late: (reply: Reply | undefined) => void): Reply | undefined {
    const { requests } = this.#loop
    const end = performance.now() + LONGEST_WAIT
    let reply: Reply | undefined
    let isLate = false
    let asked = 0
    requests.ask((request) => message(asked = request), (answer) => {
      if (isLate) late(answer)
      else reply = answer
    })
    for (let seen: number | undefined = 0; requests.waits(asked) && performance.now() < end;) {
      seen = this.#loop.answerAhead(asked, seen)
      if (seen === undefined) break
      if (requests.waits(asked)) Atomics.wait(pause, 0, 0, LOOKS)
    }
    isLate = requests.waits(asked)
    return reply
  }
}
