/** Which of several names was probably meant by one that does not exist. */

/** Edits between two words: insert, delete, replace, or swap two neighbours. */
const distance = (a: string, b: string): number => {
  let beforeLast: Array<number> = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
        ? (beforeLast[j - 2] ?? 0) + 1
        : Infinity
      row.push(Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, replaced, swapped))
    }
    beforeLast = last
    last = row
  }
  return last[b.length] ?? 0
}

/** Names are compared up to this length: a longer one is hardly a misspelled option. */
const LONGEST_NAME_COMPARED = 40

/** What is left of a name when its spelling in flags, in the environment and in programs makes no difference. */
const bare = (name: string): string => name.replace(/[-_]/g, "").toLowerCase()

/**
 * The candidate that is most like `unknown`; `undefined` if none is like it. The first counts of several that are
 * equally like it. `nameOf` gives the part of a candidate that is compared.
 */
export const mostLike = (
  unknown: string,
  candidates: Iterable<string>,
  nameOf: (candidate: string) => string = (candidate) => candidate
): string | undefined => {
  const name = bare(unknown)
  if (name.length > LONGEST_NAME_COMPARED) return undefined
  let best: string | undefined
  let least = Math.max(1, Math.min(3, Math.floor(name.length / 3))) + 1
  for (const candidate of candidates) {
    const apart = distance(name, bare(nameOf(candidate)))
    if (apart < least) [best, least] = [candidate, apart]
  }
  return best
}
