/**
 * Whether a running host has started this process, to follow it (X4), and what it was born with: the sockets that host
 * listens on, and the channel to it.
 *
 * What it is born with is in a variable of the environment, which is read once and removed: no program that this one
 * starts takes it for its own.
 */
import * as Result from "effect/Result"
import type * as ChildProcess from "node:child_process"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import * as TakeoverMessage from "../../domain/takeover/TakeoverMessage.ts"
import type { TransportError } from "../../services/Transport.ts"
import type { InheritedSocket } from "./InheritedSockets.ts"
import { ListenGate } from "./ListenGate.ts"

/** What both ends of the channel between two hosts have in common. */
export interface ChannelPort {
  readonly connected: boolean
  readonly send?: (
    message: object,
    socket: ChildProcess.SendHandle | undefined,
    options: object,
    done: (error: Error | null) => void
  ) => boolean
  readonly disconnect?: () => void
  on(event: "message", listener: (message: unknown, socket: unknown) => void): unknown
  on(event: "disconnect", listener: () => void): unknown
  off(event: "message", listener: (message: unknown, socket: unknown) => void): unknown
  off(event: "disconnect", listener: () => void): unknown
}

/** What this process was born with. */
export interface Descent {
  readonly birth: TakeoverMessage.Birth
  readonly port: ChannelPort
  /** Before it is open, nobody here is to touch the sockets. */
  readonly gate: ListenGate<TransportError>
  /** Before it is open, the running host reads its sockets of UDP, and nobody here is to. */
  readonly reading: ListenGate<never>
}

/** What a process was born with, by its environment, from which it is removed; or why that can't be read. */
export const read = (
  environment: NodeJS.ProcessEnv,
  port: ChannelPort
): Result.Result<Descent | undefined, string> => {
  const text = environment[TakeoverMessage.VARIABLE]
  delete environment[TakeoverMessage.VARIABLE]
  if (text === undefined) return Result.succeed(undefined)
  if (port.send === undefined) {
    return Result.fail(`${TakeoverMessage.VARIABLE} is for processes that a running host has started; unset it`)
  }
  const birth = TakeoverMessage.decodeBirth(text)
  if (Result.isFailure(birth)) return Result.fail(`what ${TakeoverMessage.VARIABLE} says can't be read`)
  const { protocol } = birth.success
  return protocol === TakeoverMessage.PROTOCOL
    ? Result.succeed({
      birth: birth.success,
      port,
      gate: new ListenGate<TransportError>(),
      reading: new ListenGate<never>()
    })
    : Result.fail(
      `the running host speaks version ${protocol} of the takeover, and this one ${TakeoverMessage.PROTOCOL}`
    )
}

/** Says to the running host why this one does not come up. */
export const fail = ({ port }: Descent, detail: string): void => {
  if (!port.connected) return
  port.send?.(TakeoverMessage.encodeToPredecessor({ _tag: "Failed", detail }) as object, undefined, {}, () => {})
}

/** The sockets that come with it. */
export const socketsOf = ({ birth, gate, reading }: Descent): ReadonlyArray<InheritedSocket> =>
  birth.listeners.flatMap(({ app, bound, descriptor, handle, name, ownsFile, requested }) => {
    const asked = Endpoint.parse(requested)
    const got = Endpoint.parse(bound)
    if (Result.isFailure(asked) || !Endpoint.isTransport(asked.success)) return []
    if (Result.isFailure(got) || !Endpoint.isTransport(got.success)) return []
    const heirloom = handle === undefined ? undefined : { handle, app, bound: got.success, ownsFile, reading }
    return [{ name, descriptor, endpoint: asked.success, gate, heirloom }]
  })
