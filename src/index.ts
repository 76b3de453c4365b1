/**
 * The host side of Sluice.
 *
 * @since 0.1.0
 */
export * as Certificate from "./domain/Certificate.ts"
export * as Endpoint from "./domain/Endpoint.ts"
export * as Handle from "./domain/Handle.ts"
export * as HandleText from "./domain/HandleText.ts"
export * as Ledger from "./domain/Ledger.ts"
export * as ListenerOptions from "./domain/ListenerOptions.ts"
export * as Options from "./domain/Options.ts"
export * as Report from "./domain/Report.ts"
export * as SessionRule from "./domain/SessionRules.ts"
export * as ControlServer from "./layers/ControlServer.ts"
export * as Host from "./layers/Host.ts"
export * as NamespacesMemory from "./layers/NamespacesMemory.ts"
export * as SessionLayerHost from "./layers/SessionLayerHost.ts"
export * as TransportNode from "./layers/TransportNode.ts"
export * as TransportTcp from "./layers/TransportTcp.ts"
export * as AppWorker from "./services/AppWorker.ts"
export * as Certificates from "./services/Certificates.ts"
export * as Congestion from "./services/Congestion.ts"
export * as Namespaces from "./services/Namespaces.ts"
export * as SessionLayer from "./services/SessionLayer.ts"
export * as SessionRules from "./services/SessionRules.ts"
export * as Transport from "./services/Transport.ts"
