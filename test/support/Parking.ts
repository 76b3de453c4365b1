/** Applications that park their sessions behind each message, and what their peers see of it. */
import * as Effect from "effect/Effect"
import type { AppOptionsInput } from "../../src/domain/options/Options.ts"
import type { Peer } from "../../src/layers/testing/MemoryPeer.ts"
import type { Session } from "../../src/services/Sessions.ts"
import { Actor, type Run, type Stage } from "./Stage.ts"
import { until } from "./until.ts"

interface Answering {
  /** What stands in front of each answer. Default: the worker's number, and what came along with the session. */
  readonly name?: (run: Run, given: string) => string
  /** What is given along to the next worker; nothing by default. */
  readonly state?: (run: Run) => string
}

/** Answers each message with `name:message;`, and parks the session behind it, unless the message is `stay`. */
export const answering = (
  { name = ({ info: { worker } }, given) => `${worker}${given}`, state }: Answering = {}
) =>
(session: Session, run: Run): void => {
  const given = Buffer.from(session.about.state ?? []).toString()
  session.handler = {
    readable: () => {
      const bytes = session.read()
      if (bytes === undefined) return
      const message = Buffer.from(bytes).toString()
      session.write(Buffer.from(`${name(run, given)}:${message};`))
      if (message === "stay") return
      run.edges.push(session.park(state === undefined ? undefined : Buffer.from(state(run))) ?? "parked")
    },
    ended: () => session.close(),
    closed: (_, reset) => run.edges.push(`closed (${reset})`),
    moved: () => run.edges.push("moved")
  }
}

/** All that a peer has received. */
export const text = (peer: Pick<Peer, "received">): string => peer.received().toString()

/** The peer sends a message, and waits for the answer, which is the next and only thing that comes. */
export const ask = (peer: Pick<Peer, "received" | "send">, message: string, answer: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    const whole = text(peer) + answer
    peer.send(message)
    return until(`the answer ${answer}`, () => text(peer) === whole)
  })

/**
 * A session that worker 0 has accepted, and its peer: the opening of most scenarios. Two workers, unless the options say
 * otherwise.
 */
export const opened = Effect.fnUntraced(function*(
  stage: Stage,
  accept: (session: Session, run: Run) => void,
  options: AppOptionsInput = {}
) {
  const actor = new Actor({ accept })
  yield* stage.attach(actor, { workers: 2, ...options })
  const peer = yield* stage.dialOpen()
  return { actor, peer, session: actor.run(0).accepted[0]! }
})
