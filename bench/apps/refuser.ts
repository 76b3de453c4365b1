/**
 * A server that refuses all that comes, with nothing around it: what a refusal costs at the least.
 * `refuser.ts <server | handle> <reset | answer | listen>`; `answer` closes a connection once its request has come and is
 * answered, and `listen` ends only this side, and closes when the peer has ended too.
 */
import { constVoid } from "effect/Function"
import * as Net from "node:net"
import * as HttpRefusal from "../../src/domain/net/HttpRefusal.ts"
import * as NodeHandle from "../../src/layers/transport/NodeHandle.ts"
import * as SpeakingHandle from "../../src/layers/transport/SpeakingHandle.ts"

const [by, how] = process.argv.slice(2)
const answer = HttpRefusal.answer("listener-limit")!
const memory = Buffer.alloc(16_384)
const requests = SpeakingHandle.requests()!

function close(this: SpeakingHandle.SpeakingHandle): void {
  this.writeBuffer(requests.write(), answer)
  this.close()
}

function listen(this: SpeakingHandle.SpeakingHandle): void {
  if (requests.bytesRead() < 0) return this.close()
  this.writeBuffer(requests.write(), answer)
  this.shutdown(requests.shutdown())
}

const server = Net.createServer({ allowHalfOpen: true }, (socket) => {
  socket.on("error", constVoid)
  if (how === "reset") socket.resetAndDestroy()
  else socket.resume().once("data", () => socket.end(answer))
})

server.listen(0, "127.0.0.1", () => {
  if (by === "handle") {
    NodeHandle.serverHandle(server)!.onconnection = (_, handle) => {
      if (how === "reset") return void handle!.reset(constVoid)
      if (!SpeakingHandle.canSpeak(handle!)) throw new Error("this runtime has no such handle")
      handle.useUserBuffer(memory)
      handle.onread = how === "answer" ? close : listen
      handle.readStart()
    }
  }
  console.log(`port ${(server.address() as Net.AddressInfo).port}`)
})
