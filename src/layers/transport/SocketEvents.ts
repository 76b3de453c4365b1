/**
 * The events of sockets, and the way from a socket to the connection that they are about. All sockets share the
 * listeners: idle ones are many.
 *
 * Node can be told where to read to (`onread`). Sockets that are idle, or whose reads are small, read into one scratch
 * buffer; a connection may have the next read go somewhere else ({@link SocketSubject.arm}). Where a socket can't be
 * given `onread`, `data` events do the same ({@link readByEvents}).
 *
 * This module is a hot path.
 */
import { constVoid } from "effect/Function"
import type * as Net from "node:net"
import type * as NodeHandle from "./NodeHandle.ts"

/** Bytes of the buffer that small reads of all connections go through. */
export const SCRATCH = 65536

// not a Buffer: a part of one takes three times as long to make
export const scratch = new Uint8Array(SCRATCH)

/** What the events of a socket are about. */
export interface SocketSubject {
  onError(error: Error): void
  onEnd(): void
  onClose(): void
  onData(bytes: Uint8Array): void
  /** So many bytes were read to where the last {@link arm} has said; returns whether to read on. */
  onRead(bytes: number): boolean
  /** Where the next read goes; Node asks right after each read, and keeps the answer for the next one. */
  arm(): Uint8Array
}

const subject = Symbol("subject")

interface OwnedSocket extends NodeHandle.HandledSocket {
  [subject]?: SocketSubject | undefined
}

function onError(this: OwnedSocket, error: Error): void {
  this[subject]?.onError(error)
}

function onEnd(this: OwnedSocket): void {
  this[subject]?.onEnd()
}

function onClose(this: OwnedSocket): void {
  this[subject]?.onClose()
}

function onData(this: OwnedSocket, bytes: Buffer): void {
  this[subject]?.onData(bytes)
}

/** From now on the socket's events are this one's. */
export const own = (socket: Net.Socket, owner: SocketSubject): NodeHandle.HandledSocket => {
  const owned: OwnedSocket = socket
  owned[subject] = owner
  return owned.on("error", onError).on("end", onEnd).on("close", onClose)
}

/** From now on the events of a socket that was {@link own}ed are this one's. */
export const pass = (socket: Net.Socket, owner: SocketSubject): void => {
  const owned: OwnedSocket = socket
  owned[subject] = owner
}

/** From now on they are nobody's. */
export const disown = (socket: Net.Socket): void => {
  const owned: OwnedSocket = socket
  owned[subject] = undefined
  owned.on("error", constVoid)
}

/** Has a socket read by events, once it is resumed. */
export const readByEvents = (socket: Net.Socket): Net.Socket => socket.on("data", onData).pause()

/** The connection whose read has just been dealt with. */
let reading: SocketSubject | undefined

/** Lets Node read into memory of ours. Right after each `callback` Node asks with `buffer` where the next read goes. */
export const onread = {
  buffer: (): Uint8Array => {
    const connection = reading
    reading = undefined
    return connection === undefined ? scratch : connection.arm()
  },
  callback(this: OwnedSocket, bytes: number): boolean {
    reading = this[subject]
    return reading === undefined ? false : reading.onRead(bytes)
  }
}
