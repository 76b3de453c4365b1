/**
 * How a side reads its queue: batch by batch until nothing is there, one more look a turn of the loop later, then
 * sleep. The host reads the queue from each of its workers this way, and each worker reads its own.
 *
 * ```
 * ring ──► begin ─► read a batch ─► … ─► read nothing ─┬─ had read something ─► finish, look again next turn
 *                        ▲                             └─ sleep ─┬─ armed ────► finish, wait for a ring
 *                        └───────────────────────────────────────┘ something came in meanwhile
 * ```
 *
 * **No wake-up is lost**, because each way out of {@link ReadLoop.wake} leaves somebody who calls it again:
 *
 * - `sleep` has said `true`. It arms the consumer first and looks afterwards, so what the other side publishes is
 *   either seen by that look, or is published after the arming, and then rings. A side that sleeps on two things (a
 *   worker has its queue and its inbox) arms both before it says so, and disarms one when the other had something.
 * - A look is due. It is a callback which the loop itself has been given and which nothing cancels; the consumer stays
 *   awake until it runs, so nobody rings meanwhile, and nobody needs to. A ring that was on its way reads what there
 *   is, and the look that follows finds nothing and goes to sleep.
 * - The call came while another one was reading. That one has not been asleep yet, and looks after this call.
 * - Reading has failed, and {@link Reader.failed} is told: the other side is no longer trusted, and is given up.
 * - The side is over, and nobody waits for what it would read.
 *
 * The look a turn later is for load: a ring costs ten times as much as a look, and under load the next messages are
 * there by then. After 64 batches the loop's other work gets its turn, however much there is to read.
 *
 * Hot path: no closure per wake or per message.
 */

/** Messages that are read before their slots are given back. */
const BATCH = 32
/** Batches that are read before the loop's other work gets its turn. */
const BATCHES = 64

/** Arranges for a function to be called soon, and once: in a later turn of the loop. */
export type Soon = (look: () => void) => void

/** What is different from one reader to the next. */
export interface Reader {
  /** Before the first batch of a wake. */
  readonly begin: () => void
  /** Reads up to `max` messages and returns how many there were; gives the other side the room that it asked for. */
  readonly read: (max: number) => number
  /** Arms all that may ring, then looks: `false` when something is there and nobody will ring for it. */
  readonly sleep: () => boolean
  /** Whatever happens, what `begin` has begun ends here. */
  readonly finish: () => void
  /** `read` or `sleep` has thrown. */
  readonly failed: (error: unknown) => void
  /** The turn that it asked for has come, and it will read at once: a chance to wait for a moment first. */
  readonly returned?: () => void
  /** For a reader that is slow on purpose: it takes one message per look, and this is how it gets to the next one. */
  readonly pace?: (() => Soon | undefined) | undefined
}

export class ReadLoop {
  readonly #reader: Reader
  /** Absent where a ring costs nothing: then it goes to sleep at once. */
  readonly #soon: Soon | undefined
  #running = false
  /** A look is due. */
  #looking = false
  #over = false

  constructor(reader: Reader, soon: Soon | undefined) {
    this.#reader = reader
    this.#soon = soon
  }

  /** Nothing is read from now on, not even the rest of what is being read. */
  end(): void {
    this.#over = true
  }

  /** For every ring. */
  readonly wake = (): void => {
    if (this.#running || this.#over) return
    const reader = this.#reader
    const pace = reader.pace?.()
    // a slow one that is at a message looks up from it when that is done
    if (pace !== undefined && this.#looking) return
    this.#running = true
    reader.begin()
    try {
      if (pace === undefined) this.#read()
      else {
        reader.read(1)
        if (!reader.sleep()) this.#look(pace)
      }
    } catch (error) {
      reader.failed(error)
    } finally {
      reader.finish()
      this.#running = false
    }
  }

  #read(): void {
    const reader = this.#reader
    let some = false
    for (let batches = 0; batches < BATCHES; batches++) {
      if (this.#over) return
      if (reader.read(BATCH) > 0) some = true
      else if (some && this.#soon !== undefined) return this.#look(this.#soon)
      else if (reader.sleep()) return
    }
    this.#look(setImmediate)
  }

  #look(soon: Soon): void {
    if (this.#looking) return
    this.#looking = true
    soon(this.#return)
  }

  readonly #return = (): void => {
    this.#looking = false
    if (this.#over) return
    this.#reader.returned?.()
    this.wake()
  }
}
