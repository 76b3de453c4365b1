/** Seeded pseudo-random numbers: a failing run can be repeated from its seed alone. */

/** Answers whole numbers from 0 to `below - 1`. */
export type Random = (below: number) => number

export const make = (seed: number): Random => {
  let state = seed | 0
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

/** Any of the values, of which there is at least one. */
export const one = <A>(random: Random, all: ReadonlyArray<A>): A => all[random(all.length)]!
