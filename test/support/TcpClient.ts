/** Connections to a host on this machine. */
import * as Effect from "effect/Effect"
import * as Net from "node:net"

/** A connection that is open; it is destroyed with the scope. */
export const connect = (port: number) =>
  Effect.acquireRelease(
    Effect.callback<Net.Socket>((resume) => {
      const socket = Net.connect({ host: "127.0.0.1", port }, () => resume(Effect.succeed(socket)))
      socket.on("error", () => {})
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** Says something, and gives what comes back, up to its length. */
export const echoed = (socket: Net.Socket, text: string) =>
  Effect.callback<string>((resume) => {
    let answer = ""
    const onData = (chunk: Buffer) => {
      answer += chunk.toString()
      if (answer.length < text.length) return
      socket.off("data", onData)
      resume(Effect.succeed(answer))
    }
    socket.on("data", onData)
    socket.write(text)
  })

/** How a connection ends, or has ended: `closed`, or the code of what broke it. */
export const endOf = (socket: Net.Socket) =>
  Effect.callback<string>((resume) => {
    const over = () => resume(Effect.succeed((socket.errored as NodeJS.ErrnoException | null)?.code ?? "closed"))
    socket.on("error", () => {})
    if (socket.closed) return over()
    socket.on("close", over).resume()
  })

/** How a connect to this port ends that nobody takes. */
export const refusal = (port: number) => Effect.suspend(() => endOf(Net.connect({ host: "127.0.0.1", port })))
