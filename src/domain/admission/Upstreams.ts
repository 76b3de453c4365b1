/**
 * Where a proxy connects to: how many sessions each upstream has, and whether it can be reached, shared by all workers
 * of the application.
 *
 * A session goes to the upstream with the fewest sessions among those that are up; among equals, to the one that comes
 * next after the last choice.
 *
 * **Health** An upstream is up until a connect to it fails. Then it is down for a backoff that doubles with each
 * failure, and after that one connect at a time is a trial. The worker that takes the trial moves `UNTIL` on, so no
 * other worker takes it; if that worker dies, the trial expires by itself. The outcome of a connect that began before
 * the state changed has no effect: a burst of connects that fail together is one failure.
 *
 * **Layout** (32-bit words)
 *
 * | words | what |
 * |---|---|
 * | 0 | `ROTOR`: how often an upstream was chosen |
 * | 1 | `REFUSED`: sessions for which there was no upstream |
 * | 2 | `ROWS`: one more than the highest number of a worker that has begun |
 * | 4 + 4 i, and the next | `UNTIL` of upstream i, 64 bits: the clock time, in ms, at which it may be tried again |
 * | 4 + 4 i + 2 | `FAILURES` of upstream i, in a row; 0: it is up |
 * | 4 + 4 n + n w + i | sessions of worker w with upstream i, of n upstreams |
 *
 * Each worker counts in a row of its own, which it clears when it begins again after it has died. It keeps the counts in
 * private memory, too, and states them again with each choice. What no worker writes is taken for what does least harm:
 * sessions below zero for none, a number of failures that there can't be for an upstream that is down, and a time of
 * the next trial that is further away than any backoff for one that has come.
 */

const ROTOR = 0
const REFUSED = 1
const ROWS = 2
const HEAD = 4
const UPSTREAM_WORDS = 4
const FAILURES = 2
/** How many numbers of workers there are. */
const WORKERS = 256

/** From this many failures on, the backoff no longer grows. */
const MOST_FAILURES = 30

/** Memory for a number of upstreams, all of them up. */
export const allocate = (upstreams: number): SharedArrayBuffer =>
  new SharedArrayBuffer(4 * (HEAD + UPSTREAM_WORDS * upstreams + WORKERS * upstreams))

/** How long an upstream is left alone, in milliseconds. */
export interface Times {
  /** After the first failure; it doubles with each one that follows. */
  readonly backoffBase: number
  /** The longest backoff. */
  readonly backoffMax: number
  /** How long a trial may take. */
  readonly trial: number
}

/** An upstream that was chosen for a session, which counts from then on until it has {@link Upstreams.left}. */
export interface Choice {
  readonly upstream: number
  /** How many failures in a row it had then. */
  readonly failures: number
  /** When the trial expires, if this is a trial. */
  readonly trial: bigint | undefined
}

/** The upstreams as one worker sees them. */
export class Upstreams {
  readonly #words: Int32Array
  readonly #until: BigInt64Array
  readonly #count: number
  readonly #row: number
  readonly #rows: number
  /** Sessions of this worker, by upstream. */
  readonly #mine: Array<number>
  readonly #times: Times

  constructor(buffer: SharedArrayBuffer, count: number, worker: number, times: Times) {
    this.#words = new Int32Array(buffer)
    this.#until = new BigInt64Array(buffer, 0, (HEAD + UPSTREAM_WORDS * count) / 2)
    this.#count = count
    this.#rows = HEAD + UPSTREAM_WORDS * count
    this.#row = this.#rows + (worker % WORKERS) * count
    this.#mine = Array<number>(count).fill(0)
    this.#times = times
  }

  /** The worker begins: what its previous start has counted no longer counts. */
  begin(): void {
    this.#mine.fill(0)
    this.#state()
  }

