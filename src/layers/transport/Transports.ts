/** One transport made of several: each endpoint is served by what serves its transport. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import { Transport, type TransportEndpointOf, TransportError, type TransportOf } from "../../services/Transport.ts"

/** What serves each transport. */
export type Transports = {
  readonly [Tag in Endpoint.TransportEndpoint["_tag"]]?: TransportOf<TransportEndpointOf<Tag>>
}

const unserved = (operation: "listen" | "connect", endpoint: Endpoint.TransportEndpoint) =>
  Effect.fail(
    new TransportError({
      operation,
      endpoint: Endpoint.format(endpoint),
      reason: "TransportFailed",
      detail: `this host does not serve the transport ${endpoint._tag}`
    })
  )

/** One transport made of several. */
export const dispatch = (transports: Transports): TransportOf<Endpoint.TransportEndpoint> => {
  const of = (endpoint: Endpoint.TransportEndpoint) =>
    transports[endpoint._tag] as TransportOf<Endpoint.TransportEndpoint> | undefined
  return {
    listen: (endpoint, options) => of(endpoint)?.listen(endpoint, options) ?? unserved("listen", endpoint),
    immovable: (endpoint, options) => {
      const transport = of(endpoint)
      return transport?.immovable === undefined
        ? `only connections of tcp and tls can move to a worker, not those of ${endpoint._tag}`
        : transport.immovable(endpoint, options)
    },
    connect: (endpoint, options) => of(endpoint)?.connect(endpoint, options) ?? unserved("connect", endpoint)
  }
}

export const layer = (transports: Transports): Layer.Layer<Transport> =>
  Layer.succeed(Transport, Transport.of(dispatch(transports)))
