/**
 * Loads an application's module and finds the layer in it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Formatter from "effect/Formatter"
import * as Predicate from "effect/Predicate"
import * as Url from "node:url"
import { type AppModule, WorkerExit } from "../services/AppWorker.ts"
import * as NodeApps from "./NodeApps.ts"

/** The first line of what was thrown: the rest is a stack, which says nothing to who starts a program. */
export const sentence = (error: unknown): string => {
  // Formatter, since what is thrown may be anything, even what no text can be made of
  const text = error instanceof Error
    ? error.message || error.name
    : typeof error === "string"
    ? error
    : Formatter.format(error)
  return text.split("\n", 1)[0]!
}

/** The code of a system's or Node's error. */
export const codeOf = (error: unknown): unknown => Predicate.hasProperty(error, "code") ? error.code : undefined

const shown = (url: string): string => url.startsWith("file:") ? Url.fileURLToPath(url) : url

/** The layer that the application is, whatever its module exports. */
export const load = (module: AppModule): Effect.Effect<NodeApps.App, WorkerExit> => {
  if (module._tag === "Layer") return Effect.succeed(module.layer)
  const failed = (error: unknown): WorkerExit =>
    new WorkerExit({
      reason: "ModuleFailed",
      detail: `app module ${shown(module.url)} failed to load: ${sentence(error)}`
    })
  return Effect.tryPromise({
    try: () => import(module.url) as Promise<Readonly<Record<string, unknown>>>,
    catch: (error) => {
      // the error names the module that was not found, which may be one that this one imports
      const missing = codeOf(error) === "ERR_MODULE_NOT_FOUND"
        && Predicate.hasProperty(error, "url") && error.url === module.url
      return missing
        ? new WorkerExit({ reason: "ModuleMissing", detail: `app module ${shown(module.url)} does not exist` })
        : failed(error)
    }
  }).pipe(
    Effect.flatMap((exports) =>
      NodeApps.find(exports).pipe(
        Effect.catchDefect((error) => Effect.fail(failed(error))),
        Effect.mapError((error) =>
          error instanceof WorkerExit
            ? error
            : new WorkerExit({ reason: "NotAnApp", detail: `app module ${shown(module.url)} ${error}` })
        )
      )
    )
  )
}
