/**
 * The opening of a listener: whether the application may listen there, what is in its way, and what makes it listen.
 *
 * In global scope the transport listens; in local scope the listener stands in its namespace's local table, where the
 * connects of other workers find it (W16, W17). An application with both scopes has both.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Message from "../../domain/memory/Message.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import type { AppOptions } from "../../domain/options/AppOptions.ts"
import * as ListenerOptions from "../../domain/options/ListenerOptions.ts"
import * as Notice from "../../domain/report/Notice.ts"
import * as Refusal from "../../domain/state/Refusal.ts"
import type { Certificates } from "../../services/Certificates.ts"
import type { Transport, TransportError, TransportListenOptions } from "../../services/Transport.ts"
import type { Heirloom, InheritedSocket, InheritedSockets } from "../system/InheritedSockets.ts"
import type { ListenGate } from "../system/ListenGate.ts"
import type { HostListener, ListenerHost } from "./Listener.ts"
import type { SlotApp } from "./Worker.ts"

/** Why there is no listener. */
export type NoListener = Refusal.Refusal<Refusal.ListenReason>

/** What it takes to open listeners. */
export interface OpeningHost extends ListenerHost {
  readonly transport: Transport["Service"]
  readonly certificates: Certificates["Service"]
  /** Sockets that listen already. */
  readonly inherited: InheritedSockets
}

/** Where a proxy listens: on any port, for each transport that it stands in for and each address family (W18). */
export const ofProxy = ({ proxiedTransports }: AppOptions): ReadonlyArray<Endpoint.Endpoint> =>
  proxiedTransports.includes("tcp") ? Endpoint.anyPorts : []

/** Why the application may not listen there at all. */
export const outOfScope = (app: SlotApp, endpoint: Endpoint.Endpoint): string | undefined => {
  if (endpoint._tag === "local" && !app.options.scope.local) {
    return "local endpoints are for applications with local scope (scope.local)"
  }
  if (Endpoint.isAnyPort(endpoint) && !app.options.proxiedTransports.includes("tcp")) {
    return "any port is for proxies of that transport (proxiedTransports)"
  }
  return undefined
}

/** Whether the listeners of two applications on one endpoint conflict, and by which reason the conflict is known. */
export const conflict = (
  endpoint: Endpoint.Endpoint,
  mine: SlotApp,
  theirs: SlotApp
): "AlreadyListening" | "AddressInUse" | undefined => {
  const global = mine.options.scope.global && theirs.options.scope.global
  if (global && Endpoint.isTransport(endpoint)) return "AlreadyListening"
  const shared = mine.options.scope.local && theirs.options.scope.local
  return shared && mine.options.namespace === theirs.options.namespace ? "AddressInUse" : undefined
}

/** Enters the listener in its namespace's local table, if the application has local scope. Returns why that failed. */
const enterLocally = ({ tables }: ListenerHost, listener: HostListener, endpoint: Endpoint.Endpoint) => {
  const { namespace, scope } = listener.app.options
  const locals = tables.locals(namespace)
  if (!scope.local || locals.get(endpoint) === listener || locals.add(endpoint, listener)) return undefined
  const none: NoListener = {
    reason: "AddressInUse",
    detail: `another listener has ${Endpoint.format(endpoint)} in the local scope of namespace ${namespace}`
  }
  return none
}

/** Takes the listener out of its namespace's local table. */
export const leaveLocally = ({ tables }: ListenerHost, listener: HostListener): void => {
  const locals = tables.locals(listener.app.options.namespace)
  for (const endpoint of [listener.requested, listener.bound]) {
    if (locals.get(endpoint) === listener) locals.remove(endpoint)
  }
}

/** Where the sockets of the listener's connections will be. It is told when the application asked otherwise. */
const place = (
  { notices, transport }: OpeningHost,
  app: SlotApp,
  requested: Endpoint.TransportEndpoint,
  asked: ListenerOptions.ListenerOptions
): ListenerOptions.ListenerOptions["placement"] => {
  const leavesTls = requested._tag === "tls" && asked.tlsIn === "worker"
  if (asked.placement !== "transfer" && !leavesTls) return "shared"
  const why = transport.immovable === undefined
    ? "they are not sockets, and only sockets can be moved"
    : transport.immovable(requested, asked)
  if (why === undefined) return "transfer"
  notices.tell(Notice.notMoved({ app: app.name, uri: Endpoint.format(requested) }, requested._tag === "tls", why))
  return "shared"
}

const TAKEN = "the socket that this process was started with has its listener, or had one that is closed; "
  + "start the process again to have it once more"

/** Says of a socket that could not be served which one it is. */
const of = ({ descriptor, name }: InheritedSocket): string =>
  ` (descriptor ${descriptor}, ${
    name === undefined ? "" : `${JSON.stringify(name)}, `
  }which this process was started with)`

