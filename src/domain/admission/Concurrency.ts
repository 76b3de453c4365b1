/**
 * How many requests one start of a worker has in hand, and how many it may have (X7): a number, or what
 * {@link Gradient} finds.
 *
 * It is for workers whose loops are idle while their requests wait for something else: no queue stands before them, so
 * nothing but the number of requests in hand says that they have enough to do.
 *
 * A session is in hand from when it is offered, and later from when bytes come, until the first byte of the answer is on
 * its way. One that has been claimed and has sent nothing leaves after one to two {@link look}s, so that connections that
 * are opened in advance take no place. Where the host does not see the bytes (placement `transfer`, cut-through), a
 * session is in hand for as long as it is there, and that is what its answer took.
 */
import type { AdmissionOptions } from "../options/AdmissionOptions.ts"
import { Gradient } from "./Gradient.ts"

/** A session that may be in hand. */
export interface InHand {
  /** Its peer has sent nothing: it is not in hand until it does. */
  rest(): void
}

export class Concurrency {
  readonly #gradient: Gradient | undefined
  readonly #fixed: number
  #inHand = 0
  /** Claimed, and nothing has come: since the last look, and since the one before it. */
  #young = new Set<InHand>()
  #old = new Set<InHand>()

  private constructor(most: number | Gradient) {
    this.#gradient = typeof most === "number" ? undefined : most
    this.#fixed = typeof most === "number" ? most : 0
  }

  /** `undefined` where the options ask for no limit. */
  static of(
    { maxConcurrent, maxSessionsPerWorker }: Pick<AdmissionOptions, "maxConcurrent" | "maxSessionsPerWorker">
  ): Concurrency | undefined {
    if (maxConcurrent === 0) return undefined
    return new Concurrency(maxConcurrent === "auto" ? new Gradient(maxSessionsPerWorker) : maxConcurrent)
  }

  get inHand(): number {
    return this.#inHand
  }

  get limit(): number {
    return this.#gradient?.limit ?? this.#fixed
  }

  /** How many more it may have; negative when it has more than it may. */
  get spare(): number {
    return this.limit - this.#inHand
  }

  begin(): void {
    this.#inHand++
  }

  end(): void {
    this.#inHand--
  }

  /** A request that is still in hand was answered within so many milliseconds. */
  answered(millis: number, now: number): void {
    this.#gradient?.answered(millis, this.#inHand, now)
  }

  /** A session was claimed, and has not sent anything yet. */
  waits(session: InHand): void {
    this.#young.add(session)
  }

  /** It has sent something, or is over. */
  speaks(session: InHand): void {
    if (!this.#young.delete(session)) this.#old.delete(session)
  }

  /** To be called at intervals. Sessions that were silent since before the last look are not in hand. */
  look(): void {
    const silent = this.#old
    this.#old = this.#young
    this.#young = new Set()
    for (const session of silent) session.rest()
  }
}
