/**
 * Random runs have two lengths: a short one, which still does every kind of step, for `npm test`, and a long one for
 * `npm run test:long`.
 */
const isLong = process.env.SLUICE_TEST_LONG !== undefined

/** The length of a run. */
export const steps = (lengths: { readonly short: number; readonly long: number }): number =>
  isLong ? lengths.long : lengths.short

/** The options of a property that is tried so many times in a long run, and a quarter as often in a short one. */
export const runs = (long: number): { readonly arbitrary: { readonly runs: number } } => ({
  arbitrary: { runs: steps({ short: Math.ceil(long / 4), long }) }
})

/** The kinds of steps of random runs, of which a test after them says which were not done. */
export class Kinds<Kind extends string> {
  readonly #left: Set<Kind>

  constructor(kinds: ReadonlyArray<Kind>) {
    this.#left = new Set(kinds)
  }

  did(kind: Kind): void {
    this.#left.delete(kind)
  }

  get left(): ReadonlyArray<Kind> {
    return Array.from(this.#left)
  }
}
