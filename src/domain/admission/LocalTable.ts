/**
 * A namespace's table of local listeners (W16, W17): which listener a local connect to an endpoint finds.
 *
 * A listener is entered under the endpoint that it listens on. A look-up takes the endpoint itself, then any address
 * with its port, then any address and any port, which is what a proxy listens on (W18).
 */
import * as Address from "../net/Address.ts"
import * as Endpoint from "../net/Endpoint.ts"

/** One spelling for each host: an address in its plain form, a name in lower case. */
const hostOf = (host: string): string => Address.plain(host.toLowerCase())

const keyOf = (endpoint: Endpoint.Endpoint): string =>
  Endpoint.format(Endpoint.isInet(endpoint) ? { ...endpoint, host: hostOf(endpoint.host) } : endpoint)

export class LocalTable<A> {
  readonly #entries = new Map<string, A>()

  /** Enters a listener; `false` when exactly this endpoint is taken. */
  add(endpoint: Endpoint.Endpoint, listener: A): boolean {
    const key = keyOf(endpoint)
    if (this.#entries.has(key)) return false
    this.#entries.set(key, listener)
    return true
  }

  /** The listener that is entered under exactly this endpoint. */
  get(endpoint: Endpoint.Endpoint): A | undefined {
    return this.#entries.get(keyOf(endpoint))
  }

  remove(endpoint: Endpoint.Endpoint): void {
    this.#entries.delete(keyOf(endpoint))
  }

  /** The listener that a connect to the endpoint finds, among those that `eligible` lets pass. */
  lookup(endpoint: Endpoint.Endpoint, eligible: (listener: A) => boolean): A | undefined {
    for (const candidate of [endpoint, ...Endpoint.coveredBy(endpoint)]) {
      const found = this.#entries.get(keyOf(candidate))
      if (found !== undefined && eligible(found)) return found
    }
    return undefined
  }

  /** Those of the endpoints, each once, under which the listener is entered: in the spelling of the table. */
  entriesOf(listener: A, endpoints: ReadonlyArray<Endpoint.Endpoint>): ReadonlyArray<string> {
    return [...new Set(endpoints.map(keyOf))].filter((key) => this.#entries.get(key) === listener)
  }

  get size(): number {
    return this.#entries.size
  }

  *[Symbol.iterator](): IterableIterator<readonly [endpoint: string, listener: A]> {
    yield* this.#entries
  }
}
