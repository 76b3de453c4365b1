/**
 * The file of a Unix socket: how a server comes by its path, and how it leaves it. Unix listeners and the control
 * socket take theirs here.
 *
 * A socket is bound in a directory of its own that nobody else may look into, given its permissions there, and linked
 * to its path only once it listens. So nobody connects before the permissions are set, whoever finds the file finds a
 * server that answers, and when two servers want the same path, the system lets one of them have it.
 *
 * ```
 * bind  dir/.sluice-XXXXXX/s-…      mode 0700 around it
 * chmod
 * link  dir/app.sock                fails if something is there: ask it, move it aside if nobody answers, try again
 * ```
 *
 * A file that is there already is asked: one that answers is in use. A socket at which nobody answers was left behind
 * by a program that is gone, and is moved aside. If what was moved is not the socket that was asked, since another
 * program has taken the path meanwhile, it is put back. What is not a socket is never touched.
 *
 * A file is removed only while it is the server's own, and before the server ends: as long as it answers, nobody takes
 * its file for one that was left behind.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { constVoid } from "effect/Function"
import * as Result from "effect/Result"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import * as SystemError from "../../domain/net/SystemError.ts"
import * as Thrown from "../../domain/report/Thrown.ts"

/** The most bytes that the path of a socket may have: the size of the system's `sun_path`, less the zero at its end. */
export const LONGEST_PATH = process.platform === "linux" ? 107 : 103

/** How many times a path is tried while others take and leave it. */
const TRIES = 10

/**
 * Why a path can't be had.
 *
 * - `InUse`: a server answers there.
 * - `NotASocket`: what is there is something else, and is left alone.
 * - `System`: the system has refused a step.
 */
export type UnixPathReason =
  | { readonly _tag: "InUse" }
  | { readonly _tag: "NotASocket" }
  | { readonly _tag: "System"; readonly cause: unknown }

export class UnixPathError extends Data.TaggedError("UnixPathError")<{
  readonly path: string
  readonly reason: UnixPathReason
}> {
  override get message(): string {
    const { path, reason } = this
    switch (reason._tag) {
      case "InUse":
        return `${path} is in use`
      case "NotASocket":
        return `${path} is not a socket`
      case "System":
        return `${path}: ${Thrown.sentenceOf(reason.cause)}`
    }
  }
}

/** A path that has been taken. */
export interface TakenPath {
  /** Removes the file, if it is still the server's own. To be called before the server closes; once is enough. */
  readonly leave: () => void
  /** The file is another process's from now on, which has the same socket: it is not removed. */
  readonly forget: () => void
  /** Whether a socket of a program that is gone was in the way. */
  readonly replaced: boolean
}

/** A directory next to the path that nobody else may look into. */
interface Den {
  readonly path: string
  readonly handle: number
}

type Step<A> = Effect.Effect<A, UnixPathReason>

const system = (cause: unknown): UnixPathReason => ({ _tag: "System", cause })

const attempt = <A>(step: () => A): Step<A> =>
  Effect.suspend(() => Effect.fromResult(Result.try({ try: step, catch: system })))

/** Whether the system has refused for one of these reasons, which another program at the same path may cause. */
const is = (...kinds: ReadonlyArray<SystemError.SystemErrorKind>) => (reason: UnixPathReason): boolean =>
  reason._tag === "System" && kinds.some((kind) => kind === SystemError.kindOf(reason.cause))

const openDen = (beside: string): Step<Den> =>
  attempt(() => Fs.mkdtempSync(Path.join(Path.dirname(beside), ".sluice-"))).pipe(
    Effect.flatMap((path) => Effect.map(attempt(() => Fs.openSync(path, "r")), (handle) => ({ path, handle })))
  )

const removeDen = ({ handle, path }: Den): void => {
  Fs.closeSync(handle)
  Fs.rmSync(path, { recursive: true, force: true })
}

const closeDen = (den: Den): Effect.Effect<void> => Effect.ignore(attempt(() => removeDen(den)))

