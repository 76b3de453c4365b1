/**
 * Where the control socket of a host is when nobody says where: the same place for the host and for those who ask it.
 *
 * The user's runtime directory is private to the user. Where there is none, a directory of our own in the system's
 * temporary one takes its place. There everybody can create a directory of that name first, and with it decide who
 * answers; so one that another user owns is refused, by the host and by its clients alike.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Stats } from "node:fs"
import * as Fs from "node:fs/promises"
import * as Os from "node:os"
import * as Path from "node:path"
import { ControlError } from "../../services/ControlApi.ts"

/** The longest path that a socket can have: the size of `sun_path`, less the zero at its end. */
const LONGEST = process.platform === "linux" ? 107 : 103

/** The mode bits that let in anybody but the owner. */
const OTHERS = 0o077

/** The error code of a failed system call. */
export const codeOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : ""

const wordsOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause)

/** A failed system call on the control socket as an error of its path. */
export const fromSystem = (path: string, cause: unknown): ControlError => {
  const reason = ((): ControlError["reason"] => {
    switch (codeOf(cause)) {
      case "ENOENT":
      case "ENOTDIR":
        return "NoDirectory"
      case "EACCES":
      case "EPERM":
      case "EROFS":
        return "PermissionDenied"
      case "EADDRINUSE":
        return "InUse"
      default:
        return "Failed"
    }
  })()
  return new ControlError({ path, reason, detail: wordsOf(cause) })
}

const uid = (): number => process.getuid?.() ?? -1

const unless = (code: string) => (cause: unknown): undefined => {
  if (codeOf(cause) !== code) throw cause
}

/**
 * What is at `file`, a link not followed; `undefined` when there is nothing. A failure is one of the socket at `path`.
 */
export const lookAt = (file: string, path: string): Effect.Effect<Stats | undefined, ControlError> =>
  Effect.tryPromise({
    try: () => Fs.lstat(file).catch(unless("ENOENT")),
    catch: (cause) => fromSystem(path, cause)
  })

const isOurs = (directory: string) =>
  lookAt(directory, directory).pipe(
    Effect.map((stats) => stats !== undefined && stats.isDirectory() && stats.uid === uid()),
    Effect.orElseSucceed(() => false)
  )

const temporary = (): string => Path.join(Os.tmpdir(), `sluice-${uid()}`)

/**
 * The default path: `$XDG_RUNTIME_DIR/sluice.sock` if that directory is the user's, else
 * `sluice-<uid>/sluice.sock` in the system's temporary directory.
 *
 * **Gotchas** A runtime directory of another user is what `sudo` and `su` leave in the environment: it is passed over.
 */
export const defaultPath: Effect.Effect<string> = Effect.gen(function*() {
  const runtime = yield* Config.option(Config.String("XDG_RUNTIME_DIR")).pipe(Effect.orDie)
  const usable = Option.isSome(runtime) && Path.isAbsolute(runtime.value) && (yield* isOurs(runtime.value))
  return Path.join(usable ? runtime.value : temporary(), "sluice.sock")
})

/**
 * Looks whether a path can be a control socket, before anything is done there. `create` makes the directory of the
 * default path, with mode 0700.
 */
export const check = Effect.fnUntraced(function*(path: string, options: { readonly create: boolean }) {
  const bytes = Buffer.byteLength(path)
  if (bytes === 0 || bytes > LONGEST || path.includes("\0")) {
    const detail = `it must be 1 to ${LONGEST} bytes long, and is ${bytes}`
    return yield* new ControlError({ path, reason: "InvalidPath", detail })
  }
  const directory = Path.dirname(path)
  const system = (cause: unknown) => fromSystem(path, cause)
  if (directory !== temporary()) {
    // listen would call it a lack of permission
    if (options.create) yield* Effect.tryPromise({ try: () => Fs.access(directory), catch: system })
    return
  }
  if (options.create) {
    yield* Effect.tryPromise({
      try: () => Fs.mkdir(directory, { mode: 0o700 }).catch(unless("EEXIST")),
      catch: system
    })
  }
  const stats = yield* lookAt(directory, path)
  // nobody serves there
  if (stats === undefined) return
  const unsafe = (detail: string) => new ControlError({ path, reason: "ForeignDirectory", detail })
  if (!stats.isDirectory()) return yield* unsafe(`${directory} is no directory`)
  if (stats.uid !== uid()) return yield* unsafe(`another user owns ${directory}`)
  if ((stats.mode & OTHERS) === 0) return
  if (!options.create) return yield* unsafe(`others may enter ${directory}`)
  yield* Effect.tryPromise({ try: () => Fs.chmod(directory, 0o700), catch: system })
})
