/**
 * The messages of the two queues of a worker, and their binary form.
 *
 * IO events are 16 bytes (kind, session index, session generation, argument) and say only that there is something to
 * look at. Control messages are a word for the kind, then the fields of the table below in order: `u32` is a word,
 * `session` and `listener` are two (the handle's index and generation), `reason`, `handshake` and `option` are a word,
 * the place in their list of literals, `text` is a word with the length in bytes and then UTF-8, padded to a word.
 *
 * Every message to a worker is one of these, and there is one way into the queue for all of them (M2).
 */
import * as SocketOption from "../net/SocketOption.ts"
import * as Handle from "../state/Handle.ts"
import * as Ledger from "../state/Ledger.ts"
import * as Refusal from "../state/Refusal.ts"
import * as QueueMemory from "./QueueMemory.ts"

/** IO events to a worker: bytes to read; room to write into. */
export const Rx = 1
export const Room = 2
/** IO events to the host: an offer was claimed; an offer was found taken back; bytes to send; room in the rx fifo. */
export const Claimed = 3
export const Passed = 4
export const Tx = 5
export const Drained = 6
/**
 * IO event to the host: a connection that has moved to the worker is gone, and its session over. Its argument says
 * whether the worker has ended it, and why: see {@link endCode}.
 */
export const Gone = 7
/**
 * IO event to the host: the session is parked (X1), and the worker drains, or there were bytes for it before. Of a
 * connection that had moved to the worker: its socket has been given back, and is there.
 */
export const Parked = 8

export type IoKind =
  | typeof Rx
  | typeof Room
  | typeof Claimed
  | typeof Passed
  | typeof Tx
  | typeof Drained
  | typeof Gone
  | typeof Parked

/** Bits of `listen`'s flags: IPv6 addresses only, where the endpoint is any IPv6 address; peers speak HTTP/1 (X7). */
export const IPV6_ONLY = 1
export const SPEAKS_HTTP = 2

/** The flags of a `listen`. */
export const listenFlags = (ipv6Only: boolean, speaksHttp: boolean): number =>
  (ipv6Only ? IPV6_ONLY : 0) | (speaksHttp ? SPEAKS_HTTP : 0)

/**
 * Bits of a session's kind: the connection itself goes to the worker that claims it, and no byte goes through fifos; TLS
 * ends in that worker; its IPv4 addresses are those of an IPv6 socket; what an earlier worker's application gave along
 * (X1) is where more is known of it.
 */
export const MOVES = 1
export const IN_TLS = 2
export const MAPPED = 4
export const HAS_STATE = 8

/** The most bytes that a text field may have; longer texts are cut between two characters. */
export const TEXT_BYTES = 224

/** Who goes on with what a worker parks in a drain: nobody, other workers (X1), or another host, without TLS (X4). */
export const STAYS = 0
export const TO_WORKERS = 1
export const TO_HOST = 2

/** Fields that hold one of a closed list, as a code: its place in the list. */
const literals = {
  reason: Refusal.Reasons,
  handshake: Refusal.HandshakeReasons,
  option: SocketOption.names
} as const
type Literals = typeof literals

const isLiteral = (field: Field): field is keyof Literals => field in literals

const codes: { readonly [F in keyof Literals]: ReadonlyMap<unknown, number> } = {
  reason: new Map(literals.reason.map((literal, code) => [literal, code])),
  handshake: new Map(literals.handshake.map((literal, code) => [literal, code])),
  option: new Map(literals.option.map((literal, code) => [literal, code]))
}

type Field = "u32" | "session" | "listener" | "text" | keyof Literals

interface FieldTypes {
  readonly u32: number
  readonly reason: Refusal.Reason
  readonly handshake: Refusal.HandshakeReason
  readonly option: SocketOption.SocketOption["_tag"]
  readonly session: Handle.SessionHandle
  readonly listener: Handle.ListenerHandle
  readonly text: string
}

