/**
 * A host, wired: the session layer over TCP.
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import type { SessionLayer } from "../services/SessionLayer.ts"
import * as SessionLayerHost from "./SessionLayerHost.ts"
import * as TransportTcp from "./TransportTcp.ts"

export const layer: Layer.Layer<SessionLayer> = SessionLayerHost.layer.pipe(Layer.provide(TransportTcp.layer()))
