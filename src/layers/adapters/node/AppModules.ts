/**
 * Loads an application's module and finds the layer in it.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Fs from "node:fs"
import Module from "node:module"
import * as Url from "node:url"
import * as SystemError from "../../../domain/net/SystemError.ts"
import * as Thrown from "../../../domain/report/Thrown.ts"
import { type AppModule, WorkerExit } from "../../../services/AppWorker.ts"
import * as NodeApps from "./NodeApps.ts"
import type * as NodeListen from "./NodeListen.ts"
import * as SyntaxPlace from "./SyntaxPlace.ts"

const shown = (url: string): string => url.startsWith("file:") ? Url.fileURLToPath(url) : url

/** Nothing, or what CommonJS has in its place. */
const isEmpty = (exports: Readonly<Record<string, unknown>>): boolean =>
  Object.values(exports).every((value) =>
    Predicate.isObject(value) && Object.getPrototypeOf(value) === Object.prototype && Object.keys(value).length === 0
  )

/** What the module is: what it exports, or, where it can listen by itself, the servers that it listens with. */
const appOf = (
  exports: Readonly<Record<string, unknown>>,
  listens: NodeListen.Listens | undefined
): Effect.Effect<NodeApps.AppLayer, string> => {
  if (listens === undefined) {
    return Effect.mapError(NodeApps.find(exports), (what) => `${what}; a program that listens by itself needs threads`)
  }
  if (Layer.isLayer(exports["default"]) && !listens.any()) listens.restore()
  else if (listens.any() || isEmpty(exports)) return Effect.succeed(Layer.effectDiscard(listens.first))
  return Effect.tap(NodeApps.find(exports), Effect.sync(listens.taken))
}

/** Milliseconds in which the import of a module fails that has failed as the main one. */
const GRACE = 1000

/**
 * Loads a module as the main one of its thread: `require.main` and `import.meta.main` say so, and so does `argv`. An
 * error in it is one of the import alone, which knows the place: Node would end the thread with it first, and an error
 * of syntax would have lost it. Whatever else fails meanwhile ends the thread, a moment later.
 */
const runMain = async (url: string): Promise<Readonly<Record<string, unknown>>> => {
  const path = Url.fileURLToPath(url)
  process.argv[1] = path
  const others: Array<NodeJS.Timeout> = []
  const onFailure = (reason: unknown): void => {
    others.push(setTimeout(() => {
      throw reason
    }, GRACE))
  }
  process.on("unhandledRejection", onFailure).on("uncaughtException", onFailure)
  try {
    Module.runMain(path)
    return await import(url)
  } catch (error) {
    // they are told of when this turn is over
    await new Promise(setImmediate)
    for (const other of others) clearTimeout(other)
    throw error
  } finally {
    process.off("unhandledRejection", onFailure).off("uncaughtException", onFailure)
  }
}

/** Node's main module is a file that is there; a URL with more than a path is another module than that file. */
const canBeMain = (url: string): boolean => {
  const { hash, protocol, search } = new URL(url)
  return protocol === "file:" && search === "" && hash === "" && Fs.existsSync(Url.fileURLToPath(url))
}

/**
 * The layer that the application is, whatever its module exports. With `listens`, the module may listen by itself
 * instead: what else it exports is its own affair. `isMain`: it runs as its thread's main module.
 */
export const load = (
  module: AppModule,
  listens?: NodeListen.Listens,
  isMain = false
): Effect.Effect<NodeApps.AppLayer, WorkerExit> => {
  if (module._tag === "Layer") return Effect.succeed(module.layer)
  const exit = (reason: WorkerExit["reason"], what: string): WorkerExit =>
    new WorkerExit({ reason, detail: `app module ${shown(module.url)} ${what}` })
  const failed = (error: unknown): WorkerExit =>
    WorkerExit.of("ModuleFailed", `app module ${shown(module.url)} failed to load`, Thrown.of(error))
  return Effect.tryPromise({
    try: async (): Promise<Readonly<Record<string, unknown>>> => {
      try {
        return await (isMain && canBeMain(module.url) ? runMain(module.url) : import(module.url))
      } catch (error) {
        await SyntaxPlace.find(error, module.url)
        throw error
      }
    },
    catch: (error) => {
      // the error names the module that was not found, which may be one that this one imports
      const missing = SystemError.codeOf(error) === "ERR_MODULE_NOT_FOUND"
        && Predicate.hasProperty(error, "url") && error.url === module.url
      return missing ? exit("ModuleMissing", "does not exist") : failed(error)
    }
  }).pipe(
    Effect.flatMap((exports) =>
      appOf(exports, listens).pipe(
        Effect.mapError((what) => exit("NotAnApp", what)),
        Effect.catchDefect((error) => Effect.fail(failed(error)))
      )
    )
  )
}
