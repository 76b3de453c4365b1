/**
 * The worker side of Sluice: what an app module imports.
 *
 * @since 0.1.0
 */
export * as SessionCluster from "./layers/adapters/effect/SessionCluster.ts"
export * as SessionDatagramSocket from "./layers/adapters/effect/SessionDatagramSocket.ts"
export * as SessionHttpAgent from "./layers/adapters/effect/SessionHttpAgent.ts"
export * as SessionHttpServer from "./layers/adapters/effect/SessionHttpServer.ts"
export * as SessionSocket from "./layers/adapters/effect/SessionSocket.ts"
export * as SessionSocketServer from "./layers/adapters/effect/SessionSocketServer.ts"
export * as PlainWorker from "./layers/adapters/node/PlainWorker.ts"
export { sessionOf } from "./layers/adapters/node/SessionDuplex.ts"
export * as SessionDuplex from "./layers/adapters/node/SessionDuplex.ts"
export * as SessionDatagrams from "./layers/worker/SessionDatagrams.ts"
export * as Sessions from "./services/Sessions.ts"
