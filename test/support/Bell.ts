/**
 * A bell between threads that remembers having rung: a counter in shared memory.
 *
 * Read {@link count} before arming, then {@link wait} with it: a ring in between ends the wait at once. A wait that
 * times out is a lost wake-up.
 */
/** Milliseconds; long, since the machine may be busy. */
const PATIENCE = 15_000

export class Bell {
  readonly #word: Int32Array

  constructor(word: Int32Array) {
    this.#word = word
  }

  static readonly memory = (): Int32Array => new Int32Array(new SharedArrayBuffer(4))

  get count(): number {
    return Atomics.load(this.#word, 0)
  }

  readonly ring = (): void => {
    Atomics.add(this.#word, 0, 1)
    Atomics.notify(this.#word, 0)
  }

  wait(count: number): void {
    if (Atomics.wait(this.#word, 0, count, PATIENCE) === "timed-out") throw new Error("a wake-up was lost")
  }

  /** {@link wait} for a thread whose event loop must go on. */
  async waitAsync(count: number): Promise<void> {
    const waiting = Atomics.waitAsync(this.#word, 0, count, PATIENCE)
    if (await waiting.value === "timed-out") throw new Error("a wake-up was lost")
  }
}
