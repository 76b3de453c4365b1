/**
 * The file of a Unix socket: how a listener comes by its path, and how it leaves it.
 *
 * A socket is bound in a directory of its own that nobody else may look into, given its permissions there, and only when
 * it listens linked to its path. So nobody connects before the permissions are set, whoever finds the file finds
 * somebody who answers, and of two that want the same path the system lets one have it.
 *
 * A file that is there already is asked: one that answers is in use. A socket that nobody answers was left behind by a
 * program that is gone, and is moved aside. If it is then not the one that was asked, since another program has taken
 * the path meanwhile, it is put back. What is no socket is never touched.
 *
 * A file is removed only while it is the listener's own, and before the listener ends: as long as it answers nobody
 * takes it for one that was left behind.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"

/** Bytes of a path that the system's address of a socket has room for. */
const ROOM = 107

/** Times that a path which others take and leave is tried. */
const TRIES = 10

/** Why a path can't be had: an error of the system, or what stands there. */
export type Fault = NodeJS.ErrnoException | { readonly code: "InUse" | "NoSocket" }

/** A directory that nobody else may look into, beside the path. */
interface Den {
  readonly path: string
  readonly handle: number
}

const attempt = <A>(step: () => A): Effect.Effect<A, NodeJS.ErrnoException> =>
  Effect.suspend(() => Effect.fromResult(Result.try({ try: step, catch: (error) => error as NodeJS.ErrnoException })))

const openDen = (beside: string): Effect.Effect<Den, NodeJS.ErrnoException> =>
  attempt(() => Fs.mkdtempSync(Path.join(Path.dirname(beside), ".sluice-"))).pipe(
    Effect.flatMap((path) => Effect.map(attempt(() => Fs.openSync(path, "r")), (handle) => ({ path, handle })))
  )

const closeDen = ({ handle, path }: Den): Effect.Effect<void> =>
  attempt(() => {
    Fs.closeSync(handle)
    Fs.rmSync(path, { recursive: true, force: true })
  }).pipe(Effect.ignore)

/** A name in the directory, as short as an address of a socket has to be. */
const inDen = ({ handle, path }: Den, name: string): string => {
  const whole = Path.join(path, name)
  return Buffer.byteLength(whole) <= ROOM ? whole : `/proc/self/fd/${handle}/${name}`
}

const listen = (server: Net.Server, path: string, backlog: number): Effect.Effect<void, NodeJS.ErrnoException> =>
  Effect.callback((resume) => {
    const onError = (error: NodeJS.ErrnoException): void => resume(Effect.fail(error))
    server.once("error", onError)
    server.listen({ path, backlog }, () => {
      server.off("error", onError)
      resume(Effect.void)
    })
  })

/** What becomes of a connect to the socket. */
const ask = (path: string): Effect.Effect<"answers" | "left" | "gone", NodeJS.ErrnoException> =>
  Effect.callback((resume) => {
    const socket = Net.connect({ path })
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed("answers"))
    })
    socket.once("error", (error: NodeJS.ErrnoException) => {
      switch (error.code) {
        case "ECONNREFUSED":
          return resume(Effect.succeed("left"))
        case "ENOENT":
          return resume(Effect.succeed("gone"))
        // its queue is full, or it is of another kind: somebody has it
        case "EAGAIN":
        case "EPROTOTYPE":
          return resume(Effect.succeed("answers"))
        default:
          return resume(Effect.fail(error))
      }
    })
    return Effect.sync(() => socket.destroy())
  })

const isSame = (one: Fs.BigIntStats, other: Fs.BigIntStats): boolean => one.ino === other.ino && one.dev === other.dev

/** Removes a socket that nobody answers. */
const clear = Effect.fnUntraced(function*(path: string, den: Den): Effect.fn.Return<void, Fault> {
  const look = () => Fs.lstatSync(path, { bigint: true, throwIfNoEntry: false })
  const asked = yield* attempt(look)
  if (asked === undefined) return
  if (!asked.isSocket()) return yield* Effect.fail<Fault>({ code: "NoSocket" })
  if ((yield* ask(path)) === "answers") return yield* Effect.fail<Fault>({ code: "InUse" })
  const aside = Path.join(den.path, "aside")
  yield* attempt(() => {
    // in one go: another program that wants the path may have taken it meanwhile
    const now = look()
    if (now === undefined || !isSame(now, asked) || now.ctimeNs !== asked.ctimeNs) return
    Fs.renameSync(path, aside)
    if (!isSame(Fs.lstatSync(aside, { bigint: true }), asked)) Fs.linkSync(aside, path)
    Fs.unlinkSync(aside)
  }).pipe(Effect.catchIf(({ code }) => code === "ENOENT" || code === "EEXIST", () => Effect.void))
})

/** Links the socket to its path; `false` when something is there. */
const link = (born: string, path: string): Effect.Effect<boolean, NodeJS.ErrnoException> =>
  attempt(() => Fs.linkSync(born, path)).pipe(
    Effect.as(true),
    Effect.catchIf(({ code }) => code === "EEXIST", () => Effect.succeed(false))
  )

/** Lets the server listen at the path; answers how to leave it. */
export const take = (
  server: Net.Server,
  path: string,
  options: { readonly mode: number; readonly backlog: number }
): Effect.Effect<() => void, Fault> => {
  // the file stays where it is, whatever the process takes for its directory later
  const file = Path.resolve(path)
  return Effect.acquireUseRelease(
    openDen(file),
    Effect.fnUntraced(function*(den) {
      // when the server closes, Node removes the file of this name, wherever it may lead by then: nobody else has it
      const born = inDen(den, `s-${Path.basename(den.path)}`)
      yield* listen(server, born, options.backlog)
      const own = yield* attempt(() => {
        Fs.chmodSync(born, options.mode)
        return Fs.lstatSync(born, { bigint: true })
      })
      for (let tries = 0; !(yield* link(born, file)); tries++) {
        if (tries === TRIES) return yield* Effect.fail<Fault>({ code: "InUse" })
        yield* clear(path, den)
      }
      return () => {
        const there = Fs.lstatSync(file, { bigint: true, throwIfNoEntry: false })
        if (there !== undefined && isSame(there, own)) Fs.unlinkSync(file)
      }
    }),
    closeDen
  )
}
