/**
 * Files that are watched for changes.
 *
 * The system tells of what happens in their directories, which survives that an editor removes a file and writes it
 * again; what a file is now is compared with what it was. Files are looked at twice a second besides: not every file
 * system tells of changes, and a directory that was made anew is another one.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Url from "node:url"

/** Milliseconds between two looks at all files, whatever the system tells. */
const LOOK_INTERVAL = 500
/** Milliseconds for which files that have changed must stay as they are: an editor may write in pieces. */
const SETTLE = 25
/** The most times that this is waited for. A file that has been removed may come back as long. */
const SETTLES = 16

const GONE = "gone"

/** What tells whether the file has changed. */
const signatureOf = (path: string): string => {
  const stats = Fs.statSync(path, { throwIfNoEntry: false })
  return stats === undefined ? GONE : `${stats.mtimeMs} ${stats.size} ${stats.ino}`
}

const same = (a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean =>
  a.size === b.size && Array.from(a).every(([path, signature]) => b.get(path) === signature)

export class WatchedFiles {
  /** What each file was when it was loaded, or when a change of it was told last. */
  readonly #files = new Map<string, string>()
  readonly #directories = new Map<string, Fs.FSWatcher>()
  readonly #touched = Latch.makeUnsafe(false)
  /** The files that were added since {@link begin}. */
  #fresh = new Set<string>()

  private constructor() {}

  static readonly make: Effect.Effect<WatchedFiles, never, Scope.Scope> = Effect.acquireRelease(
    Effect.sync(() => new WatchedFiles()),
    (files) => Effect.sync(() => files.#close())
  )

  /** How many they are. */
  get size(): number {
    return this.#files.size
  }

  /** Watches the file of a URL from now on. */
  readonly add = (url: string): void => {
    const path = Url.fileURLToPath(url)
    this.#fresh.add(path)
    if (this.#files.has(path)) return
    this.#files.set(path, signatureOf(path))
    this.#watch(Path.dirname(path))
  }

  /** What is added from now on is a new set. */
  begin(): void {
    this.#fresh = new Set()
  }

  /** Only what was added since {@link begin} is watched from now on. */
  keepFresh(): void {
    for (const path of this.#files.keys()) if (!this.#fresh.has(path)) this.#files.delete(path)
    const directories = new Set(Array.from(this.#files.keys(), (path) => Path.dirname(path)))
    for (const [directory, watcher] of this.#directories) {
      if (directories.has(directory)) continue
      watcher.close()
      this.#directories.delete(directory)
    }
  }

  /** Waits until files have changed, and for them to stay as they are. Their paths; each change is told once. */
  readonly changed: Effect.Effect<ReadonlyArray<string>> = Effect.gen({ self: this }, function*() {
    for (;;) {
      yield* Effect.timeoutOption(this.#touched.await, LOOK_INTERVAL)
      this.#touched.closeUnsafe()
      let changes = this.#scan()
      for (let settles = 0; changes.size > 0 && settles < SETTLES; settles++) {
        yield* Effect.sleep(SETTLE)
        const before = changes
        changes = this.#scan()
        if (same(before, changes) && !Array.from(changes.values()).includes(GONE)) break
      }
      if (changes.size === 0) continue
      for (const [path, signature] of changes) this.#files.set(path, signature)
      for (const path of changes.keys()) this.#renew(Path.dirname(path))
      return Array.from(changes.keys())
    }
  })

  /** The files that are not what they were, and what they are. */
  #scan(): ReadonlyMap<string, string> {
    const changes = new Map<string, string>()
    for (const [path, signature] of this.#files) {
      const now = signatureOf(path)
      if (now !== signature) changes.set(path, now)
    }
    return changes
  }

  #watch(directory: string): void {
    if (this.#directories.has(directory)) return
    try {
      const watcher = Fs.watch(directory, (_, name) => {
        if (name === null || this.#files.has(Path.join(directory, name))) this.#touched.openUnsafe()
      })
      watcher.on("error", () => this.#forget(directory, watcher))
      this.#directories.set(directory, watcher)
    } catch {
      // it is not there, or there are too many watchers: the looks at intervals have to do
    }
  }

  /** A directory that was removed and made again is no longer the one that is watched. */
  #renew(directory: string): void {
    const watcher = this.#directories.get(directory)
    if (watcher !== undefined) this.#forget(directory, watcher)
    this.#watch(directory)
  }

  #forget(directory: string, watcher: Fs.FSWatcher): void {
    watcher.close()
    if (this.#directories.get(directory) === watcher) this.#directories.delete(directory)
  }

  #close(): void {
    for (const watcher of this.#directories.values()) watcher.close()
    this.#directories.clear()
  }
}
