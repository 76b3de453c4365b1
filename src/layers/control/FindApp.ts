/** How an application is meant in a request: by its name, or by its index. */
import * as Effect from "effect/Effect"
import * as Handle from "../../domain/state/Handle.ts"
import type { Application, NoSuchApp, SessionLayer } from "../../services/SessionLayer.ts"

const INDEX = /^(?:0|[1-9]\d{0,7})$/

/** The application with this name, or else the one with this index. */
export const find = (host: SessionLayer["Service"], wanted: string): Effect.Effect<Application, NoSuchApp> =>
  host.find(wanted).pipe(
    Effect.catchTag(
      "NoSuchApp",
      (error) => INDEX.test(wanted) ? host.find(Handle.AppIndex(Number(wanted))) : Effect.fail(error)
    )
  )
