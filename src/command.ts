/**
 * The `sluice` command on a Node that is new enough: `main.ts` imports it once it knows that.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as Stdio from "effect/Stdio"
import { setSourceMapsSupport } from "node:module"
import * as SystemError from "./domain/net/SystemError.ts"
import * as Sluice from "./layers/cli/Sluice.ts"

// the errors of an application on the host's own loop name the lines of its sources, too
setSourceMapsSupport(true)

/** Only the commands that serve have a host: the others don't wait for its modules. */
const host = Layer.unwrap(Effect.map(Effect.promise(() => import("./layers/Host.ts")), (Host) => Host.layerTakeover))

const main = Effect.flatMap(Stdio.Stdio, ({ args }) => args).pipe(
  Effect.flatMap(Sluice.run(host)),
  Effect.provide(NodeServices.layer)
)

// Whoever read it may be gone, a pager or a log's collector: then a line is lost, and nothing else.
process.stderr.on("error", () => {})

/** Why what was asked for could not be written, by a disk that is full, say; a reader that has gone has read enough. */
let unwritten: Error | undefined
process.stdout.on("error", (error) => {
  if (unwritten !== undefined || SystemError.kindOf(error) === "PeerClosed") return
  unwritten = error
  process.stderr.write(`sluice: the output was not written: ${error.message}\n`)
})

// The serving command handles signals itself. The exit waits for stdout: what is still in a pipe would be lost.
const runMain = Runtime.makeRunMain(({ fiber, teardown }) =>
  fiber.addObserver((exit) =>
    teardown(exit, (code) =>
      process.stdout.write("", () =>
        // an error is told in a later turn
        setImmediate(() => process.exit(code === 0 && unwritten !== undefined ? Sluice.FAILURE : code))))
  )
)

runMain(main, { teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) ? Number(exit.value) : Sluice.FAILURE) })
