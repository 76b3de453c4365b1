/** What the page has seen, and how its parts look at it. */
import { History, keyOf } from "./history.js"
import { NOTHING, time } from "./words.js"

export const place = (name) => document.getElementById(name)

export const seen = new History()

const samplesOf = (worker) => seen.workers.get(keyOf(worker)) ?? []
const ofSamples = (samples, name) => samples.map((sample) => sample?.[name] ?? null)

/** The last minute of a worker, and of all, by the name of what is sampled. */
export const minuteOf = (worker, name) => ofSamples(samplesOf(worker), name)
export const minuteOfAll = (name) => ofSamples(seen.all, name)

/** The worker with a key, if it is still there. */
export const find = (key) => seen.overview?.workers.find((worker) => keyOf(worker) === key)

export const workerName = ({ app, worker }) => `${app} ${worker}`

export const sum = (counts) => Object.values(counts).reduce((sum, count) => sum + count, 0)

/** What columns of {@link claimTime} are. */
export const CLAIM = "From offer to claim, in the last ten seconds"

export const claimTime = (brief, name) => brief.count === 0 ? NOTHING : time(brief[name])
