/** Large writes of a TLS server's sockets over sessions, whose clients do not read at first. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { once } from "node:events"
import * as Fs from "node:fs"
import type * as Net from "node:net"
import { buffer } from "node:stream/consumers"
import * as Tls from "node:tls"
import * as NodeApps from "../../../../src/layers/adapters/node/NodeApps.ts"
import { SessionStream } from "../../../../src/layers/adapters/node/SessionStream.ts"
import * as Host from "../../../../src/layers/Host.ts"
import * as NodeHandle from "../../../../src/layers/transport/NodeHandle.ts"
import * as AppWorker from "../../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../../src/services/SessionLayer.ts"
import { until } from "../../../support/until.ts"

const file = (name: string) => Fs.readFileSync(new URL(`../../../fixtures/certificates/${name}`, import.meta.url))

/** A client that does not read yet, and the server's socket for it. */
const pair = Effect.gen(function*() {
  const server = Tls.createServer({ cert: file("exact.pem"), key: file("exact.key") })
  const host = yield* SessionLayer
  yield* host.attach(
    { name: "app", listen: ["tcp://127.0.0.1:0"], workers: 1, worker: { kind: "in-process" } },
    AppWorker.fromLayer(NodeApps.layer(server))
  )
  const { port } = server.address() as Net.AddressInfo
  const client = yield* Effect.acquireRelease(
    Effect.sync(() => Tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false }).on("error", () => {})),
    (client) => Effect.sync(() => client.destroy())
  )
  const [socket] = yield* Effect.promise<Array<Tls.TLSSocket>>(() => once(server, "secureConnection"))
  assert.isDefined(socket)
  socket.on("error", () => {})
  return { client, socket }
})

/** Bytes that wait below TLS, encrypted. */
const waiting = (socket: Tls.TLSSocket): number => {
  const handle: unknown = Reflect.get(NodeHandle.below(socket)!, "_handle")
  assert.instanceOf(handle, SessionStream)
  return handle.writeQueueSize
}

const onHost = <A, E>(test: Effect.Effect<A, E, SessionLayer | Scope.Scope>) =>
  test.pipe(Effect.scoped, Effect.provide(Host.layer))

const MIB = 1024 ** 2

describe("a large write of a TLS socket", () => {
  it.live("is encrypted in parts, as the client reads, and arrives whole and in order", () =>
    onHost(Effect.gen(function*() {
      const { client, socket } = yield* pair
      const large = Buffer.alloc(8 * MIB, "0123456789")
      const done: Array<string> = []
      socket.write(large, () => done.push("alone"))
      socket.cork()
      socket.write("žluťoučký, ", () => done.push("text"))
      socket.write("aGV4", "base64")
      socket.write(large)
      socket.end("the end", () => done.push("end"))
      socket.uncork()
      const all = Buffer.concat([large, Buffer.from("žluťoučký, hex"), large, Buffer.from("the end")])
      assert.strictEqual(socket.bytesWritten, all.length)
      yield* until("it waits", () => waiting(socket) > 0)
      yield* Effect.sleep("50 millis")
      assert.isAtMost(waiting(socket), 70_000)
      assert.strictEqual(socket.bytesWritten, all.length)
      assert.deepStrictEqual(done, [])
      assert.isTrue((yield* Effect.promise(() => buffer(client))).equals(all))
      // the client may hear of the end before the server hears that it is sent
      yield* until("all is done", () => done.length === 3)
      assert.deepStrictEqual(done, ["alone", "text", "end"])
      assert.strictEqual(socket.bytesWritten, all.length)
    })))

  it.live("says once that it was canceled when its socket is destroyed", () =>
    onHost(Effect.gen(function*() {
      const { socket } = yield* pair
      const done: Array<string | undefined> = []
      socket.write(Buffer.alloc(16 * MIB), (error) => done.push((error as NodeJS.ErrnoException | null)?.code))
      yield* until("it waits", () => waiting(socket) > 0)
      socket.destroy()
      yield* Effect.promise(() => once(socket, "close"))
      assert.deepStrictEqual(done, ["ECANCELED"])
    })))
})
