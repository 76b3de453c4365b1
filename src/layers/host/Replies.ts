/**
 * The host's answers to what a worker has asked for.
 */
import type * as Message from "../../domain/memory/Message.ts"
import type * as Refusal from "../../domain/state/Refusal.ts"
import type { LiveWorker } from "./Worker.ts"

/** The request number of a reply that nobody asked for: workers count theirs from 0 and never get this far. */
export const UNASKED = 2 ** 32 - 1

export const reply = (worker: LiveWorker, message: Message.Message): void => void worker.congestion.send({ message })

/** The worker does not get what it asked for: the reason, and a sentence that says what would be right. */
export const refuse = (worker: LiveWorker, request: number, reason: Refusal.Reason, detail: string): void =>
  reply(worker, { _tag: "failed", request, reason, detail })
