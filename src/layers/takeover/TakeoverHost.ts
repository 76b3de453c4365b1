/**
 * Takeover for a host (X4): the host that runs can have another one follow it, and where it was started to follow
 * another one, it does. The two sides are {@link PredecessorSide} and {@link SuccessorSide}; a host may be the one after
 * it has been the other.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { FormerHost } from "../../domain/report/FormerHost.ts"
import * as Thrown from "../../domain/report/Thrown.ts"
import * as TakeoverState from "../../domain/state/TakeoverState.ts"
import * as TakeoverMessage from "../../domain/takeover/TakeoverMessage.ts"
import { SessionRules } from "../../services/SessionRules.ts"
import { Succession } from "../../services/Succession.ts"
import { type SuccessorCommand, type TakenOver, Takeover, TakeoverError } from "../../services/Takeover.ts"
import { Inherited } from "../system/InheritedSockets.ts"
import * as SocketActivation from "../system/SocketActivation.ts"
import { PredecessorSide } from "./PredecessorSide.ts"
import { SuccessorSide } from "./SuccessorSide.ts"

/** The most hosts that are there at once: the one that serves, and those before it that have not ended yet. */
const MOST_HOSTS = 4
/** Milliseconds that a successor has besides the time that the workers have for their start. */
const START_TIME = 30_000
/** The number of the first descriptor of a listener in a successor: those before are its streams and the channel. */
const FIRST_DESCRIPTOR = 4

// as this process was started: what the program changes later is not for its successor
const own = {
  node: process.execPath,
  flags: process.execArgv,
  args: process.argv.slice(1),
  directory: process.cwd(),
  environment: { ...process.env }
}

const failed = (reason: TakeoverError["reason"], detail: string) => new TakeoverError({ reason, detail })

const shuttingDown = failed("Draining", "this host is shutting down")

/** Why another host can't follow before one of these has ended. */
const tooMany = (hosts: ReadonlyArray<FormerHost>): TakeoverError | undefined => {
  if (hosts.length < MOST_HOSTS - 1) return undefined
  const each = hosts.map(({ endsWithinMillis, pid, sessions }) =>
    `process ${pid} has ${sessions} ${sessions === 1 ? "session" : "sessions"} left and ends within ${
      Math.ceil(endsWithinMillis / 1000)
    } s`
  )
  return failed("TooMany", `${hosts.length} hosts before this one have not ended yet: ${each.join(", ")}`)
}

interface PermissionProcess {
  readonly permission?: { readonly has: (scope: string) => boolean }
}

/** What keeps this process from starting another one. */
const notPermitted = (): boolean => {
  const { permission } = process as PermissionProcess
  return permission !== undefined && !permission.has("child")
}

/** Starts a successor's process, with the descriptors of the listeners in the order in which its birth names them. */
const spawn = (command: SuccessorCommand, birth: TakeoverMessage.Birth, descriptors: ReadonlyArray<number>) => {
  const {
    args = own.args,
    directory = own.directory,
    environment = own.environment,
    flags = own.flags,
    node = own.node
  } = command
  const env: NodeJS.ProcessEnv = { ...environment, [TakeoverMessage.VARIABLE]: TakeoverMessage.encodeBirth(birth) }
  for (const variable of SocketActivation.VARIABLES) delete env[variable]
  return ChildProcess.spawn(node, [...flags, ...args], {
    cwd: directory,
    detached: true,
    env,
    stdio: ["ignore", "inherit", "inherit", "ipc", ...descriptors],
    serialization: "json"
  })
}

