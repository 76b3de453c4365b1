/**
 * The affinity keys of a listener's connections, by which they find the same worker again.
 *
 * The function that gives the keys is the application's: what it throws, or returns instead of a key, is reported once,
 * and such a connection has no key.
 */
import * as Affinity from "../../domain/admission/Affinity.ts"
import type { ListenerOptions } from "../../domain/options/ListenerOptions.ts"
import * as Thrown from "../../domain/report/Thrown.ts"
import type { Arriving } from "./HostSession.ts"

export class ConnectionKeys {
  readonly #affinity: ListenerOptions["affinity"]
  readonly #warn: (fault: string) => void
  #warned = false

  /** `warn` hears, once, what is wrong with the application's function. */
  constructor(affinity: ListenerOptions["affinity"], warn: (fault: string) => void) {
    this.#affinity = affinity
    this.#warn = warn
  }

  /** Whether connections are asked for a key. */
  get any(): boolean {
    return this.#affinity !== "none"
  }

  /** The connection's key; `undefined` when it has none. */
  of({ about, local, remote }: Arriving): string | number | undefined {
    const affinity = this.#affinity
    if (typeof affinity !== "function") return Affinity.source({ remote })
    try {
      const key: unknown = affinity({ remote, local, serverName: about?.tls?.serverName })
      if (key === undefined || typeof key === "string" || typeof key === "number") return key
      this.#fault(`it returned ${key === null ? "null" : `a value of type ${typeof key}`}`)
    } catch (error) {
      this.#fault(Thrown.sentenceOf(error))
    }
    return undefined
  }

  #fault(fault: string): void {
    if (this.#warned) return
    this.#warned = true
    this.#warn(fault)
  }
}
