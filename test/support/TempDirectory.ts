/** A directory for one test, removed with its scope. */
import * as Effect from "effect/Effect"
import * as Fs from "node:fs/promises"
import * as Os from "node:os"
import * as Path from "node:path"

/** Only its owner may enter it; its path is short enough for a socket in it. */
export const make = Effect.acquireRelease(
  Effect.promise(() => Fs.mkdtemp(Path.join(Os.tmpdir(), "slt-"))),
  (path) => Effect.promise(() => Fs.rm(path, { recursive: true, force: true }))
)
