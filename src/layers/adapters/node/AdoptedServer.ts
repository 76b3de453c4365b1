/**
 * Servers that a program has made for itself, for `NodeServer`: they are changed in place, so that whatever the program
 * asks or tells them is about sessions.
 */
import type * as Net from "node:net"
import type { Sessions } from "../../../services/Sessions.ts"
import { NodeServer } from "./NodeServer.ts"
import * as SharedServer from "./SharedServer.ts"

/** Makes the server answer for its connections, as long as a worker serves it. */
const change = (server: Net.Server, { served }: SharedServer.SharedServer): void => {
  const base = Object.getPrototypeOf(server) as Net.Server
  const first = (): NodeServer | undefined => served.values().next().value
  const methods = {
    listen(...args: Array<any>): Net.Server {
      const one = first()
      if (one === undefined) return Reflect.apply(base.listen, server, args) as Net.Server
      one.listen(args)
      return server
    },
    address: () => first()?.address() ?? base.address.call(server),
    close(callback?: (error?: Error) => void): Net.Server {
      if (served.size === 0) return base.close.call(server, callback)
      let told = callback
      for (const one of served) {
        one.close(told)
        told = undefined
      }
      return server
    },
    getConnections(callback: (error: Error | null, count: number) => void): Net.Server {
      const one = first()
      if (one === undefined) return base.getConnections.call(server, callback)
      one.getConnections(callback)
      return server
    },
    closeIdleConnections(): void {
      for (const one of served) one.closeIdleConnections()
    }
  }
  for (const [name, value] of Object.entries(methods)) {
    if (name in server) Object.defineProperty(server, name, { configurable: true, writable: true, value })
  }
  Object.defineProperty(server, "listening", {
    configurable: true,
    get: () => first()?.listening ?? Reflect.get(base, "listening", server)
  })
}

/** Whether the server has sockets of its own that it listens with. */
export const isListening = (server: Net.Server): boolean =>
  Reflect.get(Object.getPrototypeOf(server) as Net.Server, "listening", server)

/**
 * This worker's part in a server that a program has made: from here on, whatever the server is asked or told, by the
 * program too, is about sessions.
 */
export const adopt = (server: Net.Server, sessions: Sessions["Service"]): NodeServer => {
  const known = SharedServer.isShared(server)
  const adopted = new NodeServer(server, Object.getPrototypeOf(server), sessions)
  if (!known) change(server, SharedServer.watch(server))
  return adopted
}
