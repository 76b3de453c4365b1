import { assert, describe, it } from "@effect/vitest"
import * as Net from "node:net"
import * as Os from "node:os"
import type { StreamRequest } from "../../../../src/layers/adapters/node/JsStream.ts"
import { SessionStream } from "../../../../src/layers/adapters/node/SessionStream.ts"
import type { Session } from "../../../../src/services/Sessions.ts"
import * as SessionPair from "../../../support/SessionPair.ts"

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** A handle that says what Node would hear, and a socket that is destroyed with it. */
class Handle extends SessionStream {
  readonly heard: Array<string> = []
  /** Called when a write is done, as Node's libraries go on with the next one. */
  next: (() => void) | undefined

  constructor(session: Session) {
    super(session)
    this.socket = new Net.Socket()
    this.socket.on("error", (error: NodeJS.ErrnoException) => this.heard.push(`${error.code}`))
  }
  override finishWrite(_request: StreamRequest, status: number): void {
    this.heard.push(`written ${status}`)
    this.next?.()
  }
  override finishShutdown(_request: StreamRequest, status: number): void {
    this.heard.push(`ended ${status}`)
  }
}

describe("a session as the handle of a socket", () => {
  it("says that a write was done before it says that the connection broke after the write", async () => {
    const { client, server } = SessionPair.make({})
    const handle = new Handle(server)
    // as TLS asks whether all is written: the connection is gone by then
    handle.next = () => {
      handle.next = undefined
      handle.onwrite({}, [Buffer.alloc(0)])
    }
    handle.onwrite({}, [Buffer.from("the answer")])
    assert.strictEqual(Buffer.from(client.read()!).toString(), "the answer")
    client.abort()
    for (let turns = 0; turns < 6; turns++) await turn()
    assert.deepStrictEqual(handle.heard, ["written 0", "written 0", "ECONNRESET"])
  })

  it("says in the next tick that a write which was taken at once is done", async () => {
    const { server } = SessionPair.make({})
    const handle = new Handle(server)
    handle.onwrite({}, [Buffer.from("the answer")])
    assert.deepStrictEqual(handle.heard, [])
    await new Promise<void>((resolve) => process.nextTick(resolve))
    assert.deepStrictEqual(handle.heard, ["written 0"])
    for (let turns = 0; turns < 3; turns++) await turn()
    assert.deepStrictEqual(handle.heard, ["written 0"], "once")
  })

  it("is closed after the immediates of whoever closes it", async () => {
    const { server } = SessionPair.make({})
    const handle = new Handle(server)
    handle.close(() => handle.heard.push("closed"))
    setImmediate(() => handle.heard.push("immediate"))
    for (let turns = 0; turns < 3; turns++) await turn()
    assert.deepStrictEqual(handle.heard, ["immediate", "closed"])
  })

  it("fails a write of bytes that comes when the connection has broken", async () => {
    const { client, server } = SessionPair.make({})
    const handle = new Handle(server)
    client.abort()
    await turn()
    handle.onwrite({}, [Buffer.from("too late")])
    for (let turns = 0; turns < 6; turns++) await turn()
    assert.include(handle.heard, "ECONNRESET")
    assert.notInclude(handle.heard, "written 0")
  })

  it("fails what is written behind an end, though earlier bytes wait for a peer that does not read", async () => {
    const { client, server } = SessionPair.make({ bound: 4096 })
    const handle = new Handle(server)
    handle.onwrite({}, [Buffer.alloc(4096)])
    await turn()
    handle.onshutdown({})
    handle.onwrite({}, [Buffer.from("too late")])
    for (let turns = 0; turns < 6; turns++) await turn()
    assert.deepStrictEqual(handle.heard, ["written 0", `written ${-Os.constants.errno.EPIPE}`, "ended 0"])
    assert.isTrue(client.ended)
  })
})
