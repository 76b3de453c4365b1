/**
 * A client process: `keeper.ts <port> <connections> <interval in ms> <seconds>`. Each connection is kept, and asks once in
 * every interval, if its last answer has come; every second one posts a body of 16 KiB in two parts, a few milliseconds
 * apart. A connection that the server ends is made again. Prints `{ requests, failed, closed, latencies }`: requests
 * without a whole answer, connections that the server ended, and the milliseconds from the first byte of a request to
 * the last one of its answer, less the pause in between.
 */
import * as Net from "node:net"

const [port, connections, interval, seconds] = process.argv.slice(2).map(Number) as [number, number, number, number]
const BODY = Buffer.alloc(16 * 1024, "x")
const PAUSE_MILLIS = 5
const TIMEOUT_MILLIS = 10_000
const GET = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
const POST = `POST / HTTP/1.1\r\nHost: bench\r\nContent-Length: ${BODY.length}\r\n\r\n`
const latencies: Array<number> = []
const end = performance.now() + seconds * 1000
let requests = 0
let failed = 0
let closed = 0
let busy = connections

/** Bytes of the response whose head is in `text`, once it is there. */
const lengthOf = (text: string): number => {
  const body = text.indexOf("\r\n\r\n") + 4
  return body < 4 ? Infinity : body + Number(/content-length: (\d+)/i.exec(text)?.[1] ?? Infinity)
}

class Connection {
  readonly #posts: boolean
  #socket: Net.Socket | undefined
  #text = ""
  #answered: ((whole: boolean) => void) | undefined

  constructor(posts: boolean) {
    this.#posts = posts
  }

  #connect(): Net.Socket {
    const socket = Net.connect(port, "127.0.0.1").setNoDelay(true)
    socket.on("data", (bytes: Buffer) => {
      this.#text += bytes.toString("latin1")
      if (this.#text.length >= lengthOf(this.#text)) this.#settle(true)
    })
    socket.on("error", () => {})
    socket.on("end", () => socket.destroy())
    socket.on("close", () => {
      if (this.#socket !== socket) return
      this.#socket = undefined
      closed++
      this.#settle(false)
    })
    return this.#socket = socket
  }

  #settle(whole: boolean): void {
    const answered = this.#answered
    this.#answered = undefined
    this.#text = ""
    answered?.(whole)
  }

  async #ask(): Promise<void> {
    const socket = this.#socket ?? this.#connect()
    const since = performance.now()
    const answer = new Promise<boolean>((resolve) => this.#answered = resolve)
    const timer = setTimeout(() => socket.destroy(), TIMEOUT_MILLIS)
    requests++
    if (this.#posts) {
      socket.write(POST)
      socket.write(BODY.subarray(0, 8192))
      setTimeout(() => socket.write(BODY.subarray(8192)), PAUSE_MILLIS)
    } else socket.write(GET)
    const whole = await answer
    clearTimeout(timer)
    if (whole) latencies.push(performance.now() - since - (this.#posts ? PAUSE_MILLIS : 0))
    else failed++
  }

  async run(): Promise<void> {
    // not all in one turn
    for (let due = performance.now() + Math.random() * interval; due < end; due += interval) {
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())))
      await this.#ask()
    }
    const socket = this.#socket
    this.#socket = undefined
    socket?.destroy()
    if (--busy === 0) console.log(JSON.stringify({ requests, failed, closed, latencies }))
  }
}

for (let i = 0; i < connections; i++) void new Connection(i % 2 === 1).run()
