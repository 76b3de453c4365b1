/**
 * Memory of cut-through segments that are gone, kept for the next session with the same peer. It never goes to another
 * peer: the former one may have kept hold of the memory, and could still write to it.
 */
export class KeptMemory {
  readonly #byPeer = new Map<object, Array<SharedArrayBuffer>>()
  #bytes = 0

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#bytes
  }

  keep(peer: object, memory: SharedArrayBuffer): void {
    const kept = this.#byPeer.get(peer)
    if (kept === undefined) this.#byPeer.set(peer, [memory])
    else kept.push(memory)
    this.#bytes += memory.byteLength
  }

  /** Memory of exactly this size that was kept for the peer, if what was kept last has this size. */
  take(peer: object, bytes: number): SharedArrayBuffer | undefined {
    const kept = this.#byPeer.get(peer)
    if (kept?.at(-1)?.byteLength !== bytes) return undefined
    this.#bytes -= bytes
    return kept.pop()
  }

  /** Keeps nothing for the peer. */
  forget(peer: object): void {
    for (const { byteLength } of this.#byPeer.get(peer) ?? []) this.#bytes -= byteLength
    this.#byPeer.delete(peer)
  }

  /** Gives up this many bytes of what is kept, or a little more. */
  giveUp(bytes: number): void {
    let left = bytes
    for (const [peer, kept] of this.#byPeer) {
      if (left <= 0) return
      while (left > 0 && kept.length > 0) {
        const { byteLength } = kept.pop()!
        this.#bytes -= byteLength
        left -= byteLength
      }
      if (kept.length === 0) this.#byPeer.delete(peer)
    }
  }
}