const shapes = {
  // to the worker
  accepted: [1, {
    session: "session",
    listener: "listener",
    kind: "u32",
    segment: "u32",
    offset: "u32",
    // the place of the rings, that of the rx fifo first; of no meaning where the connection moves
    ringsSegment: "u32",
    ringsOffset: "u32",
    // the place of what else is known of the session, see `AboutText`; no bytes when nothing is
    aboutSegment: "u32",
    aboutOffset: "u32",
    aboutBytes: "u32",
    remote: "text",
    local: "text"
  }],
  connected: [2, {
    request: "u32",
    session: "session",
    kind: "u32",
    segment: "u32",
    offset: "u32",
    ringsSegment: "u32",
    ringsOffset: "u32",
    aboutSegment: "u32",
    aboutOffset: "u32",
    aboutBytes: "u32",
    remote: "text",
    local: "text"
  }],
  bound: [3, { request: "u32", listener: "listener", local: "text" }],
  unlistened: [4, { request: "u32", listener: "listener" }],
  disconnected: [5, { session: "session" }],
  reset: [6, { session: "session", reason: "text" }],
  cleanup: [7, { session: "session" }],
  // the session was parked, and its connection has been taken away (X1)
  migrated: [20, { session: "session" }],
  // the memory of the segment has been handed over, with its size and how it is divided
  addSegment: [8, { segment: "u32" }],
  deleteSegment: [9, { segment: "u32" }],
  // the worker is to finish what it has; its application is to stop. `moves`: who goes on with what it parks
  drain: [10, { moves: "u32" }],
  stop: [18, {}],
  // the worker is to answer with `probed`, behind everything that it has to say of the messages before
  probe: [19, {}],
  failed: [11, { request: "u32", reason: "reason", detail: "text" }],
  // cut-through: the segment holds the session and nothing else, see `CutThrough`
  cutThroughAccepted: [12, {
    session: "session",
    listener: "listener",
    segment: "u32",
    link: "u32",
    slot: "u32",
    peerSlot: "u32",
    rxBytes: "u32",
    txBytes: "u32",
    remote: "text",
    local: "text"
  }],
  cutThroughConnected: [13, {
    request: "u32",
    session: "session",
    segment: "u32",
    link: "u32",
    slot: "u32",
    peerSlot: "u32",
    rxBytes: "u32",
    txBytes: "u32",
    remote: "text",
    local: "text"
  }],
  addLink: [14, { link: "u32" }],
  deleteLink: [15, { link: "u32" }],
  // the socket of a claimed session has moved to the worker's thread
  moved: [16, { session: "session" }],
  // the certificates of the application, all of them, for TLS that its workers end, have been handed over
  certificates: [17, {}],
  // to the host
  listen: [32, { request: "u32", endpoint: "text", backlog: "u32", flags: "u32" }],
  unlisten: [33, { request: "u32", listener: "listener" }],
  connect: [34, { request: "u32", endpoint: "text", source: "text", timeout: "u32" }],
  cancelConnect: [35, { request: "u32" }],
  end: [36, { session: "session" }],
  close: [37, { session: "session" }],
  abort: [38, { session: "session" }],
  release: [39, { session: "session" }],
  segmentMapped: [40, { segment: "u32" }],
  needSegment: [41, { bytes: "u32" }],
  segmentUnused: [42, { segment: "u32" }],
  probed: [45, {}],
  // a claimed session did not become one: its TLS handshake has failed
  insecure: [44, { session: "session", reason: "handshake" }],
  // the application refuses a claimed session, with a sentence that says why, or none (W16)
  refused: [46, { session: "session", detail: "text" }],
  splice: [43, { session: "session", other: "session" }],
  // an option of the connection's socket; fields that the option does not have are 0
  socketOption: [47, {
    session: "session",
    option: "option",
    value: "u32",
    delay: "u32",
    interval: "u32",
    count: "u32"
  }]
} as const satisfies Record<string, readonly [kind: number, fields: Record<string, Field>]>

type Shapes = typeof shapes
export type Tag = keyof Shapes

/** A control message: its tag and its fields. Plain data, so a kept message refers to nothing that is reused (M3). */
export type Message = {
  readonly [K in Tag]:
    & { readonly _tag: K }
    & { readonly [F in keyof Shapes[K][1]]: FieldTypes[Shapes[K][1][F] & Field] }
}[Tag]

export type Of<K extends Tag> = Extract<Message, { readonly _tag: K }>

/** Every kind of control message. */
export const tags = Object.keys(shapes) as ReadonlyArray<Tag>

const table = Object.entries(shapes).map(([tag, [kind, fields]]) => ({
  tag: tag as Tag,
  kind,
  fields: Object.entries(fields) as ReadonlyArray<readonly [name: string, field: Field]>
}))
const byTag = new Map(table.map((shape) => [shape.tag, shape]))
const byKind = new Map(table.map((shape) => [shape.kind as number, shape]))

