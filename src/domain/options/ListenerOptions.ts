/**
 * How a listener takes its connections in: where their bytes go, what comes before a session, and which worker is asked
 * first.
 *
 * An application has one group of these options for all its listeners, and may have others for single endpoints; see
 * {@link of}. An option that an endpoint's transport has no use for, such as `alpn` on `tcp://`, is ignored.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Prefix from "../net/Prefix.ts"
import { choice, described, HOUR, MINUTE, number, rule, SECOND } from "./OptionFields.ts"
import { Authorities, AUTHORITIES_RIGHT, Protocols, PROTOCOLS_RIGHT } from "./TlsFields.ts"

/**
 * What is known of a connection before it is offered to a worker.
 *
 * @category models
 * @since 0.1.0
 */
export interface Arrival {
  /** Endpoint URIs of the peer and of this end; those that the proxy names where a trusted one is in between. */
  readonly remote: string
  readonly local: string
  /** The name that the peer asked for in its TLS handshake, where the host ends TLS. */
  readonly serverName: string | undefined
}

/**
 * Returns a connection's key: connections with the same key go to one worker, as long as it takes sessions (M6).
 * `undefined` leaves the choice of the worker to the host.
 *
 * @category models
 * @since 0.1.0
 */
export type Affinity = (arrival: Arrival) => string | number | undefined

const AffinityFunction = Schema.declare(
  (value: unknown): value is Affinity => typeof value === "function",
  { expected: "a function of a connection's addresses" }
)

const LARGEST_MODE = 0o777

const Mode = Schema.Union([Schema.Int, Schema.String.check(Schema.isPattern(/^0?o?[0-7]{1,4}$/))]).pipe(
  Schema.decodeTo(
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: LARGEST_MODE })),
    SchemaTransformation.transform({
      decode: (given: number | string) =>
        typeof given === "number" ? given : Number.parseInt(given.replace("o", ""), 8),
      encode: (mode: number): number | string => mode
    })
  )
)

/**
 * The options of a listener.
 *
 * **Details**
 *
 * - `placement`: `"shared"`: the host keeps the socket, and bytes go through fifos in shared memory. `"transfer"`: a
 *   claimed connection moves to the worker's thread, socket and all; `"shared"`. TCP and TLS only.
 * - `tlsIn`: `"host"` or `"worker"`: where TLS ends on `tls:` endpoints; `"host"`. With `transfer` it always ends in
 *   the worker. For TLS to end in the worker, the connection moves there as with `transfer`; if it can't move, the host
 *   keeps the connection and ends TLS, and says so.
 * - `alpn`: protocols offered in TLS handshakes, the preferred first; none.
 * - `clientCertificate`: `"none"`, `"request"`, or `"require"`: a client without a valid one is refused; `"none"`.
 * - `clientAuthorities`: PEM texts of the authorities that sign clients' certificates; none, and `"require"` needs one.
 * - `handshakeTimeout`: milliseconds that a peer has for all that comes before the session, a PROXY header and the TLS
 *   handshake; 10 to 600000; 10000.
 * - `maxHandshakes`: how many connections may be busy with that at the same time; further ones are refused; 1 to 65536;
 *   4096.
 * - `proxyTrust`: prefixes of the peers whose PROXY protocol header is read; connections from others are taken as they
 *   are, and with an empty list no header is read; none.
 * - `affinity`: `"none"`, `"source"` (by the peer's address), or a function; `"none"`. It yields to congestion (M6).
 * - `udpIdleTimeout`: milliseconds without a datagram after which a UDP session ends; 10 to 86400000; 60000.
 * - `udpPending`: how many datagrams may wait for a worker to claim their session; 1 to 65536; 64.
 * - `unixMode`: permissions of a Unix socket's file, as a number or octal text; `0o600`.
 *
 * @category models
 * @since 0.1.0
 */
export const ListenerOptions = Schema.Struct({
  placement: choice({
    words: ["shared", "transfer"],
    default: "shared",
    description: "Whether the host keeps the sockets of connections or moves them to the workers that claim them"
  }),
  tlsIn: choice({
    words: ["host", "worker"],
    default: "host",
    description: "Where TLS ends, on endpoints that begin with tls:"
  }),
  alpn: Protocols.annotate(described({
    description: "Protocols that TLS handshakes offer, the preferred first",
    form: "list",
    value: "protocol",
    right: PROTOCOLS_RIGHT,
    default: "none"
  })),
  clientCertificate: choice({
    words: ["none", "request", "require"],
    default: "none",
    description: "Whether TLS clients are asked for a certificate, or refused without a valid one"
  }),
  clientAuthorities: Authorities.annotate(described({
    description: "Certificates of the authorities that sign clients' certificates",
    form: "list",
    value: "pem",
    right: AUTHORITIES_RIGHT,
    default: "none",
    shown: "kind"
  })),
  handshakeTimeout: number({
    unit: "milliseconds",
    min: 10,
    max: 10 * MINUTE,
    default: 10 * SECOND,
    description: "Time that a peer has for what comes before its session: PROXY header and TLS handshake"
  }),
  maxHandshakes: number({
    unit: "connections",
    min: 1,
    max: 65536,
    default: 4096,
    description: "The most connections of one listener that may be busy with what comes before their sessions"
  }),
  proxyTrust: Schema.Array(Prefix.PrefixFromString).pipe(
    Schema.withDecodingDefaultType(Effect.succeed([]))
  ).annotate(described({
    description: "Addresses of proxies whose PROXY protocol headers are read",
    form: "list",
    value: "prefix",
    right: `a list, each ${Prefix.PREFIX_RIGHT}`,
    default: "none"
  })),
  affinity: Schema.Union([Schema.Literals(["none", "source"]), AffinityFunction]).pipe(
    Schema.withDecodingDefaultType(Effect.succeed("none" as const))
  ).annotate(described({
    description: "Which connections go to the same worker while it takes sessions",
    value: "none|source",
    right: `"none" or "source", or in a program a function of the connection's addresses`,
    default: `"none"`,
    requirement: "M6"
  })),
  udpIdleTimeout: number({
    unit: "milliseconds",
    min: 10,
    max: 24 * HOUR,
    default: MINUTE,
    description: "Time without a datagram after which a UDP session ends"
  }),
  udpPending: number({
    unit: "datagrams",
    min: 1,
    max: 65536,
    default: 64,
    description: "The most datagrams that wait for a worker to claim their session"
  }),
  unixMode: Mode.pipe(
    Schema.withDecodingDefaultType(Effect.succeed(0o600))
  ).annotate(described({
    description: "Permissions of a Unix socket's file",
    value: "mode",
    right: `a number from 0 to 0o777, or octal text such as "0660"`,
    default: `"0600"`
  }))
}).check(
  // without authorities no certificate would be valid
  Schema.makeFilter(({ clientAuthorities, clientCertificate }) =>
    rule(
      clientCertificate !== "require" || clientAuthorities.length > 0,
      ["clientAuthorities"],
      `a list that is not empty, as clientCertificate is "require"`
    )
  )
)
export type ListenerOptions = typeof ListenerOptions.Type

/**
 * The options of the listener on an endpoint: its own, or those for all listeners.
 *
 * @category getters
 * @since 0.1.0
 */
export const of = (
  options: {
    readonly listener: ListenerOptions
    readonly listeners: Readonly<Record<string, ListenerOptions>>
  },
  endpoint: string
): ListenerOptions => Object.hasOwn(options.listeners, endpoint) ? options.listeners[endpoint]! : options.listener