/** Says where to ask for a socket that has the same port on another address, such as `[::]` for `0.0.0.0`. */
const elsewhere = ({ free }: InheritedSockets, requested: Endpoint.TransportEndpoint, reason: string): string => {
  if (reason !== "AddressInUse" || !Endpoint.isInet(requested)) return ""
  const other = free.find(({ endpoint }) => Endpoint.isInet(endpoint) && endpoint.port === requested.port)
  return other === undefined
    ? ""
    : `; this process was started with a socket at ${Endpoint.format(other.endpoint)}: ask for that address`
}

/** Where a listener listens that is asked for there: on the port that the host before got, whatever is served on it now. */
const boundOf = (requested: Endpoint.TransportEndpoint, heirloom: Heirloom | undefined): Endpoint.TransportEndpoint => {
  const bound = heirloom?.bound
  return bound !== undefined && Endpoint.isInet(bound) && Endpoint.isInet(requested)
    ? { ...requested, host: bound.host, port: bound.port }
    : requested
}

/** The listener has its endpoint, and waits behind the gate for the word to listen there (X4). */
const later = (
  { inherited }: OpeningHost,
  listener: HostListener,
  socket: InheritedSocket,
  gate: ListenGate<TransportError>,
  bound: Endpoint.TransportEndpoint,
  listen: Effect.Effect<void, TransportError>
): Effect.Effect<void> => {
  listener.bound = bound
  listener.boundUri = Endpoint.format(bound)
  gate.wait(listen)
  // a start of a worker that fails has its listeners closed, and the next one may have the socket
  const withdraw = Effect.sync(() => {
    if (gate.withdraw(listen)) inherited.giveBack(socket)
  })
  return Scope.addFinalizer(listener.transport, withdraw)
}

/** Opens a listener in its scopes; returns why that failed, if it did. */
export const open = Effect.fnUntraced(function*(
  host: OpeningHost,
  listener: HostListener,
  message: Message.Of<"listen">
): Effect.fn.Return<NoListener | undefined> {
  const { app, requested } = listener
  const { admission, scope } = app.options
  const { certificates, notices, transport } = host
  const isEphemeral = Endpoint.isEphemeral(requested)
  if (!Endpoint.isTransport(requested)) return enterLocally(host, listener, requested)
  if (!scope.global) {
    if (!isEphemeral) return enterLocally(host, listener, requested)
    return {
      reason: "AddressNotAvailable",
      detail: "port 0 is for the system to choose, which local scope does not ask"
    }
  }
  const taken = isEphemeral ? undefined : enterLocally(host, listener, requested)
  if (taken !== undefined) return taken
  const asked = ListenerOptions.of(app.options, listener.requestedUri)
  listener.placement = place(host, app, requested, asked)
  const inherited = host.inherited.take(requested, app.name)
  if (inherited === "taken") return { reason: "AddressInUse", detail: TAKEN }
  listener.inherited = inherited
  const { heirloom } = inherited ?? {}
  const options: TransportListenOptions = {
    descriptor: inherited?.descriptor,
    ownsFile: heirloom?.ownsFile === true,
    waitsToRead: heirloom !== undefined,
    opened: (socket) => {
      listener.socket = socket
      heirloom?.reading.pass(() => socket.datagrams?.read())
    },
    backlog: message.backlog === 0 ? admission.backlog : message.backlog,
    ipv6Only: (message.flags & Message.IPV6_ONLY) !== 0,
    listener: { ...asked, placement: listener.placement },
    certificate: (serverName) => certificates.choose(app.handle, serverName),
    isDenied: (remote, local, isProxy) => listener.intake.turnsAway(remote, local, isProxy),
    refused: (reason) => listener.intake.turnAway(reason),
    dropped: (reason) => listener.events.dropped(reason),
    accept: listener.intake.arrive,
    acceptError: (error, detail) =>
      notices.tell(Notice.acceptFailed({ app: app.name, uri: listener.boundUri }, error, detail))
  }
  const endpoint = boundOf(requested, heirloom)
  const listen = transport.listen(endpoint, options).pipe(Scope.provide(listener.transport))
  if (inherited?.gate?.isOpen === false) {
    yield* later(host, listener, inherited, inherited.gate, endpoint, Effect.asVoid(listen))
    return isEphemeral ? enterLocally(host, listener, listener.bound) : undefined
  }
  const bound = yield* Effect.result(listen)
  if (Result.isFailure(bound)) {
    const { detail, reason } = bound.failure
    // of all reasons, the only one for which no socket is touched
    if (inherited !== undefined && reason === "NoCertificate") host.inherited.giveBack(inherited)
    const told = inherited === undefined ? elsewhere(host.inherited, requested, reason) : of(inherited)
    return { reason: Refusal.ofListen[reason], detail: detail + told }
  }
  listener.bound = bound.success
  listener.boundUri = Endpoint.format(bound.success)
  return isEphemeral ? enterLocally(host, listener, bound.success) : undefined
})
