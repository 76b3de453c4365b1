import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { MessageChannel } from "node:worker_threads"
import * as Inbox from "../../../src/domain/memory/Inbox.ts"
import { defaults } from "../../../src/domain/options/Options.ts"
import * as Ledger from "../../../src/domain/state/Ledger.ts"
import * as Bells from "../../../src/layers/stack/Bells.ts"
import * as WorkerStack from "../../../src/layers/stack/WorkerStack.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import type { LinkBell } from "../../../src/services/Attachment.ts"
import { Congestion } from "../../../src/services/Congestion.ts"
import { MessageQueue } from "../../../src/services/MessageQueue.ts"
import type { WorkerInfo } from "../../../src/services/Sessions.ts"
import { worker } from "../../support/SessionPair.ts"
import { settled, until } from "../../support/until.ts"

/** The services of a worker that runs, and how a link is handed over to it. */
const make = Effect.fnUntraced(function*(kind: WorkerInfo["kind"]) {
  const stack = Context.get(yield* Layer.build(WorkerStack.layerDefault), WorkerStack.WorkerStack)
  const services = yield* stack.build({
    info: { ...worker, kind },
    app: { ...defaults, name: "app" },
    endpoints: [],
    module: AppWorker.fromUrl(new URL("../../fixtures/echo.ts", import.meta.url)),
    ledger: new Ledger.Messages()
  })
  const congestion = Context.get(services, Congestion)
  const { toWorker } = Context.get(services, MessageQueue)
  yield* Context.get(services, AppWorker.AppWorker).ready
  return {
    congestion,
    inbox: Context.get(services, MessageQueue).inbox,
    send: (bell: LinkBell) =>
      congestion.send({
        message: { _tag: "addLink", link: 4 },
        attachment: { _tag: "Link", link: { number: 4, inbox: new SharedArrayBuffer(Inbox.INBOX_BYTES), bell } }
      }),
    taken: until("the worker has taken it", () => toWorker.depth === 0)
  }
})

describe("WorkerStack", () => {
  it.live("W16 each worker has an inbox of its own", () =>
    Effect.gen(function*() {
      const inboxes = [(yield* make("thread")).inbox, (yield* make("in-process")).inbox]
      assert.deepStrictEqual(inboxes.map((inbox) => inbox.byteLength), [Inbox.INBOX_BYTES, Inbox.INBOX_BYTES])
      assert.notStrictEqual(inboxes[0], inboxes[1])
    }).pipe(Effect.scoped))

  it.live("M5 W16 a link is handed over to a thread with its message, and the port goes with it", () =>
    Effect.gen(function*() {
      const { send, taken } = yield* make("thread")
      const { port1, port2 } = new MessageChannel()
      assert.strictEqual(send(port1), "delivered")
      let closed = false
      port2.on("close", () => void (closed = true))
      yield* taken
      // it is the thread's now
      port1.close()
      yield* settled
      assert.isFalse(closed)
      port2.close()
    }).pipe(Effect.scoped))

  it.live("M5 W16 a link whose other end has gone meanwhile costs the thread nothing", () =>
    Effect.gen(function*() {
      const { congestion, send, taken } = yield* make("thread")
      const { port1 } = new MessageChannel()
      port1.close()
      assert.strictEqual(send(port1), "delivered")
      yield* taken
      assert.isFalse(congestion.congested())
    }).pipe(Effect.scoped))

  it.live("M5 W20 a thread that is given a link which it can't hold is given up", () =>
    Effect.gen(function*() {
      const { congestion, send } = yield* make("thread")
      assert.strictEqual(send(Bells.pairUnsafe()[0]), "released")
      const gone = yield* Effect.flip(congestion.unresponsive)
      assert.strictEqual(gone.reason, "hand-over-failed")
    }).pipe(Effect.scoped))

  it.live("W12 a port that an in-process worker was given, taken by it or not, is closed with it", () =>
    Effect.gen(function*() {
      for (const held of [true, false]) {
        const { port1, port2 } = new MessageChannel()
        let closed = false
        port2.on("close", () => void (closed = true))
        yield* Effect.gen(function*() {
          const { send, taken } = yield* make("in-process")
          send(port1)
          if (held) yield* taken
        }).pipe(Effect.scoped)
        yield* until("the other end is closed", () => closed)
      }
    }))
})
