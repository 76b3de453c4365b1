/** Datagrams as the two hosts of a takeover send them to each other (X4). */
import * as Datagram from "../../domain/memory/Datagram.ts"
import type { RelayedDatagram } from "../../domain/takeover/DatagramRelay.ts"

/** What a message has of them. */
export interface DatagramBatch {
  readonly peers: ReadonlyArray<string>
  readonly bytes: Uint8Array
}

export const encode = (batch: ReadonlyArray<RelayedDatagram>): DatagramBatch => ({
  peers: batch.map(({ peer }) => peer),
  bytes: Datagram.join(batch.map(({ bytes }) => bytes))
})

/** Each has bytes of its own, so that one which waits does not keep the others; `undefined` for what is no batch. */
export const decode = ({ bytes, peers }: DatagramBatch): ReadonlyArray<RelayedDatagram> | undefined => {
  const datagrams = Datagram.split(bytes)
  return datagrams.length === peers.length
    ? peers.map((peer, place) => ({ peer, bytes: datagrams[place]!.slice() }))
    : undefined
}
