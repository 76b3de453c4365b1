/** What events are about: a worker, a listener, as they say it. */
import type { EventOf } from "../../domain/events/HostEvent.ts"
import type { HostListener } from "./Listener.ts"
import type { WorkerSlot } from "./Worker.ts"

/** The worker of an event that is about one. */
export const ofWorker = (
  { app, generation, handle, mapIndex }: WorkerSlot
): Pick<EventOf<"worker-restarting">, "app" | "worker" | "workerHandle" | "generation"> => ({
  app: app.name,
  worker: mapIndex,
  workerHandle: handle,
  generation
})

/** The worker of an event that is about a session. */
export const byWorker = (
  { handle, mapIndex }: WorkerSlot
): Pick<EventOf<"session-lost">, "worker" | "workerHandle"> => ({ worker: mapIndex, workerHandle: handle })

export const atListener = (
  { app, boundUri, handle }: Pick<HostListener, "app" | "boundUri" | "handle">
): Pick<EventOf<"listener-closed">, "app" | "listener" | "endpoint"> => ({
  app: app.name,
  listener: handle,
  endpoint: boundUri
})
