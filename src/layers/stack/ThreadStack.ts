/**
 * Where the JavaScript of a thread is, seen from outside, by the inspector's worker domain: the thread is paused between
 * two of its instructions, also in a loop without an end, its frames are read, and it goes on.
 *
 * ```
 * enable ─ pause ┬─ paused: the frames are read ─ resume ─ disable ─ acknowledged: the session ends
 *                └─ no answer in time ─────────────────── disable ─ acknowledged, or the thread is gone: the session ends
 * ```
 *
 * **Why the session outlives the answer** A thread in native code takes the messages once it is back in JavaScript. If the
 * session were gone by then, nothing would end the pause that it finds first, and not even `terminate` ends a thread that
 * is paused. So the session ends when the thread has said that its debugger is off, or is gone.
 *
 * Other threads are let go of as soon as the inspector has found them.
 */
import * as Effect from "effect/Effect"
import type * as Inspector from "node:inspector"
import { SourceMap, type SourceMapPayload } from "node:module"
import type { CodePlace, UnplacedReason, Whereabouts } from "../../domain/report/Whereabouts.ts"
import type { Thread } from "../../domain/state/Silence.ts"
import * as SourceFiles from "./SourceFiles.ts"

type InspectorModule = typeof Inspector

/** Milliseconds within which a thread has to answer, not counting those in which it gets no processor. */
const WITHIN = 1000

/** Milliseconds between two looks whether they are over, and how many looks there are at the most. */
const LOOK = 50
const LOOKS = 200

const ENABLE = 1
const PAUSE = 2
const RESUME = 3
const DISABLE = 4

/** What the inspector says of a frame, and of a script. */
interface CallFrame {
  readonly functionName: string
  readonly url: string
  readonly location: { readonly scriptId: string; readonly lineNumber: number; readonly columnNumber?: number }
}
interface Script {
  readonly url: string
  readonly sourceMapURL: string
}

/** A frame of the thread, and the script that it is in. */
interface Found {
  readonly frame: CallFrame
  readonly script: Script
}

type Message =
  | { readonly id: number }
  | { readonly method: "Debugger.paused"; readonly params: { readonly callFrames: ReadonlyArray<CallFrame> } }
  | {
    readonly method: "Debugger.scriptParsed"
    readonly params: { readonly scriptId: string; readonly url: string; readonly sourceMapURL?: string }
  }
  | { readonly method: "" }

/** The frame that says most: of the application, rather than of what it uses or of Node. */
const telling = (frames: ReadonlyArray<Found>): Found | undefined => {
  const files = frames.filter(({ script: { url } }) => url !== "" && !url.startsWith("node:"))
  return files.find(({ script: { url } }) => !url.includes("/node_modules/")) ?? files[0] ?? frames[0]
}

/** One look at a thread, until its debugger is off again. */
class Visit {
  readonly #session: Inspector.Session
  readonly #title: string
  readonly #scripts = new Map<string, Script>()
  readonly #answer: (answer: Found | UnplacedReason) => void
  #thread: string | undefined
  #isOver = false

  constructor(inspector: InspectorModule, threadId: number, answer: (answer: Found | UnplacedReason) => void) {
    this.#title = `[worker ${threadId}]`
    this.#answer = answer
    this.#session = new inspector.Session()
    this.#session.connect()
    this.#session.on("NodeWorker.attachedToWorker", ({ params }) => this.#attached(params))
    this.#session.on("NodeWorker.detachedFromWorker", ({ params }) => {
      if (params.sessionId === this.#thread) this.#end("no-answer")
    })
    this.#session.on("NodeWorker.receivedMessageFromWorker", ({ params }) => {
      if (params.sessionId === this.#thread) this.#received(JSON.parse(params.message))
    })
    this.#session.post("NodeWorker.enable", { waitForDebuggerOnStart: false }, () => {
      if (this.#thread === undefined) this.#end("no-answer")
    })
  }

  /** The time is over: the thread's debugger is to be off when it comes to it. */
  giveUp(): void {
    if (!this.#isOver) this.#send(DISABLE, "Debugger.disable")
  }

  #attached({ sessionId, workerInfo }: Inspector.NodeWorker.AttachedToWorkerEventDataType): void {
    if (!workerInfo.title.startsWith(this.#title)) return this.#session.post("NodeWorker.detach", { sessionId })
    this.#thread = sessionId
    this.#send(ENABLE, "Debugger.enable")
    this.#send(PAUSE, "Debugger.pause")
  }

  #received(message: Message): void {
    if ("id" in message) {
      if (message.id === DISABLE) this.#end("no-answer")
    } else if (message.method === "Debugger.scriptParsed") {
      const { scriptId, sourceMapURL = "", url } = message.params
      this.#scripts.set(scriptId, { url, sourceMapURL })
    } else if (message.method === "Debugger.paused") {
      const frames = message.params.callFrames.map((frame): Found => ({
        frame,
        script: this.#scripts.get(frame.location.scriptId) ?? { url: frame.url, sourceMapURL: "" }
      }))
      this.#answer(telling(frames) ?? "no-answer")
      this.#send(RESUME, "Debugger.resume")
      this.#send(DISABLE, "Debugger.disable")
    }
  }

  #send(id: number, method: string): void {
    if (this.#thread === undefined) return
    const message = JSON.stringify({ id, method, params: {} })
    this.#session.post("NodeWorker.sendMessageToWorker", { sessionId: this.#thread, message })
  }

  /** Nothing is left of it in the thread. */
  #end(unless: UnplacedReason): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#session.disconnect()
    this.#answer(unless)
  }
}

