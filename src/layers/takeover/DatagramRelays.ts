/**
 * What the host that comes reads for sessions over UDP that its predecessor still has (X4): see `DatagramRelay`, of which
 * each listener has one, and `KeptDatagrams` for the other side.
 */
import type { DatagramRelay } from "../../domain/takeover/DatagramRelay.ts"
import type * as TakeoverMessage from "../../domain/takeover/TakeoverMessage.ts"
import type { SharedDatagrams } from "../../services/Transport.ts"
import * as DatagramBatch from "./DatagramBatch.ts"

type Heard = TakeoverMessage.ToSuccessor & { readonly _tag: "Peers" | "Over" | "Relayed" | "Back" }

export class DatagramRelays {
  readonly #send: (message: TakeoverMessage.ToPredecessor) => void
  /** By the predecessor's listeners. */
  readonly #relays = new Map<string, DatagramRelay>()

  constructor(send: (message: TakeoverMessage.ToPredecessor) => void) {
    this.#send = send
  }

  /** Returns whether it may be said now. `socket`: that of the listener, if it is still open. */
  hear(message: Heard, socket: SharedDatagrams | undefined): boolean {
    const { listener } = message
    const relay = this.#relays.get(listener)
    switch (message._tag) {
      case "Peers":
        if (relay !== undefined) return false
        if (socket === undefined) return true
        this.#relays.set(
          listener,
          socket.relay(
            message.peers,
            (batch) => this.#send({ _tag: "Datagrams", listener, ...DatagramBatch.encode(batch) })
          )
        )
        return true
      case "Over":
        relay?.over(message.peers)
        return true
      case "Relayed":
        return relay?.answered(message.missed) === true
      case "Back": {
        const batch = DatagramBatch.decode(message)
        if (batch === undefined) return false
        relay?.back(batch)
        return true
      }
    }
  }

  /** The predecessor is gone. */
  lost(): void {
    for (const relay of this.#relays.values()) relay.lost()
  }
}
