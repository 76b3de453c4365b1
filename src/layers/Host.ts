/**
 * A host, wired: the session layer over Node's transports, with its rules, namespaces and certificates.
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import type { Certificates } from "../services/Certificates.ts"
import type { Namespaces } from "../services/Namespaces.ts"
import type { SessionLayer } from "../services/SessionLayer.ts"
import type { SessionRules } from "../services/SessionRules.ts"
import * as SessionLayerHost from "./host/SessionLayerHost.ts"
import { layerDefault, type WorkerStack } from "./stack/WorkerStack.ts"
import * as CertificatesMemory from "./stores/CertificatesMemory.ts"
import * as NamespacesMemory from "./stores/NamespacesMemory.ts"
import * as SessionRulesMemory from "./stores/SessionRulesMemory.ts"
import * as TransportNode from "./transport/TransportNode.ts"

/**
 * What a host offers to the program that it is part of.
 *
 * @category models
 * @since 0.1.0
 */
export type Services = SessionLayer | SessionRules | Namespaces | Certificates

/**
 * What is set at run time. To begin with there are no rules, no certificates, and only the default namespace.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSettings: Layer.Layer<SessionRules | Namespaces | Certificates> = Layer.mergeAll(
  SessionRulesMemory.layer,
  NamespacesMemory.layer,
  CertificatesMemory.layer
)

/**
 * A host whose workers are started by a stack of layers that the program chooses: see `WorkerStack.layer` of
 * `sluice/stack`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStack: Layer.Layer<Services, never, WorkerStack> = SessionLayerHost.layerStack.pipe(
  Layer.provide(TransportNode.layer),
  Layer.provideMerge(layerSettings)
)

/**
 * A host whose workers have the default layers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Services> = layerStack.pipe(Layer.provide(layerDefault))
