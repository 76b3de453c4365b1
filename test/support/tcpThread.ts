/** One side of TCP on a thread of its own, so that it can stand still, or go on while the other side stands still. */
import * as Net from "node:net"
import { parentPort, workerData } from "node:worker_threads"
import { DONE, GO, type Setup } from "./tcpWords.ts"

const TURNS = 200

const { count, port, role, words } = workerData as Setup

const done = (value: number): void => {
  Atomics.store(words, DONE, value)
  Atomics.notify(words, DONE)
}

const listen = (server: Net.Server, then: () => void): void =>
  void server.listen({ host: "127.0.0.1", port: 0, backlog: 1 }, () => {
    parentPort?.postMessage((server.address() as Net.AddressInfo).port)
    then()
  })

const stand = (): void => listen(Net.createServer(), () => void Atomics.wait(words, GO, 0))

const reset = (): void => {
  const server = Net.createServer((socket) => {
    Atomics.wait(words, GO, 0)
    socket.on("close", () => done(1))
    socket.resetAndDestroy()
    server.close()
  })
  listen(server, () => {})
}

const dial = (): void => {
  let made = 0
  const sockets = Array.from({ length: count }, () =>
    Net.connect({ host: "127.0.0.1", port })
      .on("connect", () => made++)
      .on("error", () => {}))
  const turn = (left: number): void => {
    if (left > 0) return void setImmediate(() => turn(left - 1))
    done(made)
    for (const socket of sockets) socket.destroy()
  }
  turn(TURNS)
}
;({ stand, reset, dial })[role]()
