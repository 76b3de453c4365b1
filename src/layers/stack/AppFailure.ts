/** How the end of an application's layer is told, wherever its worker runs. */
import * as Thrown from "../../domain/report/Thrown.ts"
import { ListenFailed } from "../../services/Sessions.ts"

/** Why an application's layer ended, in one sentence. What kept it from listening says all by itself. */
export const sentenceOfApp = (error: unknown): string =>
  error instanceof ListenFailed ? error.message : `the application failed: ${Thrown.sentenceOf(error)}`