/** A name in the directory, as short as a socket's address has to be. */
const inDen = ({ handle, path }: Den, name: string): string => {
  const whole = Path.join(path, name)
  return Buffer.byteLength(whole) <= LONGEST_PATH ? whole : `/proc/self/fd/${handle}/${name}`
}

const listen = (
  server: Net.Server,
  where: { readonly path: string } | { readonly fd: number },
  backlog: number | undefined
): Step<void> =>
  Effect.callback((resume) => {
    const onError = (error: Error): void => resume(Effect.fail(system(error)))
    server.once("error", onError)
    server.listen({ ...where, ...(backlog !== undefined && { backlog }) }, () => {
      server.off("error", onError)
      resume(Effect.void)
    })
  })

/** What becomes of a connect to the socket. */
const ask = (path: string): Step<"answers" | "left" | "gone"> =>
  Effect.callback((resume) => {
    const socket = Net.connect({ path })
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed("answers"))
    })
    socket.once("error", (error) => {
      switch (SystemError.kindOf(error)) {
        case "ConnectionRefused":
          return resume(Effect.succeed("left"))
        case "NotFound":
          return resume(Effect.succeed("gone"))
        // the socket's queue is full, or the socket is of another kind: somebody has it
        case "Busy":
        case "OtherSocketType":
          return resume(Effect.succeed("answers"))
        default:
          return resume(Effect.fail(system(error)))
      }
    })
    return Effect.sync(() => socket.destroy())
  })

const isSame = (one: Fs.BigIntStats, other: Fs.BigIntStats): boolean => one.ino === other.ino && one.dev === other.dev

const lookAt = (path: string): Fs.BigIntStats | undefined => Fs.lstatSync(path, { bigint: true, throwIfNoEntry: false })

const fail = (reason: UnixPathReason): Step<never> => Effect.fail(reason)

/** Removes a socket at which nobody answers; `false` when there was nothing to remove. */
const clear = Effect.fnUntraced(function*(path: string, den: Den): Effect.fn.Return<boolean, UnixPathReason> {
  const asked = yield* attempt(() => lookAt(path))
  if (asked === undefined) return false
  if (!asked.isSocket()) return yield* fail({ _tag: "NotASocket" })
  if ((yield* ask(path)) === "answers") return yield* fail({ _tag: "InUse" })
  const aside = Path.join(den.path, "aside")
  return yield* attempt(() => {
    // in one go: another program that wants the path may have taken it meanwhile
    const now = lookAt(path)
    if (now === undefined || !isSame(now, asked) || now.ctimeNs !== asked.ctimeNs) return false
    Fs.renameSync(path, aside)
    const wasAsked = isSame(Fs.lstatSync(aside, { bigint: true }), asked)
    if (!wasAsked) Fs.linkSync(aside, path)
    Fs.unlinkSync(aside)
    return wasAsked
  }).pipe(Effect.catchIf(is("NotFound", "Exists"), () => Effect.succeed(false)))
})

/** Links the socket to its path; `false` when something is there. */
const link = (born: string, path: string): Step<boolean> =>
  attempt(() => Fs.linkSync(born, path)).pipe(
    Effect.as(true),
    Effect.catchIf(is("Exists"), () => Effect.succeed(false))
  )

const takeIn = Effect.fnUntraced(function*(
  den: Den,
  server: Net.Server,
  file: string,
  options: { readonly mode: number; readonly backlog?: number | undefined }
): Effect.fn.Return<TakenPath, UnixPathReason> {
  // when the server closes, Node removes the file of this name, wherever it may lead by then: nobody else uses that
  // name
  const born = inDen(den, `s-${Path.basename(den.path)}`)
  yield* listen(server, { path: born }, options.backlog)
  const own = yield* attempt(() => {
    Fs.chmodSync(born, options.mode)
    return Fs.lstatSync(born, { bigint: true })
  })
  let replaced = false
  for (let tries = 0; !(yield* link(born, file)); tries++) {
    if (tries === TRIES) return yield* fail({ _tag: "InUse" })
    replaced = (yield* clear(file, den)) || replaced
  }
  return { ...owned(file, own), replaced }
})

