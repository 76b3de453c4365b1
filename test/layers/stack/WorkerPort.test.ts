/** What the host posts to a thread, and what the thread finds of it. */
import { afterEach, assert, describe, it } from "@effect/vitest"
import * as Net from "node:net"
import { MessageChannel, type MessagePort } from "node:worker_threads"
import * as Segment from "../../../src/domain/memory/Segment.ts"
import * as Handle from "../../../src/domain/state/Handle.ts"
import { HandOverPort } from "../../../src/layers/stack/HandOver.ts"
import { isThreadStatus } from "../../../src/layers/stack/ThreadStatus.ts"
import * as WorkerPort from "../../../src/layers/stack/WorkerPort.ts"

const open: Array<MessageChannel> = []
afterEach(() => {
  for (const { port1, port2 } of open.splice(0)) {
    port1.close()
    port2.close()
  }
})

const make = () => {
  const channel = new MessageChannel()
  open.push(channel)
  const { port1, port2 } = channel
  return { handOver: new HandOverPort(port1), host: port1, inlet: new WorkerPort.ThreadInlet(port2) }
}

const segment = (index: number) => Segment.make(index, new SharedArrayBuffer(512), 256)
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

describe("WorkerPort", () => {
  for (const waits of [false, true]) {
    it(`M5 what was posted is found ${waits ? "after it has come" : "while it is still in the port"}, and taken once`, async () => {
      const { handOver, inlet } = make()
      const { port1: bell } = new MessageChannel()
      const certificates = [{ hosts: ["example.org"], chain: "chain", key: "key" }]
      handOver.give({ _tag: "Segment", segment: segment(3) })
      handOver.give({ _tag: "Link", link: { number: 4, inbox: new SharedArrayBuffer(8), bell } })
      handOver.give({ _tag: "Certificates", certificates })
      if (waits) await turn()
      assert.deepStrictEqual(inlet.certificates(), certificates)
      assert.isUndefined(inlet.certificates())
      assert.strictEqual(inlet.link(4)?.inbox.byteLength, 8)
      assert.isUndefined(inlet.link(4))
      const { buffer, hostBytes } = inlet.segment(3)!
      assert.deepStrictEqual([buffer.byteLength, hostBytes], [512, 256])
      assert.isUndefined(inlet.segment(3))
    })
  }

  it("M5 sockets of a turn are posted together, and found by their sessions", () => {
    const { handOver, inlet } = make()
    const sessions: ReadonlyArray<Handle.SessionHandle> = [Handle.make(1, 1), Handle.make(2, 7)]
    for (const session of sessions) {
      // a port stands for a socket: it is an object that moves
      const { port1: posted } = new MessageChannel()
      handOver.give({
        _tag: "Socket",
        session,
        socket: { posted, take: () => new Net.Socket(), isHere: false, destroy: () => posted.close() }
      })
    }
    assert.isUndefined(inlet.socket(sessions[0]!))
    handOver.flush()
    for (const session of [...sessions].reverse()) assert.isDefined(inlet.socket(session))
    assert.isUndefined(inlet.socket(sessions[0]!))
  })

  it("M14 a socket that lacks a descriptor for its move is broken and told of, and makes room for the others", () => {
    const { handOver, inlet } = make()
    const said: Array<string> = []
    const sessions = [1, 2, 3].map((number) => Handle.make<Handle.SessionHandle>(number, 1))
    const ports: Array<MessagePort> = []
    let free = 0
    for (const [i, session] of sessions.entries()) {
      let here = true
      handOver.give({
        _tag: "Socket",
        session,
        socket: {
          // a post that lacks a descriptor leaves the handle as it is: here it is another port each time
          get posted() {
            const { port1, port2 } = new MessageChannel()
            ports.push(port2)
            if (free > 0) here = false
            return port1
          },
          take: () => new Net.Socket(),
          get isHere() {
            return here
          },
          destroy: () => {
            said.push(`${i} broken`)
            free++
            here = false
          }
        },
        subject: { unmoved: () => said.push(`${i} told`) }
      })
    }
    handOver.flush()
    assert.deepStrictEqual(said, ["0 broken", "0 told"])
    for (const session of sessions) assert.isDefined(inlet.socket(session))
    for (const port of ports) port.close()
  })

  it("what the host does not post is passed over", () => {
    const { handOver, host, inlet } = make()
    for (const nonsense of [0, null, "Segment", {}, { _tag: "Other" }, { segment: 5 }]) host.postMessage(nonsense)
    handOver.give({ _tag: "Segment", segment: segment(5) })
    assert.strictEqual(inlet.segment(5)?.hostBytes, 256)
    assert.isUndefined(inlet.segment(6))
  })

  it("what an application posts to its parent is no status of its start", () => {
    for (const other of [undefined, "Ready", { _tag: "Done" }, { _tag: "Failed", reason: "Whim", detail: "" }]) {
      assert.isFalse(isThreadStatus(other))
    }
    assert.isTrue(isThreadStatus({ _tag: "Failed", reason: "NotAnApp", detail: "" }))
  })
})
