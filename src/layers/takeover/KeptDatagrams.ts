/**
 * The sessions over UDP that stay with the host that goes (X4), or with one before it. Its successor reads the sockets, and
 * sends what comes for these sessions; what they write goes out over this host's own descriptors. The successor is told
 * whose sessions there are, and of each when it is over. See `DatagramRelay` for the other side.
 */
import type { RelayedDatagram } from "../../domain/takeover/DatagramRelay.ts"
import type * as TakeoverMessage from "../../domain/takeover/TakeoverMessage.ts"
import type { SharedDatagrams } from "../../services/Transport.ts"
import * as DatagramBatch from "./DatagramBatch.ts"

type Send = (message: TakeoverMessage.ToSuccessor) => void

/** A listener's socket, and what the successor is to be told of it in this turn. */
class KeptSocket {
  readonly socket: SharedDatagrams
  over: Array<string> = []
  /** Datagrams that were taken, and whose sessions were over. */
  back: Array<RelayedDatagram> = []

  constructor(socket: SharedDatagrams) {
    this.socket = socket
  }
}

export class KeptDatagrams {
  readonly #sockets = new Map<string, KeptSocket>()
  readonly #send: Send
  #tells = false

  /** This process reads the sockets no more. Tells the successor to read them. */
  constructor(sockets: ReadonlyMap<string, SharedDatagrams>, send: Send) {
    this.#send = send
    for (const [listener, socket] of sockets) {
      const kept = new KeptSocket(socket)
      this.#sockets.set(listener, kept)
      const peers = [...socket.peers]
      if (peers.length > 0) send({ _tag: "Peers", listener, peers })
      socket.onOver = (peer) => {
        kept.over.push(peer)
        this.#tellSoon()
      }
      socket.onBack = (datagram) => {
        kept.back.push(datagram)
        this.#tellSoon()
      }
    }
    send({ _tag: "Read" })
  }

  #tellSoon(): void {
    if (this.#tells) return
    this.#tells = true
    queueMicrotask(() => this.#tell())
  }

  /** In this order: what comes back is older than anything that the successor has from those peers. */
  #tell(): void {
    this.#tells = false
    for (const [listener, kept] of this.#sockets) {
      const { back, over } = kept
      if (back.length > 0) this.#send({ _tag: "Back", listener, ...DatagramBatch.encode(back) })
      if (over.length > 0) this.#send({ _tag: "Over", listener, peers: over })
      kept.back = []
      kept.over = []
    }
  }

  /** Gives sessions what the successor has read for them; `false` when it can't have read that. */
  take({ listener, ...message }: TakeoverMessage.ToPredecessor & { readonly _tag: "Datagrams" }): boolean {
    const kept = this.#sockets.get(listener)
    const batch = DatagramBatch.decode(message)
    if (kept === undefined || batch === undefined) return false
    const missed: Array<number> = []
    for (const [place, { bytes, peer }] of batch.entries()) if (!kept.socket.receive(peer, bytes)) missed.push(place)
    // before what is missed, which is younger
    this.#tell()
    this.#send({ _tag: "Relayed", listener, missed })
    return true
  }

  /** Nobody else reads the sockets any more. */
  takeBack(): void {
    for (const { socket } of this.#sockets.values()) socket.takeBack()
  }
}
