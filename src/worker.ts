/**
 * The worker side of Sluice: what an app module imports.
 *
 * @since 0.1.0
 */
export * as PlainWorker from "./layers/PlainWorker.ts"
export * as SessionDatagrams from "./layers/SessionDatagrams.ts"
export * as SessionDuplex from "./layers/SessionDuplex.ts"
export * as SessionHttpServer from "./layers/SessionHttpServer.ts"
export * as Sessions from "./services/Sessions.ts"