/** A file that is the server's own as long as it is this one, and nobody else has been given it. */
const owned = (file: string, own: Fs.BigIntStats): Pick<TakenPath, "leave" | "forget"> => {
  let isOwn = true
  return {
    leave: () => {
      if (!isOwn) return
      isOwn = false
      // a file that can't be removed is taken over by the next server that wants the path
      Result.try(() => {
        const there = lookAt(file)
        if (there !== undefined && isSame(there, own)) Fs.unlinkSync(file)
      })
    },
    forget: () => void (isOwn = false)
  }
}

/**
 * Has the server listen at the path. After a failure the server may be listening without a path, and is to be closed.
 *
 * `mode` is that of the file, whatever the process's mask; `backlog` is the number of connections that the kernel keeps
 * until they are accepted.
 */
export const take = (
  server: Net.Server,
  path: string,
  options: { readonly mode: number; readonly backlog?: number | undefined }
): Effect.Effect<TakenPath, UnixPathError> => {
  // the file stays where it is, whatever the process takes for its directory later
  const file = Path.resolve(path)
  return Effect.acquireUseRelease(openDen(file), (den) => takeIn(den, server, file, options), closeDen).pipe(
    Effect.mapError((reason) => new UnixPathError({ path, reason }))
  )
}

/**
 * Has the server listen on a socket that has its file at the path already, and was made by another program: that file is
 * the other program's, and stays; or it is the server's from now on, with `owns`.
 */
export const adopt = (
  server: Net.Server,
  path: string,
  options: { readonly descriptor: number; readonly backlog?: number | undefined; readonly owns: boolean }
): Effect.Effect<TakenPath, UnixPathError> => {
  const file = Path.resolve(path)
  const there = options.owns ? lookAt(file) : undefined
  const taken = there === undefined ? { leave: constVoid, forget: constVoid } : owned(file, there)
  return listen(server, { fd: options.descriptor }, options.backlog).pipe(
    Effect.as({ ...taken, replaced: false }),
    Effect.mapError((reason) => new UnixPathError({ path, reason }))
  )
}

/** A socket that listens out of sight, for a path that another server still has. */
export interface WaitingPath extends Pick<TakenPath, "leave"> {
  /** Where it waits; absolute. Whoever moves it to its path hands the path over in one step: {@link moveTo}. */
  readonly born: string
  /** Moves it to its path, if nobody has done so. */
  readonly settle: () => void
}

/** Moves a socket that waits to its path, in place of the one that is there. Throws what the system says. */
export const moveTo = (born: string, path: string): void => Fs.renameSync(born, path)

/** Has the server listen out of sight, in the directory of the path. `mode` is that of the file. */
export const wait = (
  server: Net.Server,
  path: string,
  options: { readonly mode: number }
): Effect.Effect<WaitingPath, UnixPathError> => {
  const file = Path.resolve(path)
  return openDen(file).pipe(
    Effect.flatMap((den) =>
      Effect.gen(function*() {
        const name = `s-${Path.basename(den.path)}`
        yield* listen(server, { path: inDen(den, name) }, undefined)
        const born = Path.join(den.path, name)
        const own = yield* attempt(() => {
          Fs.chmodSync(born, options.mode)
          return Fs.lstatSync(born, { bigint: true })
        })
        let isThere = true
        const close = (): void => {
          if (!isThere) return
          isThere = false
          Result.try(() => removeDen(den))
        }
        const { leave } = owned(file, own)
        return {
          born,
          settle: () => {
            Result.try(() => moveTo(born, file))
            close()
          },
          leave: () => {
            leave()
            close()
          }
        }
      }).pipe(Effect.onError(() => closeDen(den)))
    ),
    Effect.mapError((reason) => new UnixPathError({ path, reason }))
  )
}
