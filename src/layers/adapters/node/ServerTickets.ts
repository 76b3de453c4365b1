/**
 * The keys of the TLS tickets of a program's own servers: a client that comes back may come to another worker, which is
 * to know the ticket that the first one gave. `node:cluster` sees to this in the same way.
 *
 * Each server has keys of its own, made of a secret that the workers of an application share and of the server's
 * endpoint. A program that has chosen keys keeps its choice.
 */
import * as Crypto from "node:crypto"
import type * as Net from "node:net"
import * as Tls from "node:tls"

/** What TLS takes as keys: a name, one key to sign with and one to encrypt with. */
const KEYS = 48

export class ServerTickets {
  readonly #secret: Uint8Array
  /** Servers whose programs have chosen keys. */
  readonly #chosen = new WeakSet<Tls.Server>()

  constructor(secret: Uint8Array) {
    this.#secret = secret
  }

  /** From here on, a choice of keys is noticed, on this thread. Returns how to end that. */
  watch(): () => void {
    const chosen = this.#chosen
    const own = Tls.Server.prototype.setTicketKeys
    Tls.Server.prototype.setTicketKeys = function(keys) {
      chosen.add(this)
      return own.call(this, keys)
    }
    return () => {
      Tls.Server.prototype.setTicketKeys = own
    }
  }

  /** Gives the server the keys that it has at every worker. */
  share(server: Net.Server, endpoint: string): void {
    if (!(server instanceof Tls.Server) || this.#chosen.has(server) || Reflect.get(server, "ticketKeys")) return
    const keys = Crypto.hkdfSync("sha256", this.#secret, new Uint8Array(), endpoint, KEYS)
    server.setTicketKeys(Buffer.from(keys))
    this.#chosen.delete(server)
  }
}
