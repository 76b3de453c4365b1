/**
 * The contract of Effect's `Socket`, case by case. A case has two ends: the subject, which has the socket that is tested
 * and may be on another thread, and the peer, which has one of the system's.
 */
import * as Array from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import { strictEqual } from "node:assert"
import * as Pem from "./Pem.ts"
import type { SocketPeer } from "./SocketPeer.ts"
import { turn } from "./until.ts"
import type { Wire } from "./Wire.ts"

export type Role = "server" | "client"

export interface SocketCase {
  readonly title: string
  /** Default: both. */
  readonly role?: Role
  readonly subject: (socket: Socket.Socket, wire: Wire) => Effect.Effect<unknown, unknown, Scope.Scope>
  readonly peer: (peer: SocketPeer) => Promise<void>
  /** The subject's words. */
  readonly says: ReadonlyArray<string>
}

const MIB = 1_048_576

/** What an error says that a program can tell apart. */
const word = (error: Socket.SocketError): string =>
  error.reason._tag === "SocketCloseError" ? `close ${error.reason.code}` : error.reason._tag

const textOf = (batch: ReadonlyArray<Uint8Array | string>): string =>
  batch.map((chunk) => Buffer.from(chunk).toString()).join("")

/** Pulls until that many bytes have come, all of them when none are named; gives the text and why it ended. */
const pullAll = Effect.fnUntraced(function*(reader: Socket.Reader, bytes = Infinity) {
  let text = ""
  while (text.length < bytes) {
    const pulled = yield* Effect.result(reader.pull)
    if (Result.isFailure(pulled)) return { text, why: word(pulled.failure) }
    text += textOf(pulled.success)
  }
  return { text, why: "" }
})

const hear = (wire: Wire, text: string) => Effect.promise(() => wire.hear(text))

const whyFailed = Effect.match({ onFailure: word, onSuccess: () => "no failure" })

const rsa = Pem.pair("rsa")
const identity = { key: Redacted.make(rsa.key), cert: rsa.certificate }

/** More than what the system and the fifos hold on the way. */
const MUCH = 16 * MIB

const much = Buffer.alloc(MUCH)
for (let at = 0; at < MUCH; at += 4) much.writeUInt32LE(at, at)

/** A pattern that shows what is missing, or out of order. */
const pattern = (bytes: number): Buffer => much.subarray(0, bytes)