const unplaced = (reason: UnplacedReason): Whereabouts => ({ place: null, unplaced: reason })

/** Where it is in the sources that the script was made of. */
const placeOf = ({ frame: { functionName, location }, script }: Found): Effect.Effect<CodePlace> => {
  const { columnNumber = 0, lineNumber } = location
  const name = functionName === "" ? "(anonymous)" : functionName
  const plain: CodePlace = {
    functionName: name,
    file: SourceFiles.pathOf(script.url),
    line: lineNumber + 1,
    column: columnNumber + 1
  }
  return SourceFiles.mapOf(script).pipe(
    Effect.map((payload) => mapped(payload, plain, script.url)),
    Effect.orElseSucceed(() => plain)
  )
}

const mapped = (payload: SourceMapPayload | undefined, plain: CodePlace, url: string): CodePlace => {
  if (payload === undefined) return plain
  const entry = new SourceMap(payload).findEntry(plain.line - 1, plain.column - 1)
  if (!("originalSource" in entry)) return plain
  return {
    ...plain,
    file: SourceFiles.pathOf(SourceFiles.resolve(entry.originalSource, url)),
    line: entry.originalLine + 1,
    column: entry.originalColumn + 1
  }
}

/** Waits for as long as the thread has to answer. */
const patience = Effect.fnUntraced(function*(thread: Thread, within: number) {
  let { away } = thread
  for (let looks = 0, left = within; left > 0 && looks < LOOKS; looks++) {
    yield* Effect.sleep(LOOK)
    const now = thread.away
    left -= Math.max(0, LOOK - (now - away))
    away = now
  }
})

const find = (
  inspector: InspectorModule,
  thread: LocatedThread,
  within: number
): Effect.Effect<Found | UnplacedReason> =>
  Effect.callback<Found | UnplacedReason>((resume) => {
    const visit = new Visit(inspector, thread.threadId, (answer) => resume(Effect.succeed(answer)))
    return Effect.sync(() => visit.giveUp())
  }).pipe(
    Effect.raceFirst(Effect.as(patience(thread, within), "no-answer" as const)),
    // without the permission to use it, a session can't be made
    Effect.catchDefect(() => Effect.succeed("no-inspector" as const))
  )

/** A thread: its number, and for how long it has had nothing to do, or no processor. */
export interface LocatedThread extends Thread {
  readonly threadId: number
}

/**
 * Where the JavaScript of a thread is. It takes some 50 ms, and no more than `within` milliseconds and what reading a source
 * map takes.
 */
export const locate = (thread: LocatedThread, within = WITHIN): Effect.Effect<Whereabouts> =>
  Effect.tryPromise(() => import("node:inspector")).pipe(
    Effect.flatMap((inspector) =>
      inspector.url() === undefined ? find(inspector, thread, within) : Effect.succeed("inspector-in-use" as const)
    ),
    Effect.orElseSucceed(() => "no-inspector" as const),
    Effect.flatMap((found) =>
      typeof found === "string"
        ? Effect.succeed(unplaced(found))
        : Effect.map(placeOf(found), (place): Whereabouts => ({ place, unplaced: null }))
    )
  )
