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
import { choice, described, meantOf, number, rule } from "./OptionFields.ts"
import { HOUR, MINUTE, SECOND } from "./OptionUnits.ts"
import { Priorities } from "./Priority.ts"
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
 * Returns a connection's key: connections with the same key go to one worker, as long as it takes sessions.
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

const ModeText = Schema.String.check(Schema.isPattern(/^0?o?[0-7]{1,4}$/u))

const ModeNumber = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: LARGEST_MODE }))

const Mode = Schema.Union([Schema.Int, ModeText]).pipe(
  Schema.decodeTo(
    ModeNumber,
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
 * @category models
 * @since 0.1.0
 */
export const ListenerOptions = Schema.Struct({
  /**
   * `"shared"`: the host keeps the socket, and bytes go through fifos in shared memory. `"transfer"`: a claimed
   * connection moves to the worker's thread, socket and all. For TCP and TLS; `"shared"`.
   */
  placement: choice({
    words: ["shared", "transfer"],
    default: "shared",
    description: "Whether the host keeps the sockets of connections or moves them to the workers that claim them"
  }),
  /**
   * Where TLS ends on `tls:` endpoints; `"host"`. With `placement: "transfer"` it always ends in the worker. For TLS
   * to end in the worker, the connection moves there as with `"transfer"`; if it can't move, the host keeps the
   * connection and ends TLS, and says so.
   */
  tlsIn: choice({
    words: ["host", "worker"],
    default: "host",
    description: "Where TLS ends, on endpoints that begin with tls:"
  }),
  /** Protocols that TLS handshakes offer, the preferred first; none. */
  alpn: Protocols.annotate(described({
    description: "Protocols that TLS handshakes offer, the preferred first",
    form: "list",
    value: "protocol",
    right: PROTOCOLS_RIGHT,
    default: "none"
  })),
  /**
   * Whether TLS clients are not asked for a certificate, asked, or refused without a valid one; `"none"`. `"require"`
   * needs `clientAuthorities`.
   */
  clientCertificate: choice({
    words: ["none", "request", "require"],
    default: "none",
    description: "Whether TLS clients are asked for a certificate, or refused without a valid one"
  }),
  /** PEM texts with the certificates of the authorities that sign clients' certificates; none. */
  clientAuthorities: Authorities.annotate(described({
    description: "Certificates of the authorities that sign clients' certificates",
    form: "list",
    value: "pem",
    right: AUTHORITIES_RIGHT,
    default: "none",
    shown: "kind"
  })),
  /**
   * Time that a peer has for all that comes before its session, a PROXY header and the TLS handshake: 10 ms to 10
   * min; 10 s.
   */
  handshakeTimeout: number({
    unit: "milliseconds",
    min: 10,
    max: 10 * MINUTE,
    default: 10 * SECOND,
    description: "Time that a peer has for what comes before its session: PROXY header and TLS handshake"
  }),
  /**
   * The most connections of one listener that may be busy with what comes before their sessions: 1 to 65536; 4096.
   * Further ones are refused.
   */
  maxHandshakes: number({
    unit: "connections",
    min: 1,
    max: 65536,
    default: 4096,
    description: "The most connections of one listener that may be busy with what comes before their sessions"
  }),
  /**
   * Addresses of the proxies whose PROXY protocol headers are read, such as `"10.0.0.0/8"`; none. Connections from
   * elsewhere are taken as they are; with an empty list no header is read.
   */
  proxyTrust: Schema.Array(Prefix.PrefixFromString).pipe(
    Schema.withDecodingDefaultType(Effect.succeed([]))
  ).annotate(described({
    description: "Addresses of proxies whose PROXY protocol headers are read",
    form: "list",
    value: "prefix",
    right: `a list, each ${Prefix.PREFIX_RIGHT}`,
    default: "none"
  })),
  /**
   * Which connections go to the same worker while it takes sessions: `"none"`, `"source"` (those from one address),
   * or a function that gives each connection a key; `"none"`.
   */
  affinity: Schema.Union([Schema.Literals(["none", "source"]), AffinityFunction]).pipe(
    Schema.withDecodingDefaultType(Effect.succeed("none" as const))
  ).annotate(described({
    description: "Which connections go to the same worker while it takes sessions",
    value: "none|source",
    right: `"none" or "source", or in a program a function of the connection's addresses`,
    hint: meantOf(["none", "source"]),
    json: Schema.Literals(["none", "source"]),
    default: `"none"`,
    requirement: "M6"
  })),
  /**
   * Class of the listener's connections: of those that wait for a worker, `"high"` ones are served first and `"low"` ones
   * last. Those of class `"high"`, such as health checks, may go beyond each limit by `reserve`, and wait where others are
   * refused; `"normal"`. A session rule can give its sessions another class.
   */
  priority: choice({
    words: Priorities,
    default: "normal",
    description: "Class of a listener's connections: which of those that wait for a worker are served first"
  }),
  /**
   * The most sessions that one source may have at the listener, including connections that wait: 1 to 16777216; 0, no
   * limit. Further connections are refused, before a TLS handshake. A source is an address, or as many as share
   * `sourcePrefixIpv4` or `sourcePrefixIpv6` bits; the one that a trusted proxy names counts. A session rule can exempt
   * sources. Unix sockets have none.
   */
  sourceSessions: number({
    unit: "sessions",
    min: 1,
    max: 2 ** 24,
    default: 0,
    zero: "no limit",
    description: "The most sessions that one source address may have at a listener"
  }),
  /**
   * The most new connections that one source may make at the listener in a second, all of them at once or one after the
   * other: 1 to 65536; 0, no limit. Further connections are refused, and those that are refused don't count.
   */
  sourceRate: number({
    unit: "connections",
    min: 1,
    max: 65536,
    default: 0,
    zero: "no limit",
    description: "The most new connections that one source address may make at a listener in a second"
  }),
  /** How many leading bits the IPv4 addresses of one source share: 8 to 32; 32, each address is a source of its own. */
  sourcePrefixIpv4: number({
    unit: "bits",
    min: 8,
    max: 32,
    default: 32,
    description: "How many leading bits the IPv4 addresses of one source share"
  }),
  /** How many leading bits the IPv6 addresses of one source share: 16 to 128; 64, a network of one site. */
  sourcePrefixIpv6: number({
    unit: "bits",
    min: 16,
    max: 128,
    default: 64,
    description: "How many leading bits the IPv6 addresses of one source share"
  }),
  /**
   * In which order held connections are served. `"oldest"`: that of their arrival. `"adaptive"`: the same until a queue
   * stands, that is, until some have been held for `sojournInterval` although workers went on claiming. A connection that
   * comes then is held for `sojournInterval` and no longer; the newest of these is served first, in turns with the first of
   * those that came before. `"adaptive"`.
   */
  held: choice({
    words: ["adaptive", "oldest"],
    default: "adaptive",
    requirement: "X7",
    description: "Whether held connections are served the newest first, and held for a short time, while a queue stands"
  }),
  /**
   * What the peer of a connection that is refused gets, over TCP, TLS that ends in the host, and Unix sockets: a `"reset"`,
   * or an answer of `"http"`: `503`, with `Retry-After` and the reason, from the host and without a worker. `"auto"`
   * (default): the answer where the workers listen with a server of HTTP/1, such as Node's `http.Server`, and a reset
   * elsewhere. A peer that a rule or the deny list refuses, one that has agreed on HTTP/2, and one whose TLS would end in
   * a worker always get a reset.
   */
  refuseWith: choice({
    words: ["auto", "reset", "http"],
    default: "auto",
    requirement: "X7",
    description: "Whether a peer that is refused gets a reset, or 503 of HTTP with the reason: auto for servers of HTTP"
  }),
  /**
   * Time that a connection has for what is left to be sent once it was given up, and a second more for each 16 KiB of
   * it: 10 ms to 10 min; 5 s. Then it is reset. Nothing that the peer does makes the time longer.
   */
  closeTimeout: number({
    unit: "milliseconds",
    min: 10,
    max: 10 * MINUTE,
    default: 5 * SECOND,
    description:
      "Time that a connection has for what is left to be sent, once it was given up, and a second more for each 16 KiB"
  }),
  /**
   * Time without a byte after which the system begins to probe whether the peer of a TCP connection is still there,
   * with either placement: 1 s to 24 h, in whole seconds; 0, no probes. A peer that does not answer is lost, which ends
   * its session with a reset.
   */
  keepAlive: number({
    unit: "milliseconds",
    min: SECOND,
    max: 24 * HOUR,
    default: 0,
    zero: "no probes",
    description: "Time without a byte after which the system probes whether the peer of a TCP connection is still there"
  }),
  /**
   * Time for which a session over TCP, TLS or a Unix socket may stand still before it is ended with a reset, with either
   * placement: no byte has come from its peer, and the peer has taken none. 100 ms to 24 h, and at most a quarter
   * more; 0, no such time. It does not hold for connects.
   */
  idleTimeout: number({
    unit: "milliseconds",
    min: 100,
    max: 24 * HOUR,
    default: 0,
    zero: "no such time",
    description: "Time without a byte in either direction after which a session over TCP, TLS or a Unix socket is reset"
  }),
  /**
   * Time for which a session over TCP, TLS or a Unix socket may have bytes that wait for its peer while the peer takes
   * less than 1 KiB of them a second, before it is ended with a reset, with either placement: 100 ms to 24 h, and at most
   * a quarter more; 0, no such time. Nothing that the peer sends makes it longer. Bytes that the application does not
   * read are not meant. It does not hold for connects.
   */
  stallTimeout: number({
    unit: "milliseconds",
    min: 100,
    max: 24 * HOUR,
    default: 0,
    zero: "no such time",
    description:
      "Time for which the peer of a session over TCP, TLS or a Unix socket may take less than 1 KiB a second of what waits for it"
  }),
  /** Time without a datagram after which a UDP session ends: 10 ms to 24 h; 1 min. */
  udpIdleTimeout: number({
    unit: "milliseconds",
    min: 10,
    max: 24 * HOUR,
    default: MINUTE,
    description: "Time without a datagram after which a UDP session ends"
  }),
  /** The most datagrams that wait for a worker to claim their session: 1 to 65536; 64. */
  udpPending: number({
    unit: "datagrams",
    min: 1,
    max: 65536,
    default: 64,
    description: "The most datagrams that wait for a worker to claim their session"
  }),
  /** Permissions of a Unix socket's file, as a number or octal text such as `"0660"`; `0o600`. */
  unixMode: Mode.pipe(
    Schema.withDecodingDefaultType(Effect.succeed(0o600))
  ).annotate(described({
    description: "Permissions of a Unix socket's file",
    value: "mode",
    right: `a number from 0 to 0o777, or octal text such as "0660"`,
    json: Schema.Union([ModeNumber, ModeText]),
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