const make = (before: SuccessorSide | undefined) =>
  Effect.gen(function*() {
    const succession = yield* Succession
    const rules = yield* SessionRules
    const runFork = yield* FiberSet.makeRuntime<never, void, never>()
    const run = (effect: Effect.Effect<void>): void => void runFork(effect)
    const over = Deferred.makeUnsafe<TakenOver>()
    let ends = false
    let control: string | undefined
    let after: PredecessorSide | undefined

    const underWay = (): TakeoverError | undefined => {
      if (ends) return shuttingDown
      if (after !== undefined && TakeoverState.hasSettled(after.state)) {
        return failed("UnderWay", `process ${after.pid} has taken over from this one, process ${process.pid}`)
      }
      if (after !== undefined && after.state !== "ENDED") {
        return failed("UnderWay", `process ${after.pid} is taking over already`)
      }
      const comes = before !== undefined && before.state !== "SETTLED" && before.state !== "ALONE"
      return comes
        ? failed("UnderWay", `this host, process ${process.pid}, is taking over itself`)
        : undefined
    }

    const begin = (command: SuccessorCommand): Effect.Effect<PredecessorSide, TakeoverError> =>
      Effect.suspend(() => {
        if (notPermitted()) {
          return Effect.fail(failed(
            "NotPermitted",
            "this host may not start another process; start it with --allow-child-process besides --permission"
          ))
        }
        const refused = underWay() ?? tooMany(succession.hosts().slice(1))
        if (refused !== undefined) return Effect.fail(refused)
        const { directory = own.directory } = command
        if (!Fs.existsSync(directory)) {
          return Effect.fail(failed("NotStarted", `the directory to run in is not there any more: ${directory}`))
        }
        const listeners = succession.listeners()
        const unknown = listeners.find(({ descriptor }) => descriptor < 0)
        if (unknown !== undefined) {
          return Effect.fail(failed("NoDescriptor", `the socket of ${unknown.bound} can't be handed on`))
        }
        const birth = {
          protocol: TakeoverMessage.PROTOCOL,
          pid: process.pid,
          ...(control === undefined ? {} : { control }),
          lineage: succession.lineage(),
          workers: succession.workers(),
          listeners: listeners.map((listener, index) => ({ ...listener, descriptor: FIRST_DESCRIPTOR + index }))
        }
        return Effect.map(
          Effect.try({
            try: () => spawn(command, birth, listeners.map(({ descriptor }) => descriptor)),
            catch: (cause) => failed("NotStarted", Thrown.sentenceOf(cause))
          }),
          (child) =>
            after = new PredecessorSide(child, {
              succession,
              rules,
              control,
              startTime: START_TIME + succession.startTime(),
              run,
              settled: () => before?.followed()
            })
        )
      })

    const upgrade = (command: SuccessorCommand = {}): Effect.Effect<TakenOver, TakeoverError> =>
      Effect.flatMap(begin(command), (side) =>
        Deferred.await(side.result).pipe(
          Effect.tap((taken) => Deferred.succeed(over, taken)),
          Effect.onInterrupt(() => Effect.sync(() => side.abandon(failed("Gone", "it was given up"))))
        ))

    // a host that is to end is not followed
    yield* succession.ends.pipe(
      Effect.andThen(Effect.sync(() => {
        ends = true
        after?.abandon(shuttingDown)
      })),
      Effect.forkScoped
    )
    // what is under way when the host is gone is given up; a host that was taken over tells its last counts
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        after?.abandon(shuttingDown)
        return after?.finish ?? Effect.void
      })
    )

    return Takeover.of({
      upgrade,
      follows: before !== undefined,
      over: Deferred.await(over),
      up: before === undefined ? Effect.void : before.up({ succession, rules, run }),
      failed: (why) => Effect.sync(() => before?.failed(why)),
      control: (path) => {
        control = Path.resolve(path)
        return before?.control(path)
      }
    })
  })

/**
 * A host with {@link Takeover}: where its process was started to follow another host, it gets the sockets of that one.
 */
export const layer = <Out, E, In>(
  host: Layer.Layer<Out | Succession | SessionRules, E, In>
): Layer.Layer<Out | Succession | SessionRules | Takeover, E | TakeoverError, In> =>
  Layer.unwrap(Effect.gen(function*() {
    const inherited = yield* Inherited
    const descent = yield* Effect.mapError(
      Effect.fromResult(inherited.descent),
      (detail) => new TakeoverError({ reason: "Nonsense", detail })
    )
    const side = descent === undefined ? undefined : new SuccessorSide(inherited, descent)
    return Layer.provideMerge(Layer.effect(Takeover, make(side)), host)
  }))
