/** What a thread that is one side of TCP is told. */

export interface Setup {
  /**
   * - `stand`: listens, and from then on accepts nothing.
   * - `reset`: accepts one connection, and resets it once `GO` is set.
   * - `dial`: connects to `port` as often as `count`, and tells how many connections were made.
   */
  readonly role: "stand" | "reset" | "dial"
  /** `GO` and `DONE`, in shared memory. */
  readonly words: Int32Array
  readonly port: number
  readonly count: number
}

export const GO = 0
export const DONE = 1
