/**
 * What a service manager hears of a host that serves, in this order:
 *
 * ```
 * Ready   once its workers run        Status   when that has changed, no more often than every 10 s
 * Reloading … Ready   around reloads, however they were asked for; those at the same time are one
 * Stopping   once, and nothing behind it; or else
 * Successor  once, and nothing behind it, where another host goes on as the service
 * ```
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Readiness from "../../domain/report/Readiness.ts"
import { SessionLayer } from "../../services/SessionLayer.ts"
import { ServiceManager, ServiceState } from "../system/ServiceManager.ts"

/** Milliseconds between two looks at the host. */
const INTERVAL = 10_000

export interface ServiceStatus {
  /** The session layer, whose reloads are told of. */
  readonly sessions: SessionLayer["Service"]
  /** The host serves; looks at how it does until the scope closes. */
  readonly serving: Effect.Effect<void, never, Scope.Scope>
  /** Another process goes on as this service, and tells of itself. */
  readonly followed: (pid: number) => Effect.Effect<void>
  /** Completes when the service manager has heard all, or can't be told. */
  readonly told: Effect.Effect<void>
  /** The host takes nothing new. */
  readonly stopping: Effect.Effect<void>
}

export const make: Effect.Effect<ServiceStatus, never, SessionLayer> = Effect.gen(function*() {
  const host = yield* SessionLayer
  const manager = yield* ServiceManager
  let told = ""
  let reloads = 0
  let silent = false
  const tell = (state: ServiceState): void => {
    if (silent) return
    told = state.status
    manager.tell(state)
  }
  const ready = Effect.map(host.readiness, ({ reason: status }) => tell(ServiceState.Ready({ status })))
  const look = Effect.map(host.readiness, ({ reason: status }) => {
    if (reloads === 0 && status !== told) tell(ServiceState.Status({ status }))
  })
  const reload: SessionLayer["Service"]["reload"] = (app, options) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        if (reloads++ === 0) {
          tell(ServiceState.Reloading({ status: "reloading: the old code serves until the new does" }))
        }
      }),
      () => host.reload(app, options),
      () => Effect.suspend(() => --reloads === 0 ? ready : Effect.void)
    )
  const last = (state: ServiceState) =>
    Effect.sync(() => {
      tell(state)
      silent = true
    })
  return {
    sessions: SessionLayer.of({ ...host, reload }),
    serving: manager.listens
      ? Effect.andThen(ready, Effect.asVoid(Effect.forkScoped(Effect.repeat(look, Schedule.spaced(INTERVAL)))))
      : Effect.void,
    followed: (pid) => last(ServiceState.Successor({ pid, status: `process ${pid} has taken over` })),
    told: manager.told,
    stopping: last(ServiceState.Stopping({ status: Readiness.draining.reason }))
  }
})
