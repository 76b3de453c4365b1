/**
 * The worker side of Sluice: what an app module imports.
 *
 * @since 0.1.0
 */
export * as PlainWorker from "./layers/PlainWorker.ts"
export * as SessionCluster from "./layers/SessionCluster.ts"
export * as SessionDatagrams from "./layers/SessionDatagrams.ts"
export * as SessionDatagramSocket from "./layers/SessionDatagramSocket.ts"
export * as SessionDuplex from "./layers/SessionDuplex.ts"
export * as SessionHttpAgent from "./layers/SessionHttpAgent.ts"
export * as SessionHttpServer from "./layers/SessionHttpServer.ts"
export * as SessionSocket from "./layers/SessionSocket.ts"
export * as SessionSocketServer from "./layers/SessionSocketServer.ts"
export * as Sessions from "./services/Sessions.ts"
