/** Files that are watched: which changes are told, and when. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Url from "node:url"
import { WatchedFiles } from "../../../src/layers/cli/WatchedFiles.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"

const make = Effect.gen(function*() {
  const directory = yield* TempDirectory.make
  const files = yield* WatchedFiles.make
  const pathOf = (name: string): string => Path.join(directory, name)
  const write = (name: string, text: string): void => {
    Fs.mkdirSync(Path.dirname(pathOf(name)), { recursive: true })
    Fs.writeFileSync(pathOf(name), text)
  }
  const add = (...names: ReadonlyArray<string>): void => {
    for (const name of names) files.add(Url.pathToFileURL(pathOf(name)).href)
  }
  /** What is told of changes that are made meanwhile. */
  const told = Effect.fnUntraced(function*(change: () => void) {
    const fiber = yield* Effect.forkChild(files.changed, { startImmediately: true })
    change()
    const changed = yield* Fiber.join(fiber)
    return changed.map((path) => Path.relative(directory, path)).toSorted()
  })
  return { files, pathOf, write, add, told }
})

describe("watched files", () => {
  it.live("a file that is written, or removed and written again, is told once it stays as it is", () =>
    Effect.gen(function*() {
      const { add, pathOf, told, write } = yield* make
      write("a.js", "1")
      write("b.js", "1")
      write("other.js", "1")
      add("a.js", "b.js")
      assert.deepStrictEqual(yield* told(() => write("a.js", "22")), ["a.js"])
      assert.deepStrictEqual(
        yield* told(() => {
          write("other.js", "22")
          // as an editor may do it
          Fs.rmSync(pathOf("a.js"))
          setTimeout(() => write("a.js", "333"), 30)
        }),
        ["a.js"]
      )
      assert.deepStrictEqual(
        yield* told(() => {
          write("new.js", "4444")
          Fs.renameSync(pathOf("new.js"), pathOf("b.js"))
          write("a.js", "4444")
        }),
        ["a.js", "b.js"]
      )
    }).pipe(Effect.scoped))

  it.live("a file that is missing is told when it comes, and one that goes, too, also with its directory", () =>
    Effect.gen(function*() {
      const { add, pathOf, told, write } = yield* make
      add("to/come.js")
      assert.deepStrictEqual(yield* told(() => write("to/come.js", "1")), ["to/come.js"])
      assert.deepStrictEqual(yield* told(() => Fs.rmSync(pathOf("to"), { recursive: true })), ["to/come.js"])
      assert.deepStrictEqual(yield* told(() => write("to/come.js", "22")), ["to/come.js"])
    }).pipe(Effect.scoped))

  it.live("after a new set has begun, only its files are kept, and what had changed before is not forgotten", () =>
    Effect.gen(function*() {
      const { add, files, told, write } = yield* make
      for (const name of ["a.js", "b.js", "old/c.js"]) write(name, "1")
      add("a.js", "old/c.js")
      files.begin()
      write("a.js", "22")
      add("a.js", "b.js")
      files.keepFresh()
      assert.strictEqual(files.size, 2)
      assert.deepStrictEqual(yield* told(() => write("old/c.js", "22")), ["a.js"])
      assert.deepStrictEqual(yield* told(() => write("b.js", "22")), ["b.js"])
    }).pipe(Effect.scoped))
})
