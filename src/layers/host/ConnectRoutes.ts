/**
 * Where a worker's connect goes: to a listener in local scope, out by the transport, or nowhere, and why (W14, W17).
 *
 * ```
 * connect ─ parse ─ rules ─┬─ local scope: a listener of the namespace
 *                          └─ global scope: the transport
 * ```
 */
import * as Result from "effect/Result"
import type * as Message from "../../domain/memory/Message.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import type { SessionRules } from "../../services/SessionRules.ts"
import type { Failure } from "./CutThrough.ts"
import type { HostListener } from "./Listener.ts"
import type { Tables } from "./Tables.ts"
import type { LiveWorker } from "./Worker.ts"

export type Route =
  | { readonly _tag: "Local"; readonly listener: HostListener }
  | {
    readonly _tag: "Global"
    readonly endpoint: Endpoint.TransportEndpoint
    readonly source: Endpoint.InetEndpoint | undefined
  }
  | { readonly _tag: "Nowhere"; readonly why: Failure }

const nowhere = (reason: Failure["reason"], detail: string): Route => ({ _tag: "Nowhere", why: { reason, detail } })

type Parsed = ReturnType<typeof Endpoint.parse>

export class ConnectRoutes {
  readonly #tables: Tables
  readonly #rules: SessionRules["Service"]
  /** The last endpoint that was connected to: many connects go to the same one. */
  #last: { readonly text: string; readonly parsed: Parsed } | undefined

  constructor(tables: Tables, rules: SessionRules["Service"]) {
    this.#tables = tables
    this.#rules = rules
  }

  /** Where the connect goes, by what its message says and by what there is now. */
  of(worker: LiveWorker, message: Pick<Message.Of<"connect">, "endpoint" | "source">): Route {
    const parsed = this.#parse(message.endpoint)
    if (Result.isFailure(parsed)) return nowhere("InvalidEndpoint", parsed.failure.message)
    const endpoint = parsed.success
    if (Endpoint.isAnyPort(endpoint) || Endpoint.isEphemeral(endpoint)) {
      return nowhere("InvalidEndpoint", `endpoint "${message.endpoint}": a connect needs a port from 1 to 65535`)
    }
    if (message.source === "") return this.#decide(worker, endpoint, undefined)
    const source = Endpoint.parse(message.source)
    if (Result.isFailure(source)) return nowhere("InvalidSource", `source: ${source.failure.message}`)
    const from = source.success
    if (!Endpoint.isInet(from)) return nowhere("InvalidSource", "source: it must be an address and a port")
    if (Endpoint.isTransport(endpoint) && from._tag !== endpoint._tag) {
      return nowhere(
        "InvalidSource",
        `source: it must be of the endpoint's transport, ${endpoint._tag}, not ${from._tag}`
      )
    }
    return this.#decide(worker, endpoint, from)
  }

  #parse(text: string): Parsed {
    if (this.#last?.text !== text) this.#last = { text, parsed: Endpoint.parse(text) }
    return this.#last.parsed
  }

  #decide(worker: LiveWorker, endpoint: Endpoint.Endpoint, source: Endpoint.InetEndpoint | undefined): Route {
    const { name, options } = worker.slot.app
    if (!this.#rules.isEmpty) {
      const from = source === undefined ? "" : Endpoint.format(source)
      const verdict = this.#rules.decide("connect", options.namespace, from, Endpoint.format(endpoint))
      if (verdict._tag === "Deny") return nowhere("rule-denied", verdict.by)
      // an application that is redirected to itself goes where it wanted to: otherwise a proxy would never get out
      if (verdict._tag === "Redirect" && verdict.app !== name) {
        const target = this.#tables.listenerOf(verdict.app)
        return target === undefined
          ? nowhere("no-listener", `a rule sends it to ${verdict.app}, which does not listen`)
          : { _tag: "Local", listener: target }
      }
    }
    const found = this.#localListener(worker, endpoint)
    if (found !== undefined) return { _tag: "Local", listener: found }
    if (Endpoint.isTransport(endpoint)) {
      return options.scope.global
        ? { _tag: "Global", endpoint, source }
        : nowhere("ConnectionRefused", "nobody listens there in the local scope")
    }
    return options.scope.local
      ? nowhere("ConnectionRefused", "nobody listens there")
      : nowhere("OutOfScope", "local endpoints are for applications with local scope (scope.local)")
  }

  /** The local listener that a connect finds: a proxy never finds one of its own (W18). */
  #localListener(worker: LiveWorker, endpoint: Endpoint.Endpoint): HostListener | undefined {
    const { app } = worker.slot
    if (!app.options.scope.local) return undefined
    const isProxy = app.options.proxiedTransports.length > 0
    const eligible = (listener: HostListener) => listener.state === "BOUND" && !(isProxy && listener.app === app)
    return this.#tables.locals(app.options.namespace).lookup(endpoint, eligible)
  }
}
