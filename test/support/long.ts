/**
 * Random runs have two lengths: a short one, which still does every kind of step, for `npm test`, and a long one for
 * `npm run test:long`.
 */
const isLong = process.env.SLUICE_TEST_LONG !== undefined

/** The length of a run. */
export const steps = (lengths: { readonly short: number; readonly long: number }): number =>
  isLong ? lengths.long : lengths.short
