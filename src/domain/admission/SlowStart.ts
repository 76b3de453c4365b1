/**
 * How many open offers a worker may have so soon after its first one (X7): 1, 2, 4, … up to 128 in steps of equal length,
 * then as many as come. Code runs slowly for its first hundred milliseconds, and what is offered then waits.
 */

const STEPS = 8

/** The most open offers, `age` milliseconds after the first one; `slowStart` is how long all steps take, 0 for none. */
export const most = (age: number, slowStart: number): number =>
  age >= slowStart ? Infinity : 2 ** Math.floor(STEPS * Math.max(0, age) / slowStart)
