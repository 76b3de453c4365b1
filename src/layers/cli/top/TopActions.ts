/** What keys of `top` do to a host: the command that does the same, what is asked before, and what is said then. */
import * as Effect from "effect/Effect"
import type * as Overview from "../../../domain/overview/Overview.ts"
import * as Handle from "../../../domain/state/Handle.ts"
import * as ControlClient from "../../control/ControlClient.ts"
import * as Complaint from "../Complaint.ts"
import { plural, printable, time } from "../Words.ts"

export type TopAction =
  | { readonly _tag: "Reload"; readonly app: string }
  | { readonly _tag: "Restart"; readonly worker: Handle.WorkerHandle }
  | { readonly _tag: "Delete"; readonly worker: Handle.WorkerHandle }
  | { readonly _tag: "Close"; readonly session: Handle.SessionHandle }

/** A word of a command line, in quotes if a shell would read it otherwise. */
const quoted = (word: string): string => /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`

/** The command that does the same; `control`: the path of the control socket, where it was given. */
export const commandOf = (action: TopAction, control: string | undefined): string => {
  const words = (): ReadonlyArray<string> => {
    switch (action._tag) {
      case "Reload":
        return ["reload", action.app]
      case "Restart":
        return ["worker", "restart", Handle.format(action.worker)]
      case "Delete":
        return ["worker", "delete", Handle.format(action.worker)]
      case "Close":
        return ["session", "close", Handle.format(action.session)]
    }
  }
  return ["sluice", ...words(), ...(control === undefined ? [] : ["--control", control])].map(quoted).join(" ")
}

interface Confirmation {
  /** What is asked before it is done. */
  readonly question: string
  /** What is said while it is done, and if it was not to be done. */
  readonly doing: string
  readonly declined: string
}

/** What follows `it` or `It`. */
const sessionsOf = (overview: Overview.Overview | undefined, of: (worker: Overview.WorkerView) => boolean): string => {
  const count = overview?.workers.filter(of).reduce((sum, { sessions }) => sum + sessions.now, 0) ?? 0
  return count === 1 ? "s session may" : `s ${plural(count, "session")} may`
}

/** What is asked and said of an action, as far as the host is known. */
export const confirmation = (action: TopAction, overview?: Overview.Overview): Confirmation => {
  switch (action._tag) {
    case "Reload": {
      const name = printable(action.app)
      const may = sessionsOf(overview, ({ app }) => app === action.app)
      return {
        question: `Reload ${name}? New workers take over, and it${may} finish until the drain timeout.`,
        doing: `reloading ${name} …`,
        declined: `${name} was not reloaded`
      }
    }
    case "Restart": {
      const may = sessionsOf(overview, ({ handle }) => handle === Handle.format(action.worker))
      return {
        question: `Restart worker ${Handle.format(action.worker)}? It${may} finish until the drain timeout.`,
        doing: `restarting worker ${Handle.format(action.worker)} …`,
        declined: `worker ${Handle.format(action.worker)} was not restarted`
      }
    }
    case "Delete": {
      const may = sessionsOf(overview, ({ handle }) => handle === Handle.format(action.worker))
      return {
        question: `Drain and delete worker ${Handle.format(action.worker)}? It${may} finish until the drain timeout.`,
        doing: `draining worker ${Handle.format(action.worker)} …`,
        declined: `worker ${Handle.format(action.worker)} stays`
      }
    }
    case "Close":
      return {
        question: `Close session ${Handle.format(action.session)}? What its application has written is still sent.`,
        doing: `closing session ${Handle.format(action.session)} …`,
        declined: `session ${Handle.format(action.session)} stays open`
      }
  }
}

const request = (path: string, action: TopAction) => {
  const patient = { patient: true }
  switch (action._tag) {
    case "Reload":
      return ControlClient.ask(
        path,
        (client) => client.apps.reload({ params: { app: action.app }, query: {} }),
        patient
      ).pipe(
        Effect.map(({ app, millis, workers }) =>
          `application ${printable(app)} reloaded: ${plural(workers, "worker")} in ${time(millis)}`
        )
      )
    case "Restart":
      return ControlClient.ask(
        path,
        (client) => client.workers.restart({ params: { worker: action.worker }, query: {} }),
        patient
      ).pipe(Effect.as(`worker ${Handle.format(action.worker)} restarted`))
    case "Delete":
      return ControlClient.ask(
        path,
        (client) => client.workers.remove({ params: { worker: action.worker }, query: {} }),
        patient
      ).pipe(Effect.as(`worker ${Handle.format(action.worker)} deleted`))
    case "Close":
      return ControlClient.ask(
        path,
        (client) => client.sessions.end({ params: { session: action.session }, query: {} })
      ).pipe(Effect.as(`session ${Handle.format(action.session)} is closing`))
  }
}

/** Does it, and says in a sentence what came of it. */
export const run = (
  path: string,
  action: TopAction
): Effect.Effect<{ readonly level: "ok" | "bad"; readonly text: string }> =>
  Effect.match(Effect.suspend((): Effect.Effect<string, { readonly message: string }> => request(path, action)), {
    onSuccess: (text) => ({ level: "ok" as const, text }),
    onFailure: (error) => ({ level: "bad" as const, text: Complaint.ofOperation(error) })
  })