  /** States this worker's counts. */
  #state(): void {
    for (let i = 0; i < this.#count; i++) Atomics.store(this.#words, this.#row + i, this.#mine[i]!)
    const mine = (this.#row - this.#rows) / this.#count + 1
    for (let rows = this.#workers; rows < mine;) rows = Atomics.compareExchange(this.#words, ROWS, rows, mine)
  }

  get #workers(): number {
    // the host reads this too, and does not trust what workers have written
    return Math.min(Math.max(0, Atomics.load(this.#words, ROWS)), WORKERS)
  }

  /** Sessions with an upstream, of all workers. */
  sessions(upstream: number): number {
    let sessions = 0
    for (let worker = 0; worker < this.#workers; worker++) {
      sessions += Math.max(0, Atomics.load(this.#words, this.#rows + worker * this.#count + upstream))
    }
    return sessions
  }

  /** Failures of an upstream in a row; 0: it is up. */
  failures(upstream: number): number {
    return Atomics.load(this.#words, HEAD + UPSTREAM_WORDS * upstream + FAILURES)
  }

  /** Milliseconds until an upstream that is down is tried again, at the time `now`. */
  retryAfter(upstream: number, now: number): number {
    return Math.max(0, Number(Atomics.load(this.#until, this.#untilOf(upstream))) - now)
  }

  /** Sessions for which there was no upstream. */
  get refused(): number {
    return Atomics.load(this.#words, REFUSED) >>> 0
  }

  /** Where a session that has `tried` some upstreams in vain may go at the time `now`; `undefined` if nowhere. */
  choose(now: number, tried: ReadonlySet<number>): Choice | undefined {
    this.#state()
    const first = (Atomics.add(this.#words, ROTOR, 1) >>> 0) % this.#count
    let fewest: number | undefined
    let sessions = Infinity
    for (let i = 0; i < this.#count; i++) {
      const upstream = (first + i) % this.#count
      if (tried.has(upstream)) continue
      const failures = this.failures(upstream)
      if (failures !== 0) {
        // a trial goes first: there may never be another reason to try that upstream
        const trial = this.#try(upstream, now)
        if (trial !== undefined) return this.#take({ upstream, failures, trial })
        continue
      }
      const have = this.sessions(upstream)
      if (have >= sessions) continue
      fewest = upstream
      sessions = have
    }
    return fewest === undefined ? undefined : this.#take({ upstream: fewest, failures: 0, trial: undefined })
  }

  #take(choice: Choice): Choice {
    this.#add(choice.upstream, 1)
    return choice
  }

  #try(upstream: number, now: number): bigint | undefined {
    const at = this.#untilOf(upstream)
    const until = Atomics.load(this.#until, at)
    const trial = BigInt(Math.ceil(now + this.#times.trial))
    if (until > BigInt(Math.floor(now)) && until <= this.#latest(now)) return undefined
    return Atomics.compareExchange(this.#until, at, until, trial) === until ? trial : undefined
  }

  /** The latest time that a worker may have set by now. */
  #latest(now: number): bigint {
    return BigInt(Math.ceil(now + Math.max(this.#times.backoffMax, this.#times.trial)))
  }

  #untilOf(upstream: number): number {
    return (HEAD + UPSTREAM_WORDS * upstream) / 2
  }

  /** The connect succeeded. Returns whether the upstream was down and is up again. */
  connected({ failures, upstream }: Choice): boolean {
    return failures !== 0 && this.#change(upstream, failures, 0)
  }

  /** The connect failed. Returns for how many milliseconds the upstream is left alone, if this failure decides that. */
  failed({ failures, upstream }: Choice, now: number): number | undefined {
    if (this.failures(upstream) !== failures) return undefined
    const { backoffBase, backoffMax } = this.#times
    const known = Math.min(Math.max(0, failures), MOST_FAILURES)
    const backoff = Math.min(backoffMax, backoffBase * 2 ** known)
    // the time first: an upstream that is down always has one
    Atomics.store(this.#until, this.#untilOf(upstream), BigInt(Math.ceil(now + backoff)))
    return this.#change(upstream, failures, Math.min(known + 1, MOST_FAILURES)) ? backoff : undefined
  }

  #change(upstream: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.#words, HEAD + UPSTREAM_WORDS * upstream + FAILURES, from, to) === from
  }

  /** The connect came to nothing, but not because of the upstream: if it was a trial, another may follow. */
  cancelled({ trial, upstream }: Choice): void {
    if (trial !== undefined) Atomics.compareExchange(this.#until, this.#untilOf(upstream), trial, 0n)
  }

  /** The session with the upstream is over, or never was. */
  left({ upstream }: Choice): void {
    this.#add(upstream, -1)
  }

  #add(upstream: number, by: number): void {
    Atomics.store(this.#words, this.#row + upstream, this.#mine[upstream]! += by)
  }

  /** There was no upstream for a session. */
  refuse(): void {
    Atomics.add(this.#words, REFUSED, 1)
  }
}