export const socketCases: ReadonlyArray<SocketCase> = [
  {
    title: "what the peer sends is pulled, and what is written arrives",
    subject: Effect.fnUntraced(function*(socket) {
      const reader = yield* socket.reader
      const writer = yield* socket.writer
      const { text } = yield* pullAll(reader, 5)
      yield* writer.write(text.toUpperCase())
      yield* writer.write(new TextEncoder().encode(" – bytes"))
      yield* writer.writeAll([" and", Buffer.from(" a"), " batch"])
      yield* pullAll(reader)
    }),
    peer: async (peer) => {
      peer.socket.write("hello")
      await peer.untilText("HELLO – bytes and a batch")
      peer.socket.end()
    },
    says: []
  },
  {
    title: "the end of the peer's side fails the pull with 1000, after all that it sent, and the next pull too",
    subject: Effect.fnUntraced(function*(socket, wire) {
      const reader = yield* socket.reader
      const { text, why } = yield* pullAll(reader)
      wire.say(text)
      wire.say(why)
      wire.say(yield* whyFailed(reader.pull))
    }),
    peer: async (peer) => {
      peer.socket.end("all of it")
      await peer.untilEnded()
    },
    says: ["all of it", "close 1000", "close 1000"]
  },
  {
    title: "a reset by the peer fails a pull that waits with SocketReadError",
    subject: Effect.fnUntraced(function*(socket, wire) {
      const reader = yield* socket.reader
      yield* pullAll(reader, 1)
      const pulling = yield* Effect.forkChild(whyFailed(reader.pull), { startImmediately: true })
      wire.say("pulling")
      wire.say(yield* Fiber.join(pulling))
    }),
    peer: async (peer) => {
      peer.socket.write("x")
      await peer.wire.hear("pulling")
      peer.reset()
    },
    says: ["pulling", "SocketReadError"]
  },
  {
    title: "the end of the reader's scope fails a pull that waits with 1006",
    subject: Effect.fnUntraced(function*(socket, wire) {
      const scope = yield* Scope.make()
      const reader = yield* Scope.provide(socket.reader, scope)
      yield* pullAll(reader, 1)
      const pulling = yield* Effect.forkChild(whyFailed(reader.pull), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      wire.say(yield* Fiber.join(pulling))
      wire.say(yield* whyFailed(reader.pull))
    }),
    peer: async (peer) => {
      peer.socket.write("x")
      await peer.untilClosedOrEnded()
    },
    says: ["close 1006", "close 1006"]
  },
  {
    title: "a pull that is interrupted loses nothing",
    subject: Effect.fnUntraced(function*(socket, wire) {
      const reader = yield* socket.reader
      yield* pullAll(reader, 1)
      const pulling = yield* Effect.forkChild(reader.pull, { startImmediately: true })
      yield* Fiber.interrupt(pulling)
      wire.say("interrupted")
      wire.say((yield* pullAll(reader, 7)).text)
    }),
    peer: async (peer) => {
      peer.socket.write("x")
      await peer.wire.hear("interrupted")
      peer.socket.write("nothing")
      await peer.untilEnded()
    },
    says: ["interrupted", "nothing"]
  },
  {
    title: "the end of the writer's scope half-closes: the peer reads the end, and the reader goes on",
    subject: Effect.fnUntraced(function*(socket, wire) {
      const reader = yield* socket.reader
      yield* Effect.scoped(Effect.flatMap(socket.writer, (writer) => writer.write("all I have")))
      wire.say((yield* pullAll(reader)).text)
    }),
    peer: async (peer) => {
      await peer.untilEnded()
      strictEqual(peer.text, "all I have")
      peer.socket.end("and I")
      await peer.untilClosed()
    },
    says: ["and I"]
  },
  {
    title: "the end of the reader's scope ends the connection, after what was written",
    subject: Effect.fnUntraced(function*(socket) {
      const scope = yield* Scope.make()
      yield* Scope.provide(socket.reader, scope)
      const writer = yield* socket.writer
      yield* writer.write(pattern(MIB))
      yield* Scope.close(scope, Exit.void)
    }),
    peer: async (peer) => {
      await peer.untilEnded()
      strictEqual(peer.received.equals(pattern(MIB)), true)
    },
    says: []
  },
  {
    title: "a write waits for the connection",
    subject: Effect.fnUntraced(function*(socket, wire) {
      const writer = yield* socket.writer
      const writing = yield* Effect.forkChild(writer.write("early"), { startImmediately: true })
      wire.say(writing.pollUnsafe() === undefined ? "waits" : "does not wait")
      const reader = yield* socket.reader
      yield* Fiber.join(writing)
      yield* pullAll(reader)
    }),
    peer: async (peer) => {
      await peer.untilText("early")
      peer.socket.end()
    },
    says: ["waits"]
  },
  {
    title: "a peer that does not read stops the writer, and gets it all when it does",
    subject: Effect.fnUntraced(function*(socket, wire) {
      const reader = yield* socket.reader
      const bytes = pattern(MUCH)
      yield* Effect.scoped(Effect.gen(function*() {
        const writer = yield* socket.writer
        let isFull = false
        for (let at = 0; at < bytes.length; at += 65_536) {
          const write = writer.write(bytes.subarray(at, at + 65_536))
          if (isFull) {
            yield* write
            continue
          }
          const writing = yield* Effect.forkChild(write, { startImmediately: true })
          for (let turns = 0; turns < 500 && writing.pollUnsafe() === undefined; turns++) yield* turn
          if (writing.pollUnsafe() === undefined) {
            isFull = true
            wire.say("full")
          }
          yield* Fiber.join(writing)
        }
      }))
      yield* pullAll(reader)
    }),
    peer: async (peer) => {
      peer.socket.pause()
      await peer.wire.hear("full")
      peer.socket.resume()
      await peer.untilEnded()
      strictEqual(peer.received.equals(pattern(MUCH)), true)
      peer.socket.end()
    },
    says: ["full"]
  },
  {
    title: "a reader that does not pull stops the peer, and gets it all when it does",
    subject: Effect.fnUntraced(function*(socket, wire) {
      const reader = yield* socket.reader
      yield* hear(wire, "pull")
      let at = 0
      let isRight = true
      const expected = pattern(MUCH)
      const end = yield* Effect.flip(Effect.forever(Effect.map(reader.pull, (batch) => {
        for (const chunk of batch) {
          isRight &&= Buffer.from(chunk).equals(expected.subarray(at, at + chunk.length))
          at += chunk.length
        }
      })))
      wire.say(`${at} ${isRight} ${word(end)}`)
    }),
    peer: async (peer) => {
      peer.socket.end(pattern(MUCH))
      await peer.untilStopped()
      peer.wire.say("pull")
      await peer.untilEnded()
    },
    says: [`${MUCH} true close 1000`]
  },
  {
    title: "a write that is interrupted is sent whole, and what is written next comes after it",
    subject: Effect.fnUntraced(function*(socket, wire) {
      const reader = yield* socket.reader
      const writer = yield* socket.writer
      const writing = yield* Effect.forkChild(writer.write(pattern(MUCH)), { startImmediately: true })
      for (let turns = 0; turns < 100; turns++) yield* turn
      wire.say(writing.pollUnsafe() === undefined ? "waits" : "does not wait")
      yield* Fiber.interrupt(writing)
      const next = yield* Effect.forkChild(writer.write("next"), { startImmediately: true })
      wire.say("read")
      yield* Fiber.join(next)
      yield* pullAll(reader)
    }),
    peer: async (peer) => {
      peer.socket.pause()
      await peer.wire.hear("read")
      peer.socket.resume()
      await peer.until("all of it", () => peer.bytes === MUCH + 4)
      strictEqual(peer.received.equals(Buffer.concat([pattern(MUCH), Buffer.from("next")])), true)
      peer.socket.end()
    },
    says: ["waits", "read"]
  },
  {
    title: "writes of many fibers arrive whole, each one's in its order",
    subject: Effect.fnUntraced(function*(socket) {
      const reader = yield* socket.reader
      yield* Effect.scoped(Effect.flatMap(socket.writer, (writer) =>
        Effect.forEach(
          Array.range(0, 9),
          (fiber) =>
            Effect.forEach(Array.range(0, 99), (n) => writer.write(`${fiber}:${n}`.padEnd(5000, ".") + "\n"), {
              discard: true
            }),
          { concurrency: "unbounded", discard: true }
        )))
      yield* pullAll(reader)
    }),
    peer: async (peer) => {
      await peer.untilEnded()
      const lines = peer.text.trimEnd().split("\n")
      strictEqual(lines.length, 1000)
      const next = new Map<string, number>()
      for (const line of lines) {
        const [, fiber, n] = /^(\d):(\d+)\.+$/.exec(line)!
        strictEqual(line.length, 5000)
        strictEqual(Number(n), next.get(fiber!) ?? 0)
        next.set(fiber!, Number(n) + 1)
      }
      peer.socket.end()
    },
    says: []
  },
  {
    title: "a close event 1000 ends the connection after what was written, and fails the pull with 1000",
    subject: Effect.fnUntraced(function*(socket, wire) {
      const reader = yield* socket.reader
      const writer = yield* socket.writer
      yield* pullAll(reader, 1)
      const pulling = yield* Effect.forkChild(whyFailed(reader.pull), { startImmediately: true })
      yield* writer.write("bye")
      yield* writer.write(new Socket.CloseEvent(1000))
      wire.say(yield* Fiber.join(pulling))
    }),
    peer: async (peer) => {
      peer.socket.write("x")
      await peer.untilEnded()
      strictEqual(peer.text, "bye")
    },
    says: ["close 1000"]
  },
  {
    title: "a close event above 1000 fails the pull with SocketReadError, and what was written still arrives",
    subject: Effect.fnUntraced(function*(socket, wire) {
      const reader = yield* socket.reader
      const writer = yield* socket.writer
      yield* pullAll(reader, 1)
      const pulling = yield* Effect.forkChild(whyFailed(reader.pull), { startImmediately: true })
      yield* writer.write("oh no")
      yield* writer.write(new Socket.CloseEvent(1011, "something happened"))
      wire.say(yield* Fiber.join(pulling))
    }),
    peer: async (peer) => {
      peer.socket.write("x")
      await peer.untilEnded()
      strictEqual(peer.text, "oh no")
    },
    says: ["SocketReadError"]
  },
  {
    title: "it is a channel, and a stream",
    subject: Effect.fnUntraced(function*(socket, wire) {
      const upper = Stream.fromChannel(Socket.toChannelString(socket) as never) as Stream.Stream<
        string,
        Socket.SocketError
      >
      wire.say(yield* whyFailed(Stream.runForEach(upper, (text) => Effect.sync(() => wire.say(text)))))
    }),
    peer: async (peer) => {
      peer.socket.end("stréam")
      await peer.untilEnded()
    },
    says: ["stréam", "close 1000"]
  },
  {
    title: "upgrade makes it TLS's server, for the bytes that follow",
    role: "server",
    subject: Effect.fnUntraced(function*(socket, wire) {
      const reader = yield* socket.reader
      const writer = yield* socket.writer
      wire.say((yield* pullAll(reader, 8)).text)
      yield* writer.write("go ahead")
      yield* reader.upgrade({ ...identity, alpnProtocols: ["chat"] })
      wire.say((yield* pullAll(reader, 6)).text)
      yield* writer.write("as well")
      wire.say((yield* pullAll(reader)).why)
    }),
    peer: async (peer) => {
      peer.socket.write("STARTTLS")
      await peer.untilText("go ahead")
      const tls = await peer.secure({ ca: rsa.certificate, servername: "rsa.test", ALPNProtocols: ["chat"] })
      strictEqual(tls.alpnProtocol, "chat")
      tls.write("secret")
      await peer.untilText("as well")
      tls.end()
    },
    says: ["STARTTLS", "secret", "close 1000"]
  },
  {
    title: "upgrade makes it TLS's client, for the bytes that follow",
    role: "client",
    subject: Effect.fnUntraced(function*(socket, wire) {
      const reader = yield* socket.reader
      const writer = yield* socket.writer
      yield* writer.write("STARTTLS")
      wire.say((yield* pullAll(reader, 8)).text)
      yield* reader.upgrade({ ca: rsa.certificate, servername: "rsa.test" })
      yield* writer.writeAll(["sec", "ret"])
      wire.say((yield* pullAll(reader)).text)
    }),
    peer: async (peer) => {
      await peer.untilText("STARTTLS")
      peer.socket.write("go ahead")
      const tls = await peer.secure({ isServer: true, key: rsa.key, cert: rsa.certificate })
      await peer.untilText("secret")
      tls.end("as well")
    },
    says: ["go ahead", "as well"]
  },
  {
    title: "TLS ends in order: what was written before the reader's scope ended arrives",
    role: "server",
    subject: Effect.fnUntraced(function*(socket, wire) {
      const scope = yield* Scope.make()
      const reader = yield* Scope.provide(socket.reader, scope)
      const writer = yield* socket.writer
      yield* pullAll(reader, 1)
      wire.say("go")
      yield* reader.upgrade(identity)
      yield* writer.write(pattern(65_536))
      yield* Effect.scoped(socket.writer)
      yield* pullAll(reader)
      yield* Scope.close(scope, Exit.void)
    }),
    peer: async (peer) => {
      peer.socket.write("x")
      await peer.wire.hear("go")
      const tls = await peer.secure({ ca: rsa.certificate, servername: "rsa.test" })
      await peer.untilEnded()
      strictEqual(peer.received.equals(pattern(65_536)), true)
      tls.end()
    },
    says: ["go"]
  },
  {
    title: "upgrade without the identity that a server needs fails, and changes nothing",
    role: "server",
    subject: Effect.fnUntraced(function*(socket, wire) {
      const reader = yield* socket.reader
      const writer = yield* socket.writer
      wire.say(yield* whyFailed(reader.upgrade()))
      wire.say(yield* whyFailed(reader.upgrade({ key: identity.key })))
      yield* writer.write("still plain")
      wire.say((yield* pullAll(reader)).text)
    }),
    peer: async (peer) => {
      await peer.untilText("still plain")
      peer.socket.end("so am I")
    },
    says: ["SocketUpgradeError", "SocketUpgradeError", "so am I"]
  },
  {
    title: "upgrade with a peer that talks something else fails",
    role: "client",
    subject: Effect.fnUntraced(function*(socket, wire) {
      const reader = yield* socket.reader
      wire.say(yield* whyFailed(reader.upgrade({ ca: rsa.certificate, servername: "rsa.test" })))
      wire.say(yield* whyFailed(reader.pull))
    }),
    peer: async (peer) => {
      await peer.until("a greeting", () => peer.bytes > 0)
      peer.socket.write("220 not a word of TLS\r\n")
      await peer.untilClosedOrEnded()
    },
    says: ["SocketUpgradeError", "SocketUpgradeError"]
  },
  {
    title: "upgrade with a certificate that nobody trusts fails",
    role: "client",
    subject: Effect.fnUntraced(function*(socket, wire) {
      const reader = yield* socket.reader
      wire.say(yield* whyFailed(reader.upgrade({ servername: "rsa.test" })))
    }),
    peer: async (peer) => {
      await peer.secure({ isServer: true, key: rsa.key, cert: rsa.certificate })
      await peer.untilClosedOrEnded()
    },
    says: ["SocketUpgradeError"]
  },
  {
    title: "an upgrade that is interrupted ends the connection",
    subject: Effect.fnUntraced(function*(socket, wire) {
      const reader = yield* socket.reader
      const upgrading = yield* Effect.forkChild(reader.upgrade(identity), { startImmediately: true })
      yield* turn
      yield* Fiber.interrupt(upgrading)
      wire.say(yield* whyFailed(reader.pull))
    }),
    peer: (peer) => peer.untilClosedOrEnded(),
    says: ["close 1006"]
  },
  {
    title: "a second upgrade fails",
    role: "server",
    subject: Effect.fnUntraced(function*(socket, wire) {
      const reader = yield* socket.reader
      yield* pullAll(reader, 1)
      wire.say("go")
      yield* reader.upgrade(identity)
      wire.say(yield* whyFailed(reader.upgrade(identity)))
      wire.say((yield* pullAll(reader)).text)
    }),
    peer: async (peer) => {
      peer.socket.write("x")
      await peer.wire.hear("go")
      const tls = await peer.secure({ ca: rsa.certificate, servername: "rsa.test" })
      tls.end("once")
    },
    says: ["go", "SocketUpgradeError", "once"]
  }
]
