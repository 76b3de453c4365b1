/** X7: refused connections that are handles, over real sockets. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Net from "node:net"
import * as NodeHandle from "../../../src/layers/transport/NodeHandle.ts"
import { SentAwayHandles } from "../../../src/layers/transport/SentAwayHandle.ts"
import { until } from "../../support/until.ts"

const ANSWER = "HTTP/1.1 503 Service Unavailable\r\n\r\n"
const REQUEST = "GET / HTTP/1.1\r\n\r\n"
const HOUR = 3_600_000

/** A peer, and what it has heard. */
interface Peer {
  readonly socket: Net.Socket
  text: string
  ended: boolean
  error: string | undefined
}

/** A server that sends everybody away; peers stay open until they end themselves. */
const sending = Effect.fnUntraced(function*(all: SentAwayHandles, answer: string | null = ANSWER) {
  let taken = 0
  const server = yield* Effect.acquireRelease(
    Effect.callback<Net.Server>((resume) => {
      const server = Net.createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )
  NodeHandle.serverHandle(server)!.onconnection = (_, handle) => {
    assert.isTrue(all.take(handle!, answer === null ? undefined : Buffer.from(answer)))
    taken++
  }
  const { port } = server.address() as Net.AddressInfo
  const peer = Effect.fnUntraced(function*(says = "") {
    const socket = Net.connect({ port, host: "127.0.0.1", allowHalfOpen: true })
    yield* Effect.addFinalizer(() => Effect.sync(() => socket.destroy()))
    const peer: Peer = { socket, text: "", ended: false, error: undefined }
    socket.on("data", (bytes: Buffer) => peer.text += bytes.toString())
    socket.on("end", () => peer.ended = true).on("error", ({ code }: NodeJS.ErrnoException) => peer.error = code)
    if (says !== "") socket.write(says)
    const before = taken
    yield* until("the connection", () => taken > before)
    return peer
  })
  return peer
})

const isAnswered = ({ ended, text }: Peer): boolean => ended && text === ANSWER

describe("SentAwayHandle", () => {
  it.live("X7 a peer that has sent its request is answered, and nothing is left of it", () =>
    Effect.gen(function*() {
      const all = new SentAwayHandles(4, HOUR)
      const peer = yield* (yield* sending(all))(REQUEST)
      yield* until("the answer", () => isAnswered(peer))
      assert.deepStrictEqual([all.size, peer.error], [0, undefined])
    }).pipe(Effect.scoped))

  it.live("X7 one with a body is answered and listened to, until it ends or a step is over", () =>
    Effect.gen(function*() {
      const all = new SentAwayHandles(4, HOUR)
      const peer = yield* (yield* sending(all))("POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n")
      yield* until("the answer", () => isAnswered(peer))
      assert.strictEqual(all.size, 1)
      peer.socket.end("more of it")
      yield* until("the close", () => all.size === 0)
      assert.isUndefined(peer.error)
      const brief = new SentAwayHandles(4, 5)
      const staying = yield* (yield* sending(brief))("POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n")
      yield* until("the answer", () => isAnswered(staying))
      yield* until("the close", () => brief.size === 0)
    }).pipe(Effect.scoped))

  it.live("X7 one that says nothing is answered after a step, and forgotten after another", () =>
    Effect.gen(function*() {
      const all = new SentAwayHandles(4, 5)
      const peer = yield* (yield* sending(all))()
      yield* until("the answer", () => isAnswered(peer))
      yield* until("the close", () => all.size === 0)
      assert.isUndefined(peer.error)
    }).pipe(Effect.scoped))

  it.live("X7 there are no more than there may be: the oldest makes room", () =>
    Effect.gen(function*() {
      const all = new SentAwayHandles(2, HOUR)
      const peer = yield* sending(all)
      const peers = [yield* peer(), yield* peer(), yield* peer()]
      yield* until("the end of the first", () => isAnswered(peers[0]!))
      assert.deepStrictEqual([all.size, ...peers.map(({ ended }) => ended)], [2, true, false, false])
      peers[1]!.socket.write(REQUEST)
      yield* until("the answer", () => isAnswered(peers[1]!))
      assert.strictEqual(all.size, 1)
    }).pipe(Effect.scoped))

  it.live("X7 one that pushes on is not read for ever", () =>
    Effect.gen(function*() {
      const all = new SentAwayHandles(2, HOUR)
      const peer = yield* (yield* sending(all))("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
      yield* until("the answer", () => isAnswered(peer))
      peer.socket.write(Buffer.alloc(64 << 20))
      yield* until("bytes on their way", () => NodeHandle.bytesOf(peer.socket).gone >= 8 << 20)
      assert.isAbove(peer.socket.writableLength, 0)
      assert.strictEqual(all.size, 1)
    }).pipe(Effect.scoped))

  it.live("X7 without an answer, there is a reset", () =>
    Effect.gen(function*() {
      const all = new SentAwayHandles(2, HOUR)
      const peer = yield* (yield* sending(all, null))()
      yield* until("the reset", () => peer.socket.closed)
      assert.deepStrictEqual([peer.error, all.size], ["ECONNRESET", 0])
    }).pipe(Effect.scoped))
})
