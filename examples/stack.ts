// A host whose message queues count their messages, and whose workers share a quota of memory for their sessions.
import { NodeRuntime } from "@effect/platform-node"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AppWorker, Host, SessionLayer } from "sluice"
import { MessageQueue, MessageQueueSegment, QueueMemory, SegmentManager, SegmentManagerMemory } from "sluice/stack"
import { WorkerStack } from "sluice/stack"

/** Messages to all workers. */
export class Counts extends Context.Service<Counts, { enqueued: number; refused: number }>()("example/Counts") {}

/** The default message queue, counted: it wraps what writes to the worker's queue. */
const messageQueue = Layer.effect(
  MessageQueue.MessageQueue,
  Effect.gen(function*() {
    const counts = yield* Counts
    const queue = yield* MessageQueue.MessageQueue
    const count = (result: QueueMemory.EnqueueResult) => {
      if (result === QueueMemory.Enqueued) counts.enqueued++
      else counts.refused++
      return result
    }
    return {
      ...queue,
      takeWriter: () => {
        const writer = queue.takeWriter()
        return {
          io: (...event) => count(writer.io(...event)),
          control: (...message) => count(writer.control(...message))
        }
      }
    }
  })
).pipe(Layer.provide(MessageQueueSegment.layer))

/** Bytes of session memory that all workers may still take, and the functions to call when some have come free. */
export class Quota extends Context.Service<Quota, { bytes: number; readonly waiting: Set<() => void> }>()(
  "example/Quota"
) {}

/** The default segment manager, within the quota: it wraps the managers that sessions take their memory from. */
const segmentManager = Layer.effect(
  SegmentManager.SegmentManager,
  Effect.gen(function*() {
    const quota = yield* Quota
    const segments = yield* SegmentManager.SegmentManager
    const managers = new Map<SegmentManager.Manager, SegmentManager.Manager>()
    const sizes = new Map<string, number>()
    let available = () => {}
    yield* Effect.addFinalizer(() => Effect.sync(() => sizes.forEach((bytes) => quota.bytes += bytes)))

    const limited = (manager: SegmentManager.Manager): SegmentManager.Manager => {
      const giveBack = ({ offset, segment }: { readonly offset: number; readonly segment: number }) => {
        quota.bytes += sizes.get(`${segment}/${offset}`)!
        sizes.delete(`${segment}/${offset}`)
      }
      return {
        index: manager.index,
        view: manager.view,
        get growing() {
          return manager.growing
        },
        allocate: (bytes, held) => {
          if (bytes > quota.bytes) return void quota.waiting.add(available)
          const place = manager.allocate(bytes, held)
          if (place === undefined) return undefined
          sizes.set(`${place.segment}/${place.offset}`, bytes)
          quota.bytes -= bytes
          return place
        },
        free: (place) => {
          giveBack(place)
          manager.free(place)
          // never called from inside a free
          for (const tell of quota.waiting) queueMicrotask(tell)
          quota.waiting.clear()
        },
        untake: (place) => {
          giveBack(place)
          manager.untake(place)
        }
      }
    }
    return {
      ...segments,
      connect: (events) => {
        available = events.available
        segments.connect(events)
      },
      acquire: (user) => {
        const manager = segments.acquire(user)
        const known = managers.get(manager) ?? limited(manager)
        managers.set(manager, known)
        return known
      }
    }
  })
).pipe(Layer.provide(SegmentManagerMemory.layer))

/** What takes the place of the default layers. Both use services that the program below provides. */
export const layers = { messageQueue, segmentManager }

if (import.meta.main) {
  const counts = { enqueued: 0, refused: 0 }
  const App = SessionLayer.layerApp(
    { name: "upper", listen: [process.argv[2] ?? "tcp://127.0.0.1:8080"], workers: 2 },
    AppWorker.fromUrl(new URL("./upper.ts", import.meta.url))
  )
  const Tell = Layer.effectDiscard(Effect.addFinalizer(() => Effect.log("messages to workers:", counts)))
  NodeRuntime.runMain(Layer.launch(App.pipe(
    Layer.provide(Host.layerStack),
    Layer.provide(WorkerStack.layer(layers)),
    Layer.provide(Layer.succeed(Counts, counts)),
    Layer.provide(Layer.succeed(Quota, { bytes: 16 * 1024 * 1024, waiting: new Set<() => void>() })),
    Layer.provide(Tell)
  )))
}
