/** A connect under way (W14). Its deadline is the deadline for its result. */
import { Timed } from "../../domain/admission/Deadlines.ts"
import type * as Message from "../../domain/memory/Message.ts"

export class HalfOpen extends Timed<HalfOpen> {
  readonly request: number
  /** Its number among the connects of its worker, in the order in which they began. */
  readonly serial: number
  readonly endpoint: string
  /** Where it comes from; empty when the system chooses. */
  readonly source: string
  scope: "local" | "global" = "global"
  /** Milliseconds of `MonotonicTime` at which it began. */
  readonly since: number
  /** Milliseconds after which it fails. */
  readonly timeout: number

  constructor({ endpoint, request, source }: Message.Of<"connect">, serial: number, since: number, timeout: number) {
    super()
    this.request = request
    this.serial = serial
    this.endpoint = endpoint
    this.source = source
    this.since = since
    this.timeout = timeout
  }
}
