/**
 * Workers that the host itself replaces (X6): a next generation starts and takes the worker's place, as with a restart
 * that was asked for. Here it is seen to that there is one at a time. A worker that is stuck is given up meanwhile: where
 * its next generation does not come up, its supervisor starts it again as after a crash.
 */
import * as Effect from "effect/Effect"
import type { Reloads } from "./Reloads.ts"
import type { AttachedApp, Tables } from "./Tables.ts"
import type { WorkerSlot } from "./Worker.ts"

/** Why the host replaces a worker. */
export type RenewReason = "stuck" | "heap" | "sessions"

export class Renewals {
  readonly #tables: Tables
  readonly #reloads: Reloads
  readonly #underWay = new Set<WorkerSlot>()
  readonly #run: (effect: Effect.Effect<void>) => void

  /** `run` runs a replacement, as long as the host lives. */
  constructor(tables: Tables, reloads: Reloads, run: (effect: Effect.Effect<void>) => void) {
    this.#tables = tables
    this.#reloads = reloads
    this.#run = run
  }

  /**
   * Begins to replace the worker. `false` where another start of it is on its way, or, unless it is stuck, while another
   * worker of the application is replaced: whoever asks does so again as long as there is reason to.
   */
  renew(slot: WorkerSlot, why: RenewReason): boolean {
    const app = this.#tables.apps.at(slot.app.index)
    if (app === undefined || this.#underWay.has(slot) || !this.#isWanted(app, slot)) return false
    if (why !== "stuck" && [...this.#underWay].some((other) => other.app === app)) return false
    this.#underWay.add(slot)
    this.#run(this.#replace(app, slot, why))
    return true
  }

  #replace(app: AttachedApp, slot: WorkerSlot, why: RenewReason): Effect.Effect<void> {
    return this.#reloads.replace(app, slot, why).pipe(
      Effect.catchTags({
        Reloading: () => Effect.void,
        Draining: () => Effect.void,
        WorkerFailed: (error) =>
          Effect.logError(`the next start of a worker that is to be replaced has failed: ${error.message}`).pipe(
            Effect.annotateLogs({ app: app.name, worker: slot.mapIndex })
          )
      }),
      Effect.ensuring(Effect.sync(() => this.#underWay.delete(slot)))
    )
  }

  #isWanted(app: AttachedApp, slot: WorkerSlot): boolean {
    if (this.#tables.draining || app.detaching || app.reloading || slot.deleting) return false
    return app.slots.get(slot.mapIndex) === slot && slot.successor === undefined
  }
}
