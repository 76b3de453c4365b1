/**
 * What a worker is started with so that it can end TLS: what its host settles for all workers of an application.
 */
import type { ListenerOptions } from "../../domain/options/ListenerOptions.ts"
import type { HandshakeBounds } from "./Handshakes.ts"
import * as TlsContexts from "./TlsContexts.ts"

export type TlsOptions = TlsContexts.ServerOptions & HandshakeBounds

export interface TlsStart {
  /** Shared by all workers, so any of them can resume a client's session. */
  readonly resumption: TlsContexts.Resumption
  readonly all: TlsOptions
  /** The options of single endpoints, by their URIs. */
  readonly own: Readonly<Record<string, TlsOptions>>
}

/** The options that handshakes use: the part of a listener's options that can be posted. */
const optionsOf = (
  { alpn, clientAuthorities, clientCertificate, handshakeTimeout, maxHandshakes }: ListenerOptions
): TlsOptions => ({ alpn, clientAuthorities, clientCertificate, handshakeTimeout, maxHandshakes })

/** Whether workers end TLS for a listener with these options, where connections can move. */
const endsIn = ({ placement, tlsIn }: ListenerOptions): boolean => placement === "transfer" || tlsIn === "worker"

// an application's options are one object for all its workers
const resumptions = new WeakMap<object, TlsContexts.Resumption>()

/** What all workers of an application with these options share, and no others. */
export const resumptionOf = (app: object): TlsContexts.Resumption => {
  let resumption = resumptions.get(app)
  if (resumption === undefined) resumptions.set(app, resumption = TlsContexts.makeResumption())
  return resumption
}

/** What workers of an application with these options are started with; `undefined` when none of them ends TLS. */
export const startOf = (
  app: { readonly listener: ListenerOptions; readonly listeners: Readonly<Record<string, ListenerOptions>> }
): TlsStart | undefined => {
  if (![app.listener, ...Object.values(app.listeners)].some(endsIn)) return undefined
  const own = Object.entries(app.listeners).map(([endpoint, options]) => [endpoint, optionsOf(options)] as const)
  return { resumption: resumptionOf(app), all: optionsOf(app.listener), own: Object.fromEntries(own) }
}
