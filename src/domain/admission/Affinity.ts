/**
 * Which worker the connections with one key go to: rendezvous hashing.
 *
 * Each worker has a weight for each key, and a key goes to the worker with the largest weight. So a key stays where it
 * is while its worker is there; a worker that comes takes its share from all the others, and one that goes leaves its
 * share to all of them. A worker is known by its number within its application, which it keeps across restarts.
 */
import type { Arrival } from "../options/ListenerOptions.ts"

const FNV_BASIS = 0x811c9dc5
const FNV_PRIME = 0x01000193
const GOLDEN = 0x9e3779b1

/** Every bit of the number changes about half of the bits of the result. */
const mix = (number: number): number => {
  let mixed = number
  mixed = Math.imul(mixed ^ mixed >>> 16, 0x85ebca6b)
  mixed = Math.imul(mixed ^ mixed >>> 13, 0xc2b2ae35)
  return (mixed ^ mixed >>> 16) >>> 0
}

/** A number for a key. */
export const hash = (key: string | number): number => {
  const text = String(key)
  let hash = FNV_BASIS
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME)
  return mix(hash)
}

/** More than any weight. */
export const ABOVE_ALL = 2 ** 32

/** The weight of a worker for a key's {@link hash}: less than {@link ABOVE_ALL}, and different for each worker. */
export const weight = (hash: number, worker: number): number => mix(hash ^ mix(Math.imul(worker + 1, GOLDEN)))

/** The peer's address, without its port; `undefined` for a peer that has none. */
export const source = ({ remote }: Pick<Arrival, "remote">): string | undefined =>
  /^(?:tcp|tls|udp):\/\/(.+):\d+$/.exec(remote)?.[1]
