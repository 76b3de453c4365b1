/**
 * Two applications of one worker each that talk to each other, by cut-through sessions and over loopback TCP in turn:
 * the server echoes or counts, the client measures. What they share is in the application's `config`.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Net from "node:net"
import { type Session, type SessionHandler, Sessions } from "../../src/services/Sessions.ts"

/** Bytes of a write, and of a message that is echoed. */
const CHUNK = 65536
const MESSAGE = 64

export interface Config {
  readonly role: "server" | "client"
  /** Two TCP ports; whether they are known; whether the client has finished. */
  readonly state: SharedArrayBuffer
  /** Per round: see {@link FIGURES}. */
  readonly figures: SharedArrayBuffer
  readonly rounds: number
  readonly bytes: number
  readonly roundTrips: number
}

export const ECHO_PORT = 0
export const SINK_PORT = 1
export const READY = 2
export const DONE = 3

/** Bytes a second: dropped where they lie, copied out, over TCP. Milliseconds of a round trip: cut-through, TCP. */
export const FIGURES = 5

const chunk = Buffer.alloc(CHUNK, "sluice")
const message = Buffer.alloc(MESSAGE, "sluice")

// ---- the server

const echo: SessionHandler = {
  readable(session) {
    for (let bytes = session.peek(); bytes !== undefined; bytes = session.peek()) {
      session.write(bytes)
      session.drop(bytes.length)
    }
  },
  ended: (session) => session.close()
}

/** Counts what comes, with or without a copy, and says when it was all. */
const sink = (total: number, copy: boolean): SessionHandler => {
  let got = 0
  return {
    readable(session) {
      for (;;) {
        const bytes = copy ? session.read() : session.peek()
        if (bytes === undefined) break
        got += bytes.length
        if (!copy) session.drop(bytes.length)
      }
      if (got === total) session.write(message)
    },
    ended: (session) => session.close()
  }
}

const listenTcp = (accept: (socket: Net.Socket) => void) =>
  Effect.callback<number>((resume) => {
    const server = Net.createServer({ noDelay: true }, accept)
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as Net.AddressInfo).port)))
  })

const serve = Effect.fnUntraced(function*({ bytes, state }: Config) {
  const { listen } = yield* Sessions
  const on = (endpoint: string, handler: () => SessionHandler) =>
    listen(endpoint, (session) => {
      session.handler = handler()
      session.handler.readable?.(session)
    })
  yield* on("local://echo", () => echo)
  yield* on("local://drop", () => sink(bytes, false))
  yield* on("local://copy", () => sink(bytes, true))
  const words = new Int32Array(state)
  words[ECHO_PORT] = yield* listenTcp((socket) => socket.on("data", (data) => socket.write(data)))
  words[SINK_PORT] = yield* listenTcp((socket) => {
    let got = 0
    socket.on("data", (data) => {
      got += data.length
      if (got === bytes) socket.write(message)
    })
  })
  Atomics.store(words, READY, 1)
})

// ---- the client

const sendAll = (session: Session, total: number): Promise<void> =>
  new Promise((resolve) => {
    let left = total
    const go = (): void => {
      while (left > 0) {
        const taken = session.write(chunk, Math.max(0, CHUNK - left))
        if (taken <= 0) return
        left -= taken
        if (left % CHUNK > 0) return
      }
    }
    session.handler = { readable: () => resolve(), writable: go }
    go()
  })

const sendAllTcp = (socket: Net.Socket, total: number): Promise<void> =>
  new Promise((resolve) => {
    let left = total
    const go = (): void => {
      while (left > 0) {
        left -= CHUNK
        if (!socket.write(chunk)) return
      }
    }
    socket.on("drain", go)
    socket.once("data", () => resolve())
    go()
  })

const median = (values: Array<number>): number => values.sort((a, b) => a - b)[values.length >> 1]!

const pingPong = (count: number, send: () => void, heard: (answer: () => void) => void): Promise<number> =>
  new Promise((resolve) => {
    const times: Array<number> = []
    let since = performance.now()
    heard(() => {
      const now = performance.now()
      times.push(now - since)
      if (times.length === count) return resolve(median(times.slice(count >> 2)))
      since = now
      send()
    })
    send()
  })

const connectTcp = (port: number): Effect.Effect<Net.Socket> =>
  Effect.callback((resume) => {
    const socket = Net.connect({ port, host: "127.0.0.1", noDelay: true }, () => resume(Effect.succeed(socket)))
  })

const rate = (bytes: number, run: () => Promise<void>): Effect.Effect<number> =>
  Effect.promise(async () => {
    const since = performance.now()
    await run()
    return bytes / (performance.now() - since) * 1000
  })

const measure = Effect.fnUntraced(function*({ bytes, figures, roundTrips, rounds, state }: Config) {
  const { connect } = yield* Sessions
  const words = new Int32Array(state)
  const into = new Float64Array(figures)

  const bulk = (endpoint: string) =>
    Effect.scoped(Effect.flatMap(connect(endpoint), (session) => rate(bytes, () => sendAll(session, bytes))))
  const bulkTcp = Effect.gen(function*() {
    const socket = yield* connectTcp(words[SINK_PORT]!)
    const result = yield* rate(bytes, () => sendAllTcp(socket, bytes))
    socket.destroy()
    return result
  })
  const ping = Effect.scoped(Effect.gen(function*() {
    const session = yield* connect("local://echo")
    return yield* Effect.promise(() =>
      pingPong(roundTrips, () => void session.write(message), (answer) => {
        session.handler = {
          readable: (session) => {
            let got = 0
            for (let part = session.peek(); part !== undefined; part = session.peek()) {
              got += part.length
              session.drop(part.length)
            }
            if (got > 0) answer()
          }
        }
      })
    )
  }))
  const pingTcp = Effect.gen(function*() {
    const socket = yield* connectTcp(words[ECHO_PORT]!)
    const result = yield* Effect.promise(() =>
      pingPong(roundTrips, () => void socket.write(message), (answer) => void socket.on("data", answer))
    )
    socket.destroy()
    return result
  })

  for (let round = -1; round < rounds; round++) {
    const found = [
      yield* bulk("local://drop"),
      yield* bulk("local://copy"),
      yield* bulkTcp,
      yield* ping,
      yield* pingTcp
    ]
    // the first is for the compiler
    if (round >= 0) into.set(found, FIGURES * round)
  }
  Atomics.store(words, DONE, 1)
  Atomics.notify(words, DONE)
})

export default Layer.effectDiscard(Effect.gen(function*() {
  const config = (yield* Sessions).config as Config
  if (config.role === "server") return yield* serve(config)
  yield* Effect.forkScoped(measure(config))
}))
