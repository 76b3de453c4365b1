/**
 * The host side of Sluice.
 *
 * @since 0.1.0
 */
export * as SessionRule from "./domain/admission/SessionRule.ts"
export * as Certificate from "./domain/net/Certificate.ts"
export * as Endpoint from "./domain/net/Endpoint.ts"
export * as ListenerOptions from "./domain/options/ListenerOptions.ts"
export * as Options from "./domain/options/Options.ts"
export * as Report from "./domain/report/Report.ts"
export * as Handle from "./domain/state/Handle.ts"
export * as HandleText from "./domain/state/HandleText.ts"
export * as Ledger from "./domain/state/Ledger.ts"
export * as ControlServer from "./layers/control/ControlServer.ts"
export * as Host from "./layers/Host.ts"
export * as SessionLayerHost from "./layers/host/SessionLayerHost.ts"
export * as LogStyle from "./layers/log/LogStyle.ts"
export * as NamespacesMemory from "./layers/stores/NamespacesMemory.ts"
export * as TransportNode from "./layers/transport/TransportNode.ts"
export * as TransportTcp from "./layers/transport/TransportTcp.ts"
export * as AppWorker from "./services/AppWorker.ts"
export * as Certificates from "./services/Certificates.ts"
export * as Congestion from "./services/Congestion.ts"
export * as Namespaces from "./services/Namespaces.ts"
export * as SessionLayer from "./services/SessionLayer.ts"
export * as SessionRules from "./services/SessionRules.ts"
export * as Takeover from "./services/Takeover.ts"
export * as Transport from "./services/Transport.ts"
