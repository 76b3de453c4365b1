import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Net from "node:net"
import * as SocketEnd from "../../../src/layers/transport/SocketEnd.ts"
import { until } from "../../support/until.ts"

/** Both ends of a connection, half-open allowed; nothing is read from the peer before it is resumed. */
const pair = Effect.gen(function*() {
  const server = yield* Effect.acquireRelease(
    Effect.callback<Net.Server>((resume) => {
      const server = Net.createServer({ allowHalfOpen: true, pauseOnConnect: true })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )
  const { port } = server.address() as Net.AddressInfo
  const accepted = new Promise<Net.Socket>((done) => server.once("connection", done))
  const peer = Net.connect({ port, host: "127.0.0.1", allowHalfOpen: true }).pause()
  const socket = yield* Effect.promise(() => accepted)
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      peer.destroy()
      socket.destroy()
    })
  )
  const errors: Array<string | undefined> = []
  peer.on("error", (error: NodeJS.ErrnoException) => errors.push(error.code))
  socket.on("error", () => {})
  return { peer, socket, errors }
})

describe("SocketEnd", () => {
  it.live("a socket is reset at once, and its peer hears of that", () =>
    Effect.gen(function*() {
      const { errors, peer, socket } = yield* pair
      SocketEnd.reset(socket, undefined)
      peer.resume()
      yield* until("a reset", () => errors.length > 0)
      assert.deepStrictEqual(errors, ["ECONNRESET"])
      assert.isTrue(socket.destroyed)
    }))

  it.live("one whose end waits behind bytes that nobody takes is reset at once too", () =>
    Effect.gen(function*() {
      const { errors, peer, socket } = yield* pair
      socket.end(Buffer.alloc(64 << 20))
      yield* until("bytes on their way", () => socket.bytesWritten > 0)
      SocketEnd.reset(socket, undefined)
      assert.isTrue(socket.destroyed)
      peer.resume()
      yield* until("a reset", () => errors.length > 0)
      assert.deepStrictEqual(errors, ["ECONNRESET"])
    }))

  it.live("one whose end is on its way is reset behind it, and closes", () =>
    Effect.gen(function*() {
      const { peer, socket } = yield* pair
      let closed = false
      socket.on("close", () => closed = true)
      socket.end()
      SocketEnd.reset(socket, undefined)
      assert.isFalse(socket.destroyed)
      peer.resume()
      yield* until("the close", () => closed)
    }))

  it.live("one of another above it takes both along, and a second time nothing happens", () =>
    Effect.gen(function*() {
      const { errors, peer, socket } = yield* pair
      const above = new Net.Socket()
      for (let times = 0; times < 2; times++) SocketEnd.reset(above, socket)
      yield* until("both to be gone", () => above.destroyed && socket.destroyed)
      peer.resume()
      yield* until("a reset", () => errors.length > 0)
      assert.deepStrictEqual(errors, ["ECONNRESET"])
    }))
})
