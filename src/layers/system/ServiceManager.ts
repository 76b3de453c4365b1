/**
 * What a service manager is told of a host: systemd's protocol of notification (`sd_notify`), by way of the program
 * `systemd-notify`, since Node has no Unix sockets of datagrams.
 *
 * | state | said |
 * |---|---|
 * | `Ready` | `READY=1`: it serves, for the first time or after a reload |
 * | `Status` | nothing but the status |
 * | `Reloading` | `RELOADING=1` and the time: `Ready` is to follow |
 * | `Stopping` | `STOPPING=1` |
 * | `Successor` | `MAINPID=…`: another process goes on as this service |
 *
 * Each has a status, the sentence that `systemctl status` shows. The program is run for one state after the other, so
 * their order stays, and nobody waits for it: `tell` only puts the state in line. A line of {@link WAITING} drops the
 * oldest. What is in line when the host ends is not said, since then the service manager sees the end itself. Only a host
 * that has been followed waits until it has said so (`told`): its end would be taken for that of the service.
 *
 * Where there is a service manager, it says so by `NOTIFY_SOCKET`. The variable is taken out of the environment, or a
 * program that a worker starts could speak for the service.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { execFile } from "node:child_process"
import * as SystemError from "../../domain/net/SystemError.ts"
import * as Thrown from "../../domain/report/Thrown.ts"
import * as Visible from "../../domain/report/Visible.ts"

const PROGRAM = "systemd-notify"
const VARIABLE = "NOTIFY_SOCKET"
const WATCHDOG = "WATCHDOG_USEC"
/**
 * Milliseconds after which the program is ended. It has sent its message by then and waits for the service manager to
 * say that it was read; not every one does.
 */
const TIMEOUT = 4500
/** The most states that wait for the program. */
const WAITING = 16
const MICROS = 1000n

export type ServiceState = Data.TaggedEnum<{
  Ready: { readonly status: string }
  Status: { readonly status: string }
  Reloading: { readonly status: string }
  Stopping: { readonly status: string }
  Successor: { readonly status: string; readonly pid: number }
}>
export const ServiceState = Data.taggedEnum<ServiceState>()

/** What the protocol calls a state; `now` is the system's monotonic time in nanoseconds. */
export const assignmentsOf = (state: ServiceState, now: bigint): ReadonlyArray<string> => [
  ...ServiceState.$match(state, {
    Ready: () => ["READY=1"],
    Status: () => [],
    Reloading: () => ["RELOADING=1", `MONOTONIC_USEC=${now / MICROS}`],
    Stopping: () => ["STOPPING=1"],
    Successor: ({ pid }) => [`MAINPID=${pid}`]
  }),
  `STATUS=${Visible.line(state.status)}`
]

/** Whom a host tells of its state. */
export interface ServiceManagerPort {
  /** Whether anybody listens. */
  readonly listens: boolean
  /** Never waits, and never fails. */
  readonly tell: (state: ServiceState) => void
  /** Completes when nothing is in line any more. */
  readonly told: Effect.Effect<void>
}

/** The service manager of this process; nobody, unless a program says otherwise. */
export const ServiceManager = Context.Reference<ServiceManagerPort>("sluice/system/ServiceManager", {
  defaultValue: () => ({ listens: false, tell: () => {}, told: Effect.void })
})

class NotTold extends Data.TaggedError("NotTold")<{ readonly detail: string }> {}

/** Runs the program for one state. */
const say = (socket: string, environment: NodeJS.ProcessEnv, state: ServiceState): Effect.Effect<void, NotTold> =>
  Effect.callback((resume) => {
    const failed = (error: Error): void => {
      const missing = SystemError.kindOf(error) === "NotFound"
      resume(Effect.fail(
        new NotTold({
          detail: missing ? `there is no program ${PROGRAM}; install systemd's tools` : Thrown.sentenceOf(error)
        })
      ))
    }
    const options = {
      env: { ...environment, [VARIABLE]: socket },
      timeout: TIMEOUT,
      killSignal: "SIGKILL"
    } as const
    try {
      execFile(
        PROGRAM,
        assignmentsOf(state, process.hrtime.bigint()),
        options,
        (error) => error === null || error.killed === true ? resume(Effect.void) : failed(error)
      )
    } catch (error) {
      // this process may not be allowed to start another one
      failed(error as Error)
    }
  })

/**
 * The service manager that the environment tells of, for as long as the scope is open. Its variable is removed. That it
 * can't be told is said once in the log, and the host goes on.
 */
export const fromEnvironment = (
  environment: NodeJS.ProcessEnv
): Effect.Effect<ServiceManagerPort, never, Scope.Scope> =>
  Effect.suspend(() => {
    const socket = environment[VARIABLE]
    delete environment[VARIABLE]
    return socket === undefined || socket === "" ? ServiceManager : speaker(socket, environment)
  })

const speaker = Effect.fnUntraced(function*(socket: string, environment: NodeJS.ProcessEnv) {
  if (environment[WATCHDOG] !== undefined) {
    yield* Effect.logWarning("the service manager's watchdog is not served: take WatchdogSec= out of the unit")
  }
  const states = yield* Queue.sliding<ServiceState>(WAITING)
  let warned = false
  const warn = ({ detail }: NotTold) =>
    Effect.suspend(() => {
      if (warned) return Effect.void
      warned = true
      return Effect.logWarning(`the service manager is not told of this host's state: ${detail}; this is said once`)
    })
  const silence = Latch.makeUnsafe(true)
  yield* Queue.take(states).pipe(
    Effect.flatMap((state) => say(socket, environment, state).pipe(Effect.catch(warn))),
    Effect.tap(() =>
      Effect.sync(() => {
        if (Queue.sizeUnsafe(states) === 0) silence.openUnsafe()
      })
    ),
    Effect.forever,
    Effect.forkScoped
  )
  const tell = (state: ServiceState): void => {
    silence.closeUnsafe()
    Queue.offerUnsafe(states, state)
  }
  return { listens: true, tell, told: silence.await }
})
