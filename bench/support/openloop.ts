/**
 * A client process in open loop: `openloop.ts <port> <connections> [rate:seconds]…`. It asks so many times a second, whatever
 * becomes of the requests, and counts the time of each from when it was due, as wrk2 does: a client that waits for slow answers
 * before it asks again would measure only what the server has let it.
 *
 * With 0 connections each request has one of its own; otherwise they share as many kept-alive ones, and wait for one that is
 * free. Nobody waits for longer than two seconds. A rate of 0 is a closed loop of 16: as much as the server can do.
 *
 * Prints, for each phase, what became of each request that was due in it: `[due, took]` in milliseconds since its beginning;
 * `took` is -1 for a refusal that says so (503), -2 for a reset, -3 for no answer in time.
 */
import * as Net from "node:net"

const PATIENCE = 2000
const CLOSED = 16

export type Outcome = readonly [due: number, took: number]

const [port = 0, connections = 0] = process.argv.slice(2, 4).map(Number)
const phases = process.argv.slice(4).map((phase) => phase.split(":").map(Number) as [rate: number, seconds: number])
const asks = (close: boolean): string =>
  `GET / HTTP/1.1\r\nHost: bench\r\nConnection: ${close ? "close" : "keep-alive"}\r\n\r\n`

/** One request, and what is to be done with its outcome. */
interface Due {
  readonly at: number
  readonly settle: (took: number) => void
}

/** Bytes of the response whose head is in `text`, once it is there. */
const lengthOf = (text: string): number => {
  const body = text.indexOf("\r\n\r\n") + 4
  return body < 4 ? Infinity : body + Number(/content-length: (\d+)/i.exec(text)?.[1] ?? Infinity)
}

/** A connection that asks once, or again and again. */
class Asker {
  #socket: Net.Socket | undefined
  #due: Due | undefined
  #text = ""
  #timer: NodeJS.Timeout | undefined
  readonly #close: boolean
  readonly #free: (asker: Asker) => void

  constructor(close: boolean, free: (asker: Asker) => void) {
    this.#close = close
    this.#free = free
  }

  ask(due: Due): void {
    this.#due = due
    this.#text = ""
    this.#timer = setTimeout(() => this.#over(-3), Math.max(0, due.at + PATIENCE - performance.now()))
    if (this.#socket === undefined || this.#socket.destroyed) this.#connect()
    this.#socket!.write(asks(this.#close))
  }

  #connect(): void {
    const socket = this.#socket = Net.connect({ port, host: "127.0.0.1", noDelay: true })
    socket.on("data", (bytes: Buffer) => {
      this.#text += bytes.toString("latin1")
      if (this.#text.length < lengthOf(this.#text)) return
      const isServed = this.#text.startsWith("HTTP/1.1 200")
      this.#over(isServed ? performance.now() - this.#due!.at : -1, !isServed || this.#close)
    })
    socket.on("error", () => {})
    socket.on("close", () => {
      if (this.#socket === socket) this.#over(-2)
    })
  }

  #over(took: number, ends = true): void {
    const due = this.#due
    if (ends) {
      const socket = this.#socket
      this.#socket = undefined
      if (took === -3) socket?.resetAndDestroy()
      else socket?.end()
    }
    if (due === undefined) return
    this.#due = undefined
    clearTimeout(this.#timer)
    due.settle(took)
    this.#free(this)
  }
}

const waiting: Array<Due> = []
const free: Array<Asker> = []
const give = (asker: Asker): void => {
  if (connections === 0) return
  const next = waiting.shift()
  if (next === undefined) free.push(asker)
  else if (performance.now() - next.at < PATIENCE) asker.ask(next)
  else {
    next.settle(-3)
    give(asker)
  }
}
for (let i = 0; i < connections; i++) free.push(new Asker(false, give))

const ask = (due: Due): void => {
  if (connections === 0) return new Asker(true, give).ask(due)
  const asker = free.pop()
  if (asker === undefined) waiting.push(due)
  else asker.ask(due)
}

/** So many a second, each at its time. */
const open = (
  rate: number,
  seconds: number
): { readonly end: Promise<void>; readonly all: Promise<Array<Outcome>> } => {
  const outcomes: Array<Outcome> = []
  const end = Promise.withResolvers<void>()
  const all = Promise.withResolvers<Array<Outcome>>()
  const start = performance.now()
  const count = rate * seconds
  let asked = 0
  const pace = (): void => {
    const now = performance.now()
    for (; asked < count && start + asked / rate * 1000 <= now; asked++) {
      const at = start + asked / rate * 1000
      ask({
        at,
        settle: (took) => {
          outcomes.push([at - start, took])
          if (outcomes.length === count) all.resolve(outcomes)
        }
      })
    }
    if (asked < count) setTimeout(pace, 1)
    else setTimeout(end.resolve, Math.max(0, start + seconds * 1000 - performance.now()))
  }
  pace()
  return { end: end.promise, all: all.promise }
}

/** Each asks again once it has its answer. */
const closed = (seconds: number): Promise<Array<Outcome>> =>
  new Promise((resolve) => {
    const outcomes: Array<Outcome> = []
    const start = performance.now()
    let over = 0
    const again = (): void => {
      const at = performance.now()
      if (at - start > seconds * 1000) return void (++over === CLOSED && resolve(outcomes))
      ask({
        at,
        settle: (took) => {
          outcomes.push([at - start, took])
          setImmediate(again)
        }
      })
    }
    for (let i = 0; i < CLOSED; i++) again()
  })

const results: Array<Promise<Array<Outcome>>> = []
for (const [rate, seconds] of phases) {
  if (rate === 0) {
    results.push(Promise.resolve(await closed(seconds)))
    continue
  }
  const { all, end } = open(rate, seconds)
  results.push(all)
  await end
}
const text = JSON.stringify(await Promise.all(results))
process.stdout.write(text, () => process.exit(0))
