/**
 * What is left to be written of a session that its application has closed: it goes out as room comes, or the session is
 * broken when that takes too long.
 */
import * as RestMemory from "./RestMemory.ts"

export class SessionRest {
  #parts: Array<Uint8Array>
  #kept: Uint8Array | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(parts: ReadonlyArray<Uint8Array>) {
    this.#parts = [...parts]
  }

  /** Writes as far as there is room; whether nothing is left. `write` returns how many of the bytes it has taken. */
  send(write: (bytes: Uint8Array) => number): boolean {
    const parts = this.#parts
    for (let first; (first = parts[0]) !== undefined; parts.shift()) {
      const taken = write(first)
      if (taken === first.length) continue
      parts[0] = first.subarray(taken)
      return false
    }
    return true
  }

  /**
   * Keeps a copy of what is left, since the application may use its bytes again; `false` when there is no memory for it.
   * `late` is called when it has not gone out after the milliseconds that `timeOf` says for so many bytes.
   */
  keep(timeOf: (bytes: number) => number, late: () => void): boolean {
    const kept = this.#kept = RestMemory.copy(this.#parts)
    if (kept === undefined) return false
    this.#parts = [kept]
    this.#timer = setTimeout(late, timeOf(kept.length)).unref()
    return true
  }

  drop(): void {
    clearTimeout(this.#timer)
    if (this.#kept !== undefined) RestMemory.free(this.#kept)
    this.#kept = undefined
  }
}
