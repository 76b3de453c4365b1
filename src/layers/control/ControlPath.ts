/**
 * Where the control socket of a host is when nobody says where: the same place for the host and for its clients.
 *
 * | `XDG_RUNTIME_DIR` | the socket is in |
 * |---|---|
 * | a directory of the user's own, to which nobody else may write | that directory |
 * | a directory of another user, or one to which others may write | it is refused |
 * | not set, relative, no directory | `sluice-<uid>` in the system's temporary directory |
 *
 * Whoever can put a socket into that directory decides who answers, so both sides refuse one that others could prepare.
 * In the temporary directory anybody can create a directory of our name first; one that another user owns, or that
 * holds a socket of another user, is refused by the host and by its clients alike.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Stats } from "node:fs"
import * as Fs from "node:fs/promises"
import * as Os from "node:os"
import * as Path from "node:path"
import * as SystemError from "../../domain/net/SystemError.ts"
import * as Thrown from "../../domain/report/Thrown.ts"
import { ControlError } from "../../services/ControlApi.ts"
import * as UnixSocketFile from "../system/UnixSocketFile.ts"

const NAME = "sluice.sock"

/** The mode bits that let in anybody but the owner, and those that let them write. */
const OTHERS = 0o077
const OTHERS_WRITE = 0o022

/** A failed system call on the control socket as an error of its path. */
export const fromSystem = (path: string, cause: unknown): ControlError => {
  const reason = ((): ControlError["reason"] => {
    switch (SystemError.kindOf(cause)) {
      case "NotFound":
        return "NoDirectory"
      case "PermissionDenied":
        return "PermissionDenied"
      case "AddressInUse":
        return "InUse"
      default:
        return "Failed"
    }
  })()
  return new ControlError({ path, reason, detail: Thrown.sentenceOf(cause) })
}

const uid = (): number => process.getuid?.() ?? -1

const unless = (kind: SystemError.SystemErrorKind) => (cause: unknown): undefined => {
  if (SystemError.kindOf(cause) !== kind) throw cause
}

/** What is at `file`, a link not followed, for the control socket at `path`; `undefined` when there is nothing. */
const lookAt = (file: string, path: string): Effect.Effect<Stats | undefined, ControlError> =>
  Effect.tryPromise({
    try: () => Fs.lstat(file).catch(unless("NotFound")),
    catch: (cause) => fromSystem(path, cause)
  })

const temporary = (): string => Path.join(Os.tmpdir(), `sluice-${uid()}`)

/**
 * The default path: `$XDG_RUNTIME_DIR/sluice.sock`, or `sluice-<uid>/sluice.sock` in the system's temporary directory
 * where there is no such variable, or it names no directory.
 *
 * Fails with `ForeignDirectory` when the runtime directory is there, but another user owns it or may write to it: that
 * user could put a socket there and answer in the host's place. `sudo` and `su` may leave another user's directory in
 * the environment.
 */
export const defaultPath: Effect.Effect<string, ControlError> = Effect.gen(function*() {
  const runtime = yield* Config.option(Config.String("XDG_RUNTIME_DIR")).pipe(Effect.orDie)
  const inTemporary = Path.join(temporary(), NAME)
  if (Option.isNone(runtime) || !Path.isAbsolute(runtime.value)) return inTemporary
  const path = Path.join(runtime.value, NAME)
  const stats = yield* Effect.orElseSucceed(lookAt(runtime.value, path), () => undefined)
  if (stats?.isDirectory() !== true) return inTemporary
  const unsafe = (detail: string) => new ControlError({ path, reason: "ForeignDirectory", detail })
  if (stats.uid !== uid()) {
    return yield* unsafe(`another user owns XDG_RUNTIME_DIR, ${runtime.value}, as after sudo or su; unset it`)
  }
  if ((stats.mode & OTHERS_WRITE) !== 0) {
    return yield* unsafe(`others may write to XDG_RUNTIME_DIR, ${runtime.value}; take that permission away`)
  }
  return path
})

/** Fails when something else than a socket is at the path: a connect to it would be refused as if nobody listened. */
export const checkSocket = Effect.fnUntraced(function*(path: string) {
  const there = yield* Effect.orElseSucceed(lookAt(path, path), () => undefined)
  if (there?.isFile() === true || there?.isDirectory() === true) {
    return yield* new ControlError({ path, reason: "NotASocket", detail: "it is something else" })
  }
})

/**
 * Checks whether a path can be a control socket, before anything is done there. `create` makes the directory of the
 * default path in the temporary directory, with mode 0700.
 */
export const check = Effect.fnUntraced(function*(path: string, options: { readonly create: boolean }) {
  const bytes = Buffer.byteLength(path)
  if (bytes === 0 || bytes > UnixSocketFile.LONGEST_PATH || path.includes("\0")) {
    const detail = `it must be 1 to ${UnixSocketFile.LONGEST_PATH} bytes long, and is ${bytes}`
    return yield* new ControlError({ path, reason: "InvalidPath", detail })
  }
  const directory = Path.dirname(path)
  const system = (cause: unknown) => fromSystem(path, cause)
  if (directory !== temporary()) {
    // a listen would call it a lack of permission
    if (options.create) yield* Effect.tryPromise({ try: () => Fs.access(directory), catch: system })
    return
  }
  if (options.create) {
    yield* Effect.tryPromise({
      try: () => Fs.mkdir(directory, { mode: 0o700 }).catch(unless("Exists")),
      catch: system
    })
  }
  const stats = yield* lookAt(directory, path)
  // nobody serves there
  if (stats === undefined) return
  const unsafe = (detail: string) => new ControlError({ path, reason: "ForeignDirectory", detail })
  if (!stats.isDirectory()) return yield* unsafe(`${directory} is not a directory`)
  if (stats.uid !== uid()) return yield* unsafe(`another user owns ${directory}`)
  // the socket may have been put there while the directory was open to others
  const socket = yield* lookAt(path, path)
  if (socket !== undefined && socket.uid !== uid()) return yield* unsafe(`another user owns ${path}`)
  if ((stats.mode & OTHERS) === 0) return
  if (!options.create) return yield* unsafe(`others may enter ${directory}`)
  yield* Effect.tryPromise({ try: () => Fs.chmod(directory, 0o700), catch: system })
})
