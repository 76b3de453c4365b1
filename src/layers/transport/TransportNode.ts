/**
 * The transports that a host serves by default: TCP, TLS, UDP and Unix sockets, by Node.
 *
 * @since 0.1.0
 */
import type * as Layer from "effect/Layer"
import type { Transport } from "../../services/Transport.ts"
import * as Transports from "./Transports.ts"
import * as TransportTcp from "./TransportTcp.ts"
import * as TransportTls from "./TransportTls.ts"
import * as TransportUdp from "./TransportUdp.ts"
import * as TransportUnix from "./TransportUnix.ts"

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Transport> = Transports.layer({
  tcp: TransportTcp.make(),
  tls: TransportTls.make(),
  udp: TransportUdp.make(),
  unix: TransportUnix.make()
})
