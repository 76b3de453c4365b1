/**
 * A client process: `persistent.ts <port> <connections> <connections a second>`. Each of the kept connections asks 100 ms
 * after its last answer, every second one with a body of 16 KiB in two parts, and is opened again when it is closed;
 * besides, so many connections a second ask once. Ends with its stdin, once all that was asked is answered, and prints
 * what it has seen, see {@link Seen}.
 */
import * as Net from "node:net"

/** A connection that was ended by the server, before or after all was answered. */
export interface Ended {
  /** Its local port. */
  readonly port: number
  /** Milliseconds since the epoch. */
  readonly time: number
  readonly when: "asking" | "between two requests" | "behind the last request"
}

export interface Seen {
  /** Requests that were answered, and those whose connection was closed before they were. */
  readonly answered: number
  readonly failed: number
  /** Kept connections that were closed between two requests. */
  readonly closed: number
  /** Connections that were reset when all was answered, before the server had ended its side. */
  readonly late: number
  /** Connections that could not be opened. */
  readonly refused: number
  /** Answers that were not those to the request. */
  readonly wrong: number
  /** Milliseconds of the request that waited longest for its answer. */
  readonly longest: number
  /** Of these `failed`, `closed` and `late`, each one. */
  readonly ended: ReadonlyArray<Ended>
}

const EVERY_MILLIS = 100
const BODY = Buffer.alloc(16 * 1024, "x")
/** Between the two parts of a body. */
const PAUSE_MILLIS = 5

const [port, connections, perSecond] = process.argv.slice(2).map(Number) as [number, number, number]
const seen = { answered: 0, failed: 0, closed: 0, late: 0, refused: 0, wrong: 0, longest: 0 }
const ended: Array<Ended> = []
const tell = (): void => console.log(JSON.stringify({ ...seen, ended }))
const open = new Set<Connection>()
let isOver = false

const head = (length: number, isKept: boolean): string =>
  `${length === 0 ? "GET" : "POST"} / HTTP/1.1\r\nHost: bench\r\nContent-Length: ${length}\r\n` +
  `Connection: ${isKept ? "keep-alive" : "close"}\r\n\r\n`

/** The body of the response in `text`, once it is there. */
const bodyOf = (text: string): string | undefined => {
  const end = text.indexOf("\r\n\r\n") + 4
  const length = Number(/content-length: (\d+)/i.exec(text)?.[1])
  // by chunks, of which there is one
  const [size, body] = text.slice(end).split("\r\n")
  if (end < 4) return undefined
  if (length >= 0) return text.length < end + length ? undefined : text.slice(end)
  return text.endsWith("0\r\n\r\n") ? body ?? size : undefined
}

class Connection {
  readonly #body: Buffer
  readonly #isKept: boolean
  readonly #socket: Net.Socket
  #asked: number | undefined
  #text = ""
  /** The local port, once it is open. */
  #port: number | undefined
  #isDone = false

  constructor(body: Buffer, isKept: boolean) {
    open.add(this)
    this.#body = body
    this.#isKept = isKept
    const socket = this.#socket = Net.connect(port, "127.0.0.1")
    socket.setNoDelay(true)
    socket.on("connect", () => {
      this.#port = socket.localPort
      this.#ask()
    })
    socket.on("data", (bytes: Buffer) => this.#take(bytes))
    socket.on("error", () => {
      if (!this.#isDone) return
      seen.late++
      this.#ended("behind the last request")
    })
    socket.on("close", () => this.#closed())
  }

  #ask(): void {
    if (this.#isDone || this.#socket.destroyed) return
    if (isOver) {
      this.#isDone = true
      return void this.#socket.end()
    }
    this.#asked = performance.now()
    this.#socket.write(head(this.#body.length, this.#isKept))
    const half = this.#body.length / 2
    this.#socket.write(this.#body.subarray(0, half))
    if (half > 0) setTimeout(() => this.#socket.write(this.#body.subarray(half)), PAUSE_MILLIS)
  }

  #ended(when: Ended["when"]): void {
    if (this.#port !== undefined) ended.push({ port: this.#port, time: Date.now(), when })
  }

  #take(bytes: Buffer): void {
    this.#text += bytes.toString("latin1")
    const body = bodyOf(this.#text)
    if (body === undefined || this.#asked === undefined) return
    seen.answered++
    if (body !== String(this.#body.length)) seen.wrong++
    seen.longest = Math.max(seen.longest, performance.now() - this.#asked)
    this.#asked = undefined
    this.#text = ""
    if (this.#isKept) return void setTimeout(() => this.#ask(), EVERY_MILLIS)
    this.#isDone = true
    this.#socket.end()
  }

  #closed(): void {
    if (this.#port === undefined) seen.refused++
    else if (this.#asked !== undefined) {
      seen.failed++
      this.#ended("asking")
    } else if (!this.#isDone) {
      seen.closed++
      this.#ended("between two requests")
    }
    open.delete(this)
    if (this.#isKept && !isOver) connect(this.#body, true)
    if (isOver && open.size === 0) tell()
  }
}

const connect = (body: Buffer, isKept: boolean): Connection => new Connection(body, isKept)

const nothing = Buffer.alloc(0)
for (let i = 0; i < connections; i++) connect(i % 2 === 0 ? nothing : BODY, true)
const began = performance.now()
let opened = 0
const visits = setInterval(() => {
  const due = (performance.now() - began) / 1000 * perSecond
  for (; opened < due; opened++) connect(nothing, false)
}, 2)
console.log("ready")
process.stdin.resume().on("end", () => {
  isOver = true
  clearInterval(visits)
  if (open.size === 0) tell()
})
