import { assert, describe, it } from "@effect/vitest"
import { AsyncLocalStorage } from "node:async_hooks"
import * as Crypto from "node:crypto"
import { once } from "node:events"
import * as Http from "node:http"
import { finished, pipeline, Readable, Transform, Writable } from "node:stream"
import * as Streams from "node:stream/promises"
import { SessionDuplex, type SessionDuplexOptions } from "../../../../src/layers/adapters/node/SessionDuplex.ts"
import * as SessionPair from "../../../support/SessionPair.ts"

const immediate = () => new Promise<void>((resolve) => setImmediate(resolve))
const settled = async () => {
  for (let i = 0; i < 5; i++) await immediate()
}
const code = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | null | undefined)?.code

/** Both ends as streams. */
const streams = (bound?: number, options?: SessionDuplexOptions) => {
  const pair = SessionPair.make({ bound })
  return { ...pair, a: new SessionDuplex(pair.server, options), b: new SessionDuplex(pair.client, options) }
}

/** One end as a stream, and the events it emits in order. */
const one = (bound?: number, options?: SessionDuplexOptions) => {
  const { client, server } = SessionPair.make({ bound })
  const duplex = new SessionDuplex(server, options)
  return { peer: client, session: server, duplex, events: record(duplex) }
}

const record = (duplex: SessionDuplex): Array<string> => {
  const events: Array<string> = []
  for (const name of ["end", "finish", "close", "timeout"]) duplex.on(name, () => events.push(name))
  duplex.on("error", (error) => events.push(`error ${code(error)}`))
  return events
}

/** All that a stream reads. An iterator that is not told otherwise destroys its stream at the end, both sides of it. */
const bytes = async (readable: Readable): Promise<Buffer> => {
  const parts: Array<Uint8Array> = []
  for await (const chunk of readable.iterator({ destroyOnReturn: false })) parts.push(chunk)
  return Buffer.concat(parts)
}

const text = async (readable: Readable): Promise<string> => (await bytes(readable)).toString()

const drained = (session: SessionPair.End): string => (Buffer.from(session.read() ?? []).toString())

const assertReleased = (duplex: SessionDuplex, session: SessionPair.End) => {
  assert.isTrue(duplex.destroyed)
  assert.isUndefined(session.handler)
  assert.isTrue(session.closed)
  assert.isTrue(session.calls.includes("close") || session.calls.includes("abort"), session.calls.join())
  assert.deepStrictEqual(session.thrown, [])
}

const pattern = (size: number) => {
  const made = Buffer.allocUnsafe(size)
  for (let i = 0; i < size; i++) made[i] = (i * 7 + (i >>> 8)) & 255
  return made
}
const sha = (of: Uint8Array) => Crypto.createHash("sha256").update(of).digest("hex")

