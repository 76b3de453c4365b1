/** `sluice serve --watch`: an application is reloaded whenever a file changes that its modules were loaded from. */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { enableCompileCache } from "node:module"
import * as Path from "node:path"
import { type Application, SessionLayer } from "../../services/SessionLayer.ts"
import { WatchedFiles } from "./WatchedFiles.ts"
import { plural } from "./Words.ts"

/** Milliseconds between two tries to reload an application that somebody else reloads. */
const AGAIN = 100

/** The path from the directory that the command was called in, if it is in there. */
const shown = (path: string): string => {
  const relative = Path.relative("", path)
  return relative.startsWith("..") ? path : relative
}

/** The files as one phrase. */
const phrase = ([first = "", ...others]: ReadonlyArray<string>): string => {
  const more = others.length === 0 ? "" : ` and ${plural(others.length, "other file")}`
  return `${shown(first)}${more} changed`
}

/** Reloads the application for every change, as long as the scope is open. How that went is in the log. */
const follow = Effect.fnUntraced(function*({ handle }: Application, files: WatchedFiles) {
  const sessions = yield* SessionLayer
  return yield* files.changed.pipe(
    Effect.flatMap((changed) => {
      files.begin()
      return sessions.reload(handle, { atOnce: true, because: phrase(changed) }).pipe(
        Effect.retry({
          while: ({ reason }) => reason._tag === "Reloading",
          schedule: Schedule.spaced(AGAIN)
        }),
        Effect.tap(() => Effect.sync(() => files.keepFresh())),
        // the old code goes on, and the next change is the next chance
        Effect.ignore
      )
    }),
    Effect.forever
  )
})

/**
 * Has Node keep what it compiles, in its usual directory or the one that the environment names: with each reload, new
 * threads load the same modules again, but for the few that have changed. They find the directory in the environment.
 */
const keepCompiled = Effect.sync(() => {
  const { directory } = enableCompileCache()
  if (directory !== undefined) process.env["NODE_COMPILE_CACHE"] ??= directory
})

/** What watches the files of an application that is to be attached, and follows it once it is. */
export interface Watch {
  readonly loaded: (url: string) => void
  readonly begin: (application: Application) => Effect.Effect<void, never, Scope.Scope | SessionLayer>
}

export const make: Effect.Effect<Watch, never, Scope.Scope> = Effect.andThen(
  keepCompiled,
  Effect.map(WatchedFiles.make, (files): Watch => ({
    loaded: files.add,
    begin: (application) =>
      Effect.logInfo(`watching ${plural(files.size, "file")} of ${application.name}`).pipe(
        Effect.andThen(Effect.forkScoped(follow(application, files))),
        Effect.asVoid
      )
  }))
)