const encoder = new TextEncoder()
// shared memory can't be decoded in place, so a message's text is read from a private copy
const scratch = new Int32Array(QueueMemory.CONTROL_WORDS)
const scratchBytes = Buffer.from(scratch.buffer)

/** Writes the message into `words`, {@link QueueMemory.CONTROL_WORDS} of private memory; returns how many it took. */
export const encode = (message: Message, words: Int32Array): number => {
  const shape = byTag.get(message._tag)!
  const values: Readonly<Record<string, number | string>> = message
  let at = 0
  words[at++] = shape.kind
  for (const [name, field] of shape.fields) {
    const value = values[name]!
    if (field === "u32") words[at++] = value as number
    else if (isLiteral(field)) words[at++] = codes[field].get(value)!
    else if (field !== "text") {
      words[at++] = Handle.index(value as Handle.Handle)
      words[at++] = Handle.generation(value as Handle.Handle)
    } else {
      const target = new Uint8Array(words.buffer, words.byteOffset + 4 * (at + 1), TEXT_BYTES)
      const written = encoder.encodeInto(value as string, target).written
      words[at++] = written
      // the padding goes out with the message, and must not hold bytes of an earlier one
      target.fill(0, written, (written + 3) & ~3)
      at += (written + 3) >>> 2
    }
  }
  return at
}

/** Reads a message; `undefined` when the words are not one. */
export const decode = (words: Int32Array, start: number, length: number): Message | undefined => {
  const shape = byKind.get(words[start]!)
  if (shape === undefined) return undefined
  scratch.set(words.subarray(start, start + length))
  const message: { readonly _tag: Tag; [field: string]: unknown } = { _tag: shape.tag }
  let at = 1
  for (const [name, field] of shape.fields) {
    if (field === "u32") message[name] = scratch[at++]! >>> 0
    else if (isLiteral(field)) {
      const literal = literals[field][scratch[at++]!]
      if (literal === undefined) return undefined
      message[name] = literal
    } else if (field !== "text") {
      const index = scratch[at++]!
      const generation = scratch[at++]!
      // an index too large would run into the generation and name another slot
      if (!Handle.isValid(index, generation)) return undefined
      message[name] = Handle.make(index, generation)
    } else {
      const bytes = scratch[at++]!
      if (bytes < 0 || bytes > TEXT_BYTES) return undefined
      message[name] = scratchBytes.toString("utf8", at * 4, at * 4 + bytes)
      at += (bytes + 3) >>> 2
    }
    if (at > length) return undefined
  }
  return at === length ? message as Message : undefined
}

const unused = { delay: 0, interval: 0, count: 0 }

/** An option of a session's socket as a message. */
export const ofOption = (session: Handle.SessionHandle, option: SocketOption.SocketOption): Of<"socketOption"> => {
  switch (option._tag) {
    case "NoDelay":
      return { _tag: "socketOption", session, option: option._tag, value: Number(option.enable), ...unused }
    case "KeepAlive": {
      const { _tag, count, delay, enable, interval } = option
      return { _tag: "socketOption", session, option: _tag, value: Number(enable), delay, interval, count }
    }
    case "TypeOfService":
      return { _tag: "socketOption", session, option: option._tag, value: option.value, ...unused }
  }
}

/** The option that a message is about. */
export const optionOf = (
  { count, delay, interval, option, value }: Of<"socketOption">
): SocketOption.SocketOption => {
  switch (option) {
    case "NoDelay":
      return { _tag: option, enable: value !== 0 }
    case "KeepAlive":
      return { _tag: option, enable: value !== 0, delay, interval, count }
    case "TypeOfService":
      return { _tag: option, value }
  }
}

/** Why a worker has ended a session, as an argument of {@link Gone}: a place in the list of reasons, from 1; or 0. */
export const endCode = (reason: Ledger.EndReason | undefined): number =>
  reason === undefined ? 0 : Ledger.EndReasons.indexOf(reason) + 1

/** The reason, if there is one; `"unknown"` when the argument stands for nothing. */
export const endOf = (code: number): Ledger.EndReason | undefined | "unknown" =>
  code === 0 ? undefined : Ledger.EndReasons[code - 1] ?? "unknown"