describe("SessionDuplex", () => {
  describe("bytes", () => {
    for (const bound of [1, 7, 64, 4096, 65_536]) {
      const size = bound < 64 ? 3000 : 1 << 18
      it(`carries ${size} bytes each way at once through fifos of ${bound}, in order and complete`, async () => {
        const { a, b, client, server } = streams(bound)
        const sent = pattern(size)
        const received = [bytes(a), bytes(b)]
        for (const stream of [a, b]) {
          // single writes and bursts, which arrive as `_write` and as `_writev`
          for (let at = 0, n = 1; at < size; at += n, n = (n * 5 + 3) % 1021) {
            if (!stream.write(sent.subarray(at, at + n)) && n % 2 === 0) await once(stream, "drain")
          }
          stream.end()
        }
        for (const got of await Promise.all(received)) assert.strictEqual(sha(got), sha(sent))
        await settled()
        for (const stream of [a, b]) {
          assert.strictEqual(stream.bytesRead, size)
          assert.strictEqual(stream.bytesWritten, size)
        }
        assertReleased(a, server)
        assertReleased(b, client)
      })
    }

    it("leaves bytes in the fifo until they are wanted, so that the writer feels a reader that pauses", async () => {
      const { duplex, peer, session } = one(1000, { highWaterMark: 100 })
      peer.write(pattern(1000))
      await settled()
      // one chunk of what was there: a fifo's worth at most above the mark
      const held = duplex.readableLength
      assert.isAtLeast(held, 100)
      peer.write(pattern(1000))
      await settled()
      assert.strictEqual(duplex.readableLength, held)
      assert.strictEqual(session.available, peer.write(pattern(1)) === 0 ? 1000 : session.available)
      duplex.destroy()
    })

    it("tells a writer to wait for the reader, and to go on", async () => {
      const { a, b, server } = streams(100, { highWaterMark: 50 })
      assert.isFalse(a.write(pattern(500)))
      await settled()
      assert.strictEqual(a.writableLength, 500)
      assert.strictEqual(a.bytesWritten, 500)
      let received = 0
      b.on("data", (chunk: Uint8Array) => received += chunk.length)
      await once(a, "drain")
      await settled()
      assert.strictEqual(received, 500)
      assert.strictEqual(a.writableLength, 0)
      assert.isAtLeast(server.edges.writable, 4)
      a.destroy()
      b.destroy()
    })

    it("sees bytes and the end that were there before it was made", async () => {
      const { client, server } = SessionPair.make()
      client.write(Buffer.from("early"))
      client.end()
      await settled()
      const duplex = new SessionDuplex(server)
      assert.strictEqual(await text(duplex), "early")
    })

    it("reads nothing before somebody asks, where it is made paused", async () => {
      const { duplex, peer, session } = one(undefined, { pauseOnCreate: true })
      peer.write(Buffer.from("one"))
      await settled()
      assert.strictEqual(session.edges.readable, 1)
      assert.strictEqual(duplex.readableLength, 0)
      peer.end()
      await settled()
      assert.strictEqual(await text(duplex), "one")
    })

    it("goes on when a reader comes back for more from inside `data`", async () => {
      const { duplex, peer } = one(7, { highWaterMark: 2 })
      let got = ""
      duplex.on("data", (chunk: Buffer) => {
        got += chunk.toString()
        duplex.pause()
        duplex.read(0)
        duplex.resume()
      })
      const sent = "abcdefghijklmnopqrstuvwxyz"
      for (let at = 0; at < sent.length;) {
        at += peer.write(Buffer.from(sent), at)
        await immediate()
      }
      peer.end()
      await once(duplex, "end")
      assert.strictEqual(got, sent)
    })

    it("reads with `readable` and `read(n)`", async () => {
      const { duplex, peer } = one(5)
      const sent = "0123456789abcdef"
      let got = ""
      duplex.on("readable", () => {
        for (let part = duplex.read(2); part !== null; part = duplex.read(2)) got += part.toString()
      })
      for (let at = 0; at < sent.length;) {
        at += peer.write(Buffer.from(sent), at)
        await immediate()
      }
      peer.end()
      await once(duplex, "end")
      assert.strictEqual(got, sent)
    })

    it("hands on in a turn what was there then, and does not stay for a peer that writes as fast", async () => {
      const { duplex, peer } = one(8)
      let turns = 0
      let others = 0
      const other = () => {
        others++
        if (turns < 100) setImmediate(other)
      }
      duplex.on("data", () => {
        if (turns++ < 100) peer.write(Buffer.from("more"))
      })
      peer.write(Buffer.from("more"))
      setImmediate(other)
      await new Promise<void>((resolve) => void duplex.on("data", () => turns > 100 && resolve()))
      assert.isAtLeast(others, 100)
      duplex.destroy()
    })
  })

  it("gives the loop's other work its turn while it writes to a peer that always has room", async () => {
    const { duplex } = one(1 << 24)
    const part = pattern(65_536)
    for (const burst of [[part], [part, part, part]]) {
      const turns: Array<string> = []
      const before = duplex.bytesWritten
      setImmediate(() => turns.push("other work"))
      while (turns.length === 0 && duplex.bytesWritten < before + (1 << 22)) {
        duplex.cork()
        for (const one of burst) duplex.write(one)
        duplex.uncork()
        await once(duplex, "drain")
      }
      assert.deepStrictEqual(turns, ["other work"])
      assert.isAtMost(duplex.bytesWritten - before, (1 << 20) + 3 * 65_536)
    }
    duplex.destroy()
  })

  describe("ends", () => {
    it("half-closes: it reads on after its own end, and writes on after the peer's", async () => {
      const { a, b } = streams(7)
      a.end("question")
      assert.strictEqual(await text(b), "question")
      assert.isFalse(b.destroyed)
      b.end("a longer answer")
      assert.strictEqual(await text(a), "a longer answer")
      await settled()
      assert.isTrue(a.destroyed)
      assert.isTrue(b.destroyed)
    })

    it("ends its side with the peer's when it may not stay half-open", async () => {
      const { duplex, events, peer, session } = one(undefined, { allowHalfOpen: false })
      duplex.resume()
      peer.end()
      await settled()
      assert.deepStrictEqual(session.calls, ["end", "close"])
      assert.deepStrictEqual(events, ["end", "finish", "close"])
      assert.isTrue(peer.ended)
    })

    it("emits `end` to nobody's reading when there is nothing to read, as a socket does", async () => {
      const { duplex, events, peer } = one()
      duplex.on("end", () => {})
      peer.end()
      await settled()
      assert.deepStrictEqual(events, ["end"])
    })

    it("delivers what was sent before the end, however late it is read", async () => {
      const { duplex, events, peer, session } = one()
      peer.write(Buffer.from("last words"))
      peer.end()
      duplex.end()
      await settled()
      // both have ended: the connection is gone, the bytes are not
      assert.isTrue(session.gone)
      assert.deepStrictEqual(events, ["finish"])
      assert.strictEqual(await text(duplex), "last words")
      await settled()
      assert.deepStrictEqual(events, ["finish", "end", "close"])
      assertReleased(duplex, session)
    })

    it("gives a session that was destroyed in order an end, not a reset", async () => {
      const { duplex, peer, session } = one()
      duplex.write("all of it")
      duplex.destroy()
      await settled()
      assert.deepStrictEqual(session.calls, ["close"])
      assert.strictEqual(drained(peer), "all of it")
      assert.isTrue(peer.ended)
      assert.isUndefined(peer.reset)
    })

    it("sends all that was written before it was destroyed, what it still held among it", async () => {
      const { duplex, peer, session } = one(4)
      duplex.write("in hand, ")
      duplex.write("behind that, ")
      duplex.write(Buffer.from("and last"))
      duplex.destroy(new Error("a request that can't be read"))
      duplex.on("error", () => {})
      let got = ""
      while (!peer.ended) {
        got += drained(peer)
        await immediate()
      }
      got += drained(peer)
      assert.strictEqual(got, "in hand, behind that, and last")
      assert.isUndefined(peer.reset)
      assert.deepStrictEqual(session.calls, ["close"])
    })

    it("ends in order when it is destroyed with an error, as a socket does", async () => {
      const { duplex, peer } = one()
      const events = record(duplex)
      duplex.write("400 and why")
      duplex.destroy(Object.assign(new Error("no more"), { code: "ENOMORE" }))
      await settled()
      assert.isUndefined(peer.reset)
      assert.strictEqual(drained(peer), "400 and why")
      assert.deepStrictEqual(events, ["error ENOMORE", "close"])
    })

    it("destroySoon ends this side, waits until all is on its way, then gives the session up", async () => {
      const { duplex, events, peer, session } = one(4)
      duplex.write("0123456789")
      duplex.destroySoon()
      await settled()
      assert.deepStrictEqual(session.calls, [])
      let got = ""
      while (!peer.ended) {
        got += drained(peer)
        await immediate()
      }
      got += drained(peer)
      assert.strictEqual(got, "0123456789")
      await settled()
      assert.deepStrictEqual(events, ["finish", "close"])
      assert.isUndefined(peer.reset)
      assertReleased(duplex, session)
    })

    it("resetAndDestroy resets the connection", async () => {
      const { duplex, events, peer, session } = one()
      duplex.resetAndDestroy()
      await settled()
      assert.strictEqual(peer.reset, "reset by peer")
      assert.deepStrictEqual(events, ["close"])
      assertReleased(duplex, session)
    })

    it("takes a second destroy, and an error after the first, without a word", async () => {
      const { duplex, events, session } = one()
      duplex.destroy()
      duplex.destroy(new Error("late"))
      duplex.emit("close")
      await settled()
      duplex.destroy(new Error("later"))
      await settled()
      assert.deepStrictEqual(events, ["close", "close"])
      assertReleased(duplex, session)
    })

    it("tells the callback of a write that a destroy cut off, before `close`, as a socket does", async () => {
      const { duplex, events } = one(4)
      duplex.write("too long", (error) => events.push(`write ${code(error)}`))
      duplex.write("buffered", (error) => events.push(`buffered ${code(error)}`))
      duplex.destroy()
      await settled()
      assert.deepStrictEqual(events, ["write ECANCELED", "buffered ECANCELED", "close"])
    })
  })

  describe("edges that come together", () => {
    it("are a turn apart, with the ticks between that Node's libraries count on", async () => {
      const { duplex, peer } = one(8)
      const events: Array<string> = []
      const note = (event: string) => {
        events.push(event)
        process.nextTick(() => events.push(`tick after ${event}`))
        queueMicrotask(() => events.push(`microtask after ${event}`))
      }
      duplex.on("data", (bytes) => note(`data ${bytes}`))
      duplex.on("end", () => note("end"))
      duplex.write("0123456789", () => note("written"))
      await settled()
      // room for what waits, bytes and the end, all at once
      peer.read()
      peer.write(Buffer.from("last"))
      peer.end()
      await settled()
      const after = (event: string) => [event, `tick after ${event}`, `microtask after ${event}`]
      assert.deepStrictEqual(events, [...after("written"), ...after("data last"), ...after("end")])
      duplex.destroy()
    })

    it("leave a request that came with its client's end its answer", async () => {
      for (const turns of [0, 1, 2]) {
        const { client, server } = SessionPair.make()
        const http = Http.createServer((request, response) => {
          request.resume().on("end", () => {
            let answer = (): void => void response.end("answer")
            for (let i = 0; i < turns; i++) answer = ((next) => () => queueMicrotask(next))(answer)
            answer()
          })
        })
        http.emit("connection", new SessionDuplex(server))
        client.write(Buffer.from("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"))
        client.end()
        await settled()
        assert.match(drained(client), /^HTTP\/1\.1 200 OK[^]*answer$/)
      }
    })
  })

  it("closes in its session's context, whoever destroys it", async () => {
    const store = new AsyncLocalStorage<string>()
    const { duplex } = store.run("session", () => one())
    const closed = new Promise((resolve) => duplex.on("close", () => resolve(store.getStore())))
    store.run("another's", () => duplex.destroy())
    assert.strictEqual(await closed, "session")
  })

  describe("breaks", () => {
    it("ends with ECONNRESET and the reason when the peer resets", async () => {
      const { duplex, peer, session } = one()
      peer.abort()
      const [error] = await once(duplex, "error")
      assert.strictEqual(code(error), "ECONNRESET")
      assert.deepStrictEqual([error.message, error.cause], ["read ECONNRESET", "reset by peer"])
      assertReleased(duplex, session)
    })

    it("hands on what had come in before the reset, as far as it is wanted", async () => {
      const { duplex, events, peer } = one()
      let got = ""
      duplex.on("data", (chunk) => got += chunk)
      await settled()
      peer.write(Buffer.from("response"))
      peer.abort()
      await settled()
      assert.strictEqual(got, "response")
      assert.deepStrictEqual(events, ["error ECONNRESET", "close"])
    })

    it("sees a reset that was there before it was made, even if nobody reads", async () => {
      const { client, server } = SessionPair.make()
      client.abort()
      await settled()
      const events = record(new SessionDuplex(server))
      await settled()
      assert.deepStrictEqual(events, ["error ECONNRESET", "close"])
    })

    it("fails a write to a session that takes no more with EPIPE, to one that broke with ECONNRESET", async () => {
      const closed = one()
      closed.session.close()
      closed.duplex.write("x")
      await settled()
      assert.deepStrictEqual(closed.events, ["error EPIPE", "close"])

      const broken = one()
      broken.peer.abort()
      broken.duplex.write("x")
      await settled()
      assert.deepStrictEqual(broken.events, ["error ECONNRESET", "close"])
    })

    it("ends with ECONNRESET when the connection breaks after both sides have ended", async () => {
      const { duplex, events, peer, session } = one()
      peer.write(Buffer.from("unread"))
      peer.end()
      duplex.end()
      session.reset = "broken on the way"
      await settled()
      assert.deepStrictEqual(events.filter((event) => event !== "finish"), ["error ECONNRESET", "close"])
    })

    it("fails a write that waits when the connection breaks", async () => {
      const { duplex, events, peer } = one(4)
      duplex.write("too long", (error) => events.push(`write ${code(error)}`))
      await settled()
      peer.abort()
      await settled()
      assert.deepStrictEqual(events, ["error ECONNRESET", "write ECANCELED", "close"])
    })

    it("is told when somebody else gives its session up", async () => {
      const { duplex, events, session } = one()
      session.close()
      await settled()
      session.peer.end()
      await settled()
      assert.deepStrictEqual(events, ["error ECONNRESET", "close"])
      assertReleased(duplex, session)
    })

    const steps: Record<string, (peer: SessionPair.End) => void> = {
      bytes: (peer) => void peer.write(Buffer.from("bytes")),
      end: (peer) => peer.end(),
      close: (peer) => peer.close(),
      reset: (peer) => peer.abort()
    }
    const own: Record<string, (duplex: SessionDuplex) => void> = {
      "says nothing": () => {},
      writes: (duplex) => void duplex.write("own"),
      ends: (duplex) => void duplex.end("own"),
      "destroys itself": (duplex) => void duplex.destroy()
    }
    const orders = (names: ReadonlyArray<string>): Array<ReadonlyArray<string>> =>
      names.length === 0 ? [[]] : names.flatMap((name) => {
        const rest = orders(names.filter((other) => other !== name))
        return rest.map((order) => [name, ...order])
      })

    for (const [what, act] of Object.entries(own)) {
      it(`comes to one end, once, whatever the peer does in which order while it ${what}`, async () => {
        for (const order of orders(Object.keys(steps))) {
          for (let length = 1; length <= order.length; length++) {
            for (const reading of [true, false]) {
              for (const apart of [true, false]) {
                const { duplex, events, peer, session } = one(64)
                if (reading) duplex.resume()
                act(duplex)
                for (const name of order.slice(0, length)) {
                  steps[name]!(peer)
                  if (apart) await settled()
                }
                await settled()
                const told = `${order.slice(0, length).join()} ${reading} ${apart}: ${events.join()}`
                for (const name of ["end", "finish", "close"]) {
                  assert.isAtMost(events.filter((event) => event === name).length, 1, told)
                }
                assert.isAtMost(events.filter((event) => event.startsWith("error")).length, 1, told)
                if (duplex.destroyed) {
                  assert.strictEqual(events.at(-1), "close", told)
                  assertReleased(duplex, session)
                }
                if (session.reset !== undefined) assert.isTrue(duplex.destroyed, told)
                assert.deepStrictEqual(session.thrown, [], told)
                duplex.destroy()
                await settled()
                assertReleased(duplex, session)
                peer.close()
              }
            }
          }
        }
      })
    }
  })

  describe("with node:stream", () => {
    it("pipeline carries a stream through two sessions and a transform", async () => {
      const first = streams(100)
      const second = streams(33)
      const upper = new Transform({
        transform: (chunk, _encoding, done) => done(null, chunk.toString().toUpperCase())
      })
      const relay = Streams.pipeline(first.b, upper, second.a)
      const sent = "the same again, ".repeat(500)
      const sending = Streams.pipeline(Readable.from([sent]), first.a)
      assert.strictEqual(await text(second.b), sent.toUpperCase())
      for (const stream of [first.b, second.b]) stream.end()
      for (const stream of [first.a, second.a]) stream.resume()
      await Promise.all([relay, sending])
    })

    it("pipeline destroys both sides when one breaks, and says why", async () => {
      const { duplex: a, peer } = one(16)
      const source = new Readable({
        read() {
          this.push("x".repeat(64))
        }
      })
      const result = new Promise<unknown>((resolve) => void pipeline(source, a, resolve))
      await settled()
      peer.abort()
      assert.strictEqual(code(await result), "ECONNRESET")
      assert.isTrue(source.destroyed)
      assert.isTrue(a.destroyed)
    })

    it("for await that is left gives the session up", async () => {
      const { duplex, peer, session } = one()
      peer.write(Buffer.from("one"))
      for await (const chunk of duplex) {
        assert.strictEqual(chunk.toString(), "one")
        break
      }
      await settled()
      assertReleased(duplex, session)
    })

    it("for await throws a reset", async () => {
      const { duplex, peer } = one()
      setImmediate(() => peer.abort())
      let caught: unknown
      await text(duplex).catch((error: unknown) => caught = error)
      assert.strictEqual(code(caught), "ECONNRESET")
    })

    it("finished says nothing, or the error", async () => {
      const whole = one()
      const done = new Promise<unknown>((resolve) => void finished(whole.duplex, resolve))
      whole.duplex.resume().end()
      whole.peer.end()
      assert.isUndefined(await done)

      const cut = one(4)
      const closed = new Promise<unknown>((resolve) => void finished(cut.duplex, resolve))
      cut.duplex.write("too long")
      cut.duplex.destroy()
      assert.strictEqual(code(await closed), "ECANCELED")

      const broken = one()
      const reset = new Promise<unknown>((resolve) => void finished(broken.duplex, resolve))
      broken.peer.abort()
      assert.strictEqual(code(await reset), "ECONNRESET")
    })

    it("pipes into a slow writer no faster than it takes", async () => {
      const { a, b } = streams(64, { highWaterMark: 64 })
      let taken = 0
      let inHand = 0
      const slow = new Writable({
        highWaterMark: 1,
        write(chunk, _encoding, done) {
          assert.strictEqual(++inHand, 1)
          taken += chunk.length
          setImmediate(() => {
            inHand--
            done()
          })
        }
      })
      const source = Readable.from([pattern(5000)])
      await Promise.all([Streams.pipeline(source, a), Streams.pipeline(b, slow, { end: true })])
      assert.strictEqual(taken, 5000)
    })
  })

  it("starts its timeout anew with everything that is read, and that goes out of a write that waits", async () => {
    const { duplex, events, peer } = one(4)
    duplex.resume()
    duplex.setTimeout(400)
    duplex.write("0123456789abcdef")
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setTimeout(resolve, 90))
      if (i < 2) peer.read(3)
      else peer.write(Buffer.from("x"))
    }
    assert.deepStrictEqual(events, [])
    await once(duplex, "timeout")
    assert.isFalse(duplex.destroyed)
    duplex.destroy()
  })

  describe("as a socket", () => {
    it("knows its addresses from the session's endpoints", () => {
      const { client, server } = SessionPair.make({ server: "tcp://[::1]:8080", client: "tcp://10.0.0.7:50123" })
      const duplex = new SessionDuplex(server)
      assert.strictEqual(duplex.session, server)
      assert.strictEqual(duplex.remoteAddress, "10.0.0.7")
      assert.strictEqual(duplex.remotePort, 50_123)
      assert.strictEqual(duplex.remoteFamily, "IPv4")
      assert.strictEqual(duplex.localAddress, "::1")
      assert.strictEqual(duplex.localPort, 8080)
      assert.strictEqual(duplex.localFamily, "IPv6")
      assert.deepStrictEqual(duplex.address(), { address: "::1", port: 8080, family: "IPv6" })
      client.close()
      duplex.destroy()
      assert.strictEqual(duplex.remoteAddress, "10.0.0.7")
    })

    it("has no addresses when the endpoints have none", () => {
      const duplex = new SessionDuplex(SessionPair.make({ server: "", client: "local://greeter" }).server)
      assert.isUndefined(duplex.remoteAddress)
      assert.isUndefined(duplex.remotePort)
      assert.isUndefined(duplex.localFamily)
      assert.deepStrictEqual(duplex.address(), {})
      duplex.destroy()
    })

    it("has the states of a connected socket, and takes its settings", async () => {
      const { duplex, peer } = one()
      assert.isFalse(duplex.connecting)
      assert.isFalse(duplex.pending)
      assert.notProperty(duplex, "encrypted")
      assert.strictEqual(duplex.readyState, "open")
      for (const same of [duplex.setNoDelay(true), duplex.setKeepAlive(true, 1000), duplex.ref(), duplex.unref()]) {
        assert.strictEqual(same, duplex)
      }
      peer.end()
      duplex.resume()
      await settled()
      assert.strictEqual(duplex.readyState, "writeOnly")
      duplex.end()
      await settled()
      assert.strictEqual(duplex.readyState, "closed")
      assert.isTrue(duplex.pending)

      const reading = one()
      reading.duplex.end()
      assert.strictEqual(reading.duplex.readyState, "readOnly")
      reading.duplex.destroy()
    })
  })
})
