/**
 * The datagrams of one socket that a host reads for sessions which the host before it still has (X4). Both have the
 * socket, and only one of them reads it.
 *
 * | a peer's session | what comes from the peer |
 * |---|---|
 * | is there | is gathered, and goes over in the next batch |
 * | is over, and nothing of the peer is under way | is this host's |
 * | is over, and something is under way | waits for the answer: what came too late comes back, and is first |
 *
 * **Bounds** One batch is under way at a time, and the next one gathers meanwhile. So it makes no difference to the memory
 * of the two hosts, and to what else they have to say to each other, how much comes: what the next batch has no room for
 * is dropped, and counted. A peer's datagrams stay in order.
 *
 * This module is a hot path, and neither knows a socket nor a channel.
 */

/** The most datagrams of a batch, and the bytes with which no other is added to it. */
export const BATCH_DATAGRAMS = 512
export const BATCH_BYTES = 256 << 10

/** A datagram, and where it came from: address and port, as the socket names its peers. */
export interface RelayedDatagram {
  readonly peer: string
  readonly bytes: Uint8Array
}

export interface RelayEnd {
  /** Sends a batch, which is to be answered by {@link DatagramRelay.answered}. */
  send(batch: ReadonlyArray<RelayedDatagram>): void
  /** A datagram that is this host's after all. */
  here(datagram: RelayedDatagram): void
  /** What comes from the peer is this host's from now on; called after `here` for what there is. */
  over(peer: string): void
  /** Counts a datagram that is dropped. */
  dropped(): void
  /** No peer's datagrams go to the other host any more. */
  ended(): void
}

/** A peer whose session is the other host's, or was while datagrams were under way. */
class RelayedPeer {
  gathered = 0
  isUnderWay = false
  isOver = false
}

export class DatagramRelay {
  readonly #end: RelayEnd
  readonly #peers = new Map<string, RelayedPeer>()
  #gathered: Array<RelayedDatagram> = []
  /** Bytes that are gathered. */
  #bytes = 0
  #underWay: ReadonlyArray<RelayedDatagram> | undefined

  /** `peers`: those whose sessions the other host has. */
  constructor(peers: ReadonlyArray<string>, end: RelayEnd) {
    this.#end = end
    for (const peer of peers) this.#peers.set(peer, new RelayedPeer())
  }

  /** How many peers' datagrams are not, or not yet, this host's. */
  get size(): number {
    return this.#peers.size
  }

  has(peer: string): boolean {
    return this.#peers.has(peer)
  }

  get peers(): Iterable<string> {
    return this.#peers.keys()
  }

  /** A datagram has come; `false` when it is this host's. */
  take(peer: string, bytes: Uint8Array): boolean {
    const known = this.#peers.get(peer)
    if (known === undefined) return false
    if (this.#gathered.length >= BATCH_DATAGRAMS || this.#bytes + bytes.length > BATCH_BYTES) {
      this.#end.dropped()
      return true
    }
    known.gathered++
    this.#gathered.push({ peer, bytes })
    this.#bytes += bytes.length
    this.#sendNext()
    return true
  }

  #sendNext(): void {
    const batch = this.#gathered
    if (this.#underWay !== undefined || batch.length === 0) return
    for (const { peer } of batch) {
      const known = this.#peers.get(peer)!
      known.gathered = 0
      known.isUnderWay = true
    }
    this.#underWay = batch
    this.#gathered = []
    this.#bytes = 0
    this.#end.send(batch)
  }

  /** The other host has given its sessions the batch, but for those at these places: their sessions were over. */
  answered(missed: ReadonlyArray<number>): boolean {
    const batch = this.#underWay
    if (batch === undefined || missed.some((place) => place >= batch.length)) return false
    this.#underWay = undefined
    for (const { peer } of batch) this.#peers.get(peer)!.isUnderWay = false
    for (const place of missed) {
      const datagram = batch[place]!
      this.#peers.get(datagram.peer)!.isOver = true
      this.#end.here(datagram)
    }
    for (const { peer } of batch) {
      const known = this.#peers.get(peer)
      if (known?.isOver === true) this.#comesHere(peer, known)
    }
    this.#sendNext()
    this.#endIfEmpty()
    return true
  }

  /**
   * Datagrams that the other host has taken to pass them on, and whose sessions were over: they are older than any that it
   * has not. More may follow until it says so of their peers.
   */
  back(datagrams: ReadonlyArray<RelayedDatagram>): void {
    for (const datagram of datagrams) this.#end.here(datagram)
  }

  /** The sessions of these peers are over there, or are here now. */
  over(peers: ReadonlyArray<string>): void {
    if (this.#peers.size === 0) return
    for (const peer of peers) {
      const known = this.#peers.get(peer)
      if (known === undefined) continue
      if (known.isUnderWay) known.isOver = true
      else this.#comesHere(peer, known)
    }
    this.#endIfEmpty()
  }

  #comesHere(peer: string, { gathered }: RelayedPeer): void {
    this.#peers.delete(peer)
    if (gathered > 0) {
      const own = this.#gathered.filter((datagram) => datagram.peer === peer)
      this.#gathered = this.#gathered.filter((datagram) => datagram.peer !== peer)
      for (const datagram of own) {
        this.#bytes -= datagram.bytes.length
        this.#end.here(datagram)
      }
    }
    this.#end.over(peer)
  }

  /** The other host is gone, and so are its sessions. What it may have had, it has had. */
  lost(): void {
    const gathered = this.#gathered
    for (let left = this.#underWay?.length ?? 0; left > 0; left--) this.#end.dropped()
    this.#underWay = undefined
    this.#gathered = []
    this.#bytes = 0
    const peers = [...this.#peers.keys()]
    this.#peers.clear()
    for (const datagram of gathered) this.#end.here(datagram)
    for (const peer of peers) this.#end.over(peer)
    this.#end.ended()
  }

  #endIfEmpty(): void {
    if (this.#peers.size === 0) this.#end.ended()
  }
}
