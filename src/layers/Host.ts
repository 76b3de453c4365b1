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
import type { Succession } from "../services/Succession.ts"
import type { Takeover, TakeoverError } from "../services/Takeover.ts"
import * as SessionLayerHost from "./host/SessionLayerHost.ts"
import { layerDefault, type WorkerStack } from "./stack/WorkerStack.ts"
import * as CertificatesMemory from "./stores/CertificatesMemory.ts"
import * as NamespacesMemory from "./stores/NamespacesMemory.ts"
import * as SessionRulesMemory from "./stores/SessionRulesMemory.ts"
import * as TakeoverHost from "./takeover/TakeoverHost.ts"
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

const whole: Layer.Layer<Services | Succession, never, WorkerStack> = SessionLayerHost.layerStack.pipe(
  Layer.provide(TransportNode.layer),
  Layer.provideMerge(layerSettings)
)

/**
 * A host whose workers are started by a stack of layers that the program chooses: see `WorkerStack.layer` of
 * `sluice/stack`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStack: Layer.Layer<Services, never, WorkerStack> = whole

/**
 * A host whose workers have the default layers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Services> = layerStack.pipe(Layer.provide(layerDefault))

/**
 * The same host, which another one can follow without losing a connection or a count: see {@link Takeover}. Where its
 * process was started to follow another host, it gets the sockets of that one, and accepts nothing before it is told
 * that all is up (`Takeover.up`).
 *
 * @category layers
 * @since 0.1.0
 */
export const layerTakeover: Layer.Layer<Services | Takeover, TakeoverError> = TakeoverHost.layer(whole).pipe(
  Layer.provide(layerDefault)
)
