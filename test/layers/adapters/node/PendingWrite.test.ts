import { assert, describe, it } from "@effect/vitest"
import { AsyncLocalStorage } from "node:async_hooks"
import { once } from "node:events"
import { SessionDuplex } from "../../../../src/layers/adapters/node/SessionDuplex.ts"
import * as SessionPair from "../../../support/SessionPair.ts"

const immediate = () => new Promise<void>((resolve) => setImmediate(resolve))
const settled = async () => {
  for (let i = 0; i < 5; i++) await immediate()
}
const code = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | null | undefined)?.code

/** A socket whose session's fifo holds `bound` bytes, and the other end of the session. */
const one = (bound: number) => {
  const { client, server } = SessionPair.make({ bound })
  const duplex = new SessionDuplex(server)
  duplex.on("error", () => {})
  return { peer: client, session: server, duplex }
}

/** Reads until nothing more comes. */
const readAll = async (peer: SessionPair.End): Promise<Buffer> => {
  const parts: Array<Uint8Array> = []
  for (let quiet = 0; quiet < 5;) {
    const bytes = peer.read()
    quiet = bytes === undefined ? quiet + 1 : 0
    if (bytes !== undefined) parts.push(bytes)
    await immediate()
  }
  return Buffer.concat(parts)
}

const TEXT = "žluťoučký kůň, 馬, 🐎; ".repeat(7)
const ENCODINGS: ReadonlyArray<BufferEncoding> = ["utf8", "utf16le", "latin1", "ascii", "base64", "base64url", "hex"]

describe("a write of a socket that waits for room", () => {
  it("is kept where it is, and not copied", async () => {
    const { duplex, peer } = one(4)
    const alone = Buffer.from("one that is kept")
    const first = Buffer.from("first of several, ")
    const second = Buffer.from("and the second")
    duplex.write(alone)
    duplex.cork()
    duplex.write(first)
    duplex.write(second)
    duplex.uncork()
    // nobody may do this before a write is done: it shows whose bytes are read
    for (const bytes of [alone, first, second]) bytes.write("NOW!", bytes.length - 4)
    assert.strictEqual((await readAll(peer)).toString(), "one that is NOW!first of severNOW!and the seNOW!")
    assert.strictEqual(duplex.writableLength, 0)
    duplex.destroy()
  })

  it("is counted as a socket of the system's counts it", async () => {
    const { duplex, peer } = one(4)
    const counts = () => [duplex.bytesWritten, duplex.writableLength, Reflect.get(duplex, "bufferSize")]
    duplex.write("0123456789")
    assert.deepStrictEqual(counts(), [10, 10, 10])
    duplex.write("abc")
    assert.deepStrictEqual(counts(), [13, 13, 13])
    await readAll(peer)
    assert.deepStrictEqual(counts(), [13, 0, 0])
    duplex.write("x")
    assert.deepStrictEqual(counts(), [14, 0, 0])
    duplex.destroy()
    assert.strictEqual(duplex.bytesWritten, 14)
  })

  it("has its callback called once, in order, after the session has taken its last byte", async () => {
    const { duplex, peer } = one(4)
    const done: Array<string> = []
    duplex.write("0123456", () => done.push(`first, of ${peer.available} unread`))
    duplex.write("89", () => done.push("second"))
    duplex.end("ab", () => done.push("end"))
    duplex.on("finish", () => done.push("finish"))
    await settled()
    assert.deepStrictEqual(done, [])
    assert.strictEqual(peer.read(2)?.length, 2)
    await settled()
    assert.deepStrictEqual(done, [])
    assert.strictEqual(peer.read(1)?.length, 1)
    await settled()
    assert.deepStrictEqual(done, ["first, of 4 unread"])
    assert.strictEqual((await readAll(peer)).toString(), "345689ab")
    assert.deepStrictEqual(done.slice(1).sort(), ["end", "finish", "second"])
    assert.isTrue(peer.ended)
    duplex.destroy()
  })

  for (const encoding of ENCODINGS) {
    it(`carries strings in ${encoding}, alone and among others`, async () => {
      const { duplex, peer } = one(5)
      const text = encoding === "hex" || encoding.startsWith("base64") ? Buffer.from(TEXT).toString(encoding) : TEXT
      const bytes = Buffer.from(text, encoding)
      duplex.write(text, encoding)
      duplex.cork()
      duplex.write(text, encoding)
      duplex.write(bytes)
      duplex.write("é")
      duplex.write(text, encoding)
      duplex.uncork()
      const expected = Buffer.concat([bytes, bytes, bytes, Buffer.from("é"), bytes])
      assert.isTrue((await readAll(peer)).equals(expected))
      assert.strictEqual(duplex.bytesWritten, expected.length)
      duplex.destroy()
    })
  }

  it("is done in the context that it was made in", async () => {
    const { duplex, peer } = one(4)
    const store = new AsyncLocalStorage<string>()
    const seen: Array<string | undefined> = []
    store.run("first", () => duplex.write("too long", () => seen.push(store.getStore())))
    store.run("second", () => duplex.write("too long", () => seen.push(store.getStore())))
    await store.run("reader", () => readAll(peer))
    assert.strictEqual(seen[0], "first")
    assert.strictEqual(seen.length, 2)
    duplex.destroy()
  })

  it("leaves the loop's other work its turn, however large it is", async () => {
    const { duplex } = one(1 << 24)
    let turns = 0
    const count = () => {
      turns++
      timer = setImmediate(count)
    }
    let timer = setImmediate(count)
    duplex.write(Buffer.alloc(1 << 23), () => clearImmediate(timer))
    await once(duplex, "drain")
    assert.isAtLeast(turns, 6)
    duplex.destroy()
  })

  it("is dropped by a reset, and says so before `close`", async () => {
    const { duplex, peer, session } = one(4)
    const events: Array<string> = []
    duplex.on("close", () => events.push("close"))
    duplex.write("too long", (error) => events.push(`write ${error?.message}`))
    duplex.resetAndDestroy()
    await settled()
    assert.deepStrictEqual(events, ["write write ECANCELED", "close"])
    assert.deepStrictEqual(session.calls, ["abort"])
    assert.strictEqual(peer.reset, "reset by peer")
  })

  it("that is done has succeeded, even if the socket is destroyed before it could say so", async () => {
    const { duplex } = one(1 << 24)
    const events: Array<string> = []
    duplex.on("close", () => events.push("close"))
    // more than is taken in one go, and less than there is room for
    duplex.write(Buffer.alloc((1 << 20) + 1), (error) => events.push(`write ${code(error)}`))
    duplex.destroy()
    await settled()
    assert.deepStrictEqual(events, ["write undefined", "close"])
  })

  it("whose callback throws costs neither the other callbacks nor `close`", async () => {
    const { duplex } = one(4)
    const events: Array<string> = []
    const thrown: Array<string> = []
    const caught = (error: Error) => thrown.push(error.message)
    const others = process.listeners("uncaughtException")
    process.removeAllListeners("uncaughtException").on("uncaughtException", caught)
    try {
      duplex.on("close", () => events.push("close"))
      duplex.write("too long", () => {
        throw new Error("by the program")
      })
      duplex.destroy()
      await settled()
    } finally {
      process.off("uncaughtException", caught)
      for (const other of others) process.on("uncaughtException", other)
    }
    assert.deepStrictEqual(thrown, ["by the program"])
    assert.deepStrictEqual(events, ["close"])
  })
})
