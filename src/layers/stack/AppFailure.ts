/** How the end of an application's layer is told, wherever its worker runs. */
import * as Cause from "effect/Cause"
import * as Thrown from "../../domain/report/Thrown.ts"
import { WorkerExit } from "../../services/AppWorker.ts"
import { ListenFailed } from "../../services/Sessions.ts"

/** Why an application's layer ended, and where. What kept it from listening says all by itself. */
export const exitOf = (cause: Cause.Cause<unknown>): WorkerExit => {
  const error = Cause.squash(cause)
  return error instanceof ListenFailed
    ? new WorkerExit({ reason: "ModuleFailed", detail: error.message })
    : WorkerExit.of("ModuleFailed", "the application failed", Thrown.ofCause(cause))
}
