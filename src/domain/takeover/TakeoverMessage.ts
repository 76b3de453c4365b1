/**
 * What the two hosts of a takeover (X4) say to each other, as schemas: a message from another process, which may be of
 * another version, is decoded before anything is done with it.
 *
 * | to | message | sent with a socket |
 * |---|---|---|
 * | successor | `SLUICE_TAKEOVER`, {@link Birth}: what it is born with | |
 * | predecessor | `Ready`: the workers run | |
 * | successor | `Serve`: counters and rules; accept from now on | |
 * | predecessor | `Serving`: it accepts, on these listeners | |
 * | successor | `Settle`: the rules once more; be the host | |
 * | predecessor | `Settled`: it is | |
 * | successor | `Peers`, `Read`: whose sessions stay here over UDP; read from now on | |
 * | successor | `Connection`: a held connection, or a parked session | yes, but for UDP |
 * | predecessor | `Taken`, `Declined`: what became of it | |
 * | predecessor | `Followed`: another host is the host | |
 * | predecessor | `Datagrams`: for the sessions over UDP that stay | |
 * | successor | `Relayed`: they have had them, but for some that were over | |
 * | successor | `Over`: sessions that are | |
 * | successor | `Back`: datagrams that were taken, and whose sessions were over | |
 * | successor | `Counters`: as the predecessor drains, and at its end | |
 * | predecessor | `Failed`: it gives up, and why | |
 *
 * Handles are those of the predecessor: two listeners may have been asked for the same endpoint, on any port.
 */
import * as Schema from "effect/Schema"
import { SessionAbout } from "../memory/SessionAbout.ts"
import { FormerHost } from "../report/FormerHost.ts"

/** The version of these messages. Hosts that do not agree on it take nothing over from each other. */
export const PROTOCOL = 2

/** The name of the variable that the {@link Birth} of a successor is in. */
export const VARIABLE = "SLUICE_TAKEOVER"

const Descriptor = Schema.Int.check(Schema.isGreaterThan(2))
const Id = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/** A socket that the predecessor listens on, or has been given and does not serve, and the successor's descriptor of it. */
export const BornListener = Schema.Struct({
  /** The predecessor's listener; absent where none has asked for the socket. */
  handle: Schema.optional(Schema.NonEmptyString),
  app: Schema.String,
  /** What a service manager calls the socket, if it has made it. */
  name: Schema.optional(Schema.String),
  /** The endpoint that the application asked for, and the one that it got; URIs. */
  requested: Schema.String,
  bound: Schema.String,
  /** Whether the file of a Unix socket goes over, too. */
  ownsFile: Schema.Boolean,
  descriptor: Descriptor
})
export type BornListener = typeof BornListener.Type

export const Birth = Schema.Struct({
  protocol: Schema.Int,
  /** The predecessor's process. */
  pid: Schema.Int,
  /** Where its control socket is; absolute. */
  control: Schema.optional(Schema.String),
  /** Which host the predecessor is in the line of hosts, from 1 on, and the milliseconds since the first one has begun. */
  lineage: Schema.optional(Schema.Struct({ generation: Id, upMillis: Schema.Finite })),
  /** How many workers each application has, where their number follows the load (X8). */
  workers: Schema.optional(Schema.Record(Schema.String, Id)),
  listeners: Schema.Array(BornListener)
})
export type Birth = typeof Birth.Type

const Counts = Schema.Record(Schema.String, Schema.Union([Schema.Finite, Schema.Record(Schema.String, Schema.Finite)]))

/**
 * The counters of a host since it began, those of its own predecessors included. Another version may count other things:
 * `Ledger.known` takes those that this one counts, too.
 */
export const Totals = Schema.Struct({ messages: Counts, offers: Counts, arrivals: Counts })

const counters = {
  totals: Totals,
  /** The hosts that the successor comes after, the one that says this first. */
  hosts: Schema.Array(FormerHost)
}

const rules = {
  /** As they were added, in the order in which they stand. */
  rules: Schema.Array(Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Finite]))),
  denied: Schema.Array(Schema.String)
}

const peers = {
  listener: Schema.String,
  /** Their addresses and ports, as the listener's socket names them. */
  peers: Schema.Array(Schema.String)
}

/** One of each of the peers, laid one after the other as in a fifo. */
const datagrams = { ...peers, bytes: Schema.Uint8ArrayFromBase64 }

export const ToSuccessor = Schema.Union([
  Schema.TaggedStruct("Serve", { ...rules, ...counters }),
  Schema.TaggedStruct("Connection", {
    id: Id,
    listener: Schema.String,
    remote: Schema.String,
    local: Schema.String,
    mapped: Schema.Boolean,
    about: Schema.optional(SessionAbout),
    /** Bytes that the predecessor had read and no application has had. */
    unread: Schema.Uint8ArrayFromBase64,
    /** Over UDP: whether older datagrams come by `Back`, and then `Over`. */
    isBehind: Schema.optional(Schema.Boolean),
    /** What the application has given along. */
    state: Schema.optional(Schema.Uint8ArrayFromBase64),
    /** How often its session had moved before. */
    moves: Id
  }),
  Schema.TaggedStruct("Settle", rules),
  Schema.TaggedStruct("Peers", peers),
  Schema.TaggedStruct("Read", {}),
  Schema.TaggedStruct("Over", peers),
  /** The places of those that are missed, in the batch. */
  Schema.TaggedStruct("Relayed", { listener: Schema.String, missed: Schema.Array(Id) }),
  Schema.TaggedStruct("Back", datagrams),
  Schema.TaggedStruct("Counters", counters)
])
export type ToSuccessor = typeof ToSuccessor.Type

export const ToPredecessor = Schema.Union([
  Schema.TaggedStruct("Ready", {
    /** Where the successor's control socket waits to be moved to its path; none where it has a path of its own. */
    control: Schema.optional(Schema.String)
  }),
  Schema.TaggedStruct("Serving", { listeners: Schema.Array(Schema.String) }),
  Schema.TaggedStruct("Taken", { id: Id }),
  Schema.TaggedStruct("Declined", { id: Id }),
  Schema.TaggedStruct("Settled", {}),
  Schema.TaggedStruct("Datagrams", datagrams),
  Schema.TaggedStruct("Followed", {}),
  Schema.TaggedStruct("Failed", { detail: Schema.String })
])
export type ToPredecessor = typeof ToPredecessor.Type

export const decodeBirth = Schema.decodeUnknownResult(Schema.fromJsonString(Birth))
export const decodeToSuccessor = Schema.decodeUnknownResult(Schema.toCodecJson(ToSuccessor))
export const decodeToPredecessor = Schema.decodeUnknownResult(Schema.toCodecJson(ToPredecessor))
export const encodeBirth = Schema.encodeSync(Schema.fromJsonString(Birth))
export const encodeToSuccessor = Schema.encodeSync(Schema.toCodecJson(ToSuccessor))
export const encodeToPredecessor = Schema.encodeSync(Schema.toCodecJson(ToPredecessor))
