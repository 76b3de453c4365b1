/** An HTTP client whose connections are sessions: Node's own, over {@link SessionPair.Net.dial}. */
import { once } from "node:events"
import * as Http from "node:http"
import type { Duplex, Readable } from "node:stream"
import { SessionDuplex } from "../../src/layers/adapters/node/SessionDuplex.ts"
import type * as SessionPair from "./SessionPair.ts"

/** Dials a session for each connection that Node's agent wants. */
export class Agent extends Http.Agent {
  readonly dialled: Array<SessionDuplex> = []
  readonly #dial: () => SessionPair.End

  constructor(dial: () => SessionPair.End, options: Http.AgentOptions = {}) {
    super({ keepAlive: true, maxSockets: 1, ...options })
    this.#dial = dial
  }

  override createConnection(): Duplex {
    const duplex = new SessionDuplex(this.#dial(), { allowHalfOpen: false })
    this.dialled.push(duplex)
    return duplex
  }
}

export interface Answer {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly body: Buffer
}

/** All that a stream reads, without destroying it at the end. */
export const bytes = async (readable: Readable): Promise<Buffer> => {
  const parts: Array<Uint8Array> = []
  for await (const chunk of readable.iterator({ destroyOnReturn: false })) parts.push(chunk)
  return Buffer.concat(parts)
}

export const response = async (request: Http.ClientRequest): Promise<Http.IncomingMessage> => {
  const [message] = await once(request, "response")
  return message
}

export const answer = async (request: Http.ClientRequest): Promise<Answer> => {
  const message = await response(request)
  return { status: message.statusCode!, headers: message.headers, body: await bytes(message) }
}

/** One request with its whole body, and its answer. */
export const ask = (
  agent: Http.Agent,
  path: string,
  options: Http.RequestOptions & { readonly body?: string | Uint8Array | undefined } = {}
): Promise<Answer> => {
  const { body, ...rest } = options
  const request = Http.request({ host: "sluice.test", agent, path, ...rest })
  request.end(body)
  return answer(request)
}

export const immediate = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Lets everything happen that needs no time to pass. */
export const settled = async () => {
  for (let i = 0; i < 20; i++) await immediate()
}
