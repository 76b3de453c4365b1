import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Message from "../../../src/domain/memory/Message.ts"
import * as QueueMemory from "../../../src/domain/memory/QueueMemory.ts"
import * as SocketOption from "../../../src/domain/net/SocketOption.ts"
import * as Handle from "../../../src/domain/state/Handle.ts"
import * as Refusal from "../../../src/domain/state/Refusal.ts"
import * as Random from "../../support/random.ts"

const seeds = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0x7fff_ffff }))
const Text = Schema.String.check(Schema.isMaxLength(400))

const words = () => new Int32Array(QueueMemory.CONTROL_WORDS)

/** What may stand in a field that holds one of a closed list. */
const literalsOf = (tag: Message.Tag, name: string): ReadonlyArray<string> | undefined =>
  name === "option"
    ? SocketOption.names
    : name !== "reason"
    ? undefined
    : tag === "failed"
    ? Refusal.Reasons
    : tag === "insecure"
    ? Refusal.HandshakeReasons
    : undefined

/** A message with fields of any value, of the samples' names and types. */
const make = (tag: Message.Tag, numbers: Random.Random, text: () => string): Message.Message => {
  const fields = samples[tag]
  const message: Record<string, unknown> = { _tag: tag }
  for (const [name, sample] of Object.entries(fields)) {
    const literals = literalsOf(tag, name)
    if (literals !== undefined) message[name] = literals[numbers(literals.length)]
    else if (typeof sample === "string") message[name] = text()
    else if (name === "session" || name === "listener") message[name] = Handle.make(numbers(2 ** 24), numbers(2 ** 28))
    else message[name] = numbers(2 ** 32)
  }
  return message as unknown as Message.Message
}

const session = Handle.make<Handle.SessionHandle>(7, 3)
const listener = Handle.make<Handle.ListenerHandle>(9, 2)
const rings = { ringsSegment: 6, ringsOffset: 7 }
const about = { aboutSegment: 3, aboutOffset: 4, aboutBytes: 5 }
const samples: { readonly [K in Message.Tag]: Omit<Message.Of<K>, "_tag"> } = {
  accepted: { session, listener, kind: 8, segment: 1, offset: 2, ...rings, ...about, remote: "r", local: "l" },
  connected: { request: 1, session, kind: 9, segment: 2, offset: 3, ...rings, ...about, remote: "r", local: "l" },
  bound: { request: 1, listener, local: "l" },
  unlistened: { request: 1, listener },
  disconnected: { session },
  reset: { session, reason: "r" },
  cleanup: { session },
  migrated: { session },
  moved: { session },
  certificates: {},
  refused: { session, detail: "no" },
  insecure: { session, reason: "tls-failed" },
  addSegment: { segment: 1 },
  deleteSegment: { segment: 1 },
  drain: { moves: 1 },
  stop: {},
  probe: {},
  probed: {},
  failed: { request: 1, reason: "TimedOut", detail: "d" },
  cutThroughAccepted: {
    session,
    listener,
    segment: 1,
    link: 2,
    slot: 3,
    peerSlot: 4,
    rxBytes: 5,
    txBytes: 6,
    remote: "r",
    local: "l"
  },
  cutThroughConnected: {
    request: 1,
    session,
    segment: 1,
    link: 2,
    slot: 3,
    peerSlot: 4,
    rxBytes: 5,
    txBytes: 6,
    remote: "r",
    local: "l"
  },
  addLink: { link: 1 },
  deleteLink: { link: 1 },
  splice: { session, other: session },
  socketOption: { session, option: "KeepAlive", value: 1, delay: 60, interval: 5, count: 3 },
  listen: { request: 1, endpoint: "e", backlog: 2, flags: 3 },
  unlisten: { request: 1, listener },
  connect: { request: 1, endpoint: "e", source: "s", timeout: 2 },
  cancelConnect: { request: 1 },
  end: { session },
  close: { session },
  abort: { session },
  release: { session },
  segmentMapped: { segment: 1 },
  needSegment: { bytes: 1 },
  segmentUnused: { segment: 1 }
}

/** The text as it arrives: no half surrogate pairs, no more bytes than fit, cut between characters. */
const cut = (text: string): string => {
  let bytes = 0
  let kept = ""
  for (const character of text.toWellFormed()) {
    bytes += Buffer.byteLength(character)
    if (bytes > Message.TEXT_BYTES) break
    kept += character
  }
  return kept
}

const isText = (value: unknown) => typeof value === "string" && value.isWellFormed()
const isWord = (value: unknown) => Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32
const isHandle = (value: unknown) =>
  Number.isSafeInteger(value) &&
  Handle.isValid(Handle.index(value as Handle.Handle), Handle.generation(value as Handle.Handle))

/** Fields that are handles. */
const handles = new Set(["session", "other", "listener"])

const assertWellFormed = (message: Message.Message) => {
  const { _tag, ...fields } = message
  assert.include(Message.tags, _tag)
  assert.sameMembers(Object.keys(fields), Object.keys(samples[_tag]))
  for (const [name, value] of Object.entries(fields)) {
    const sample = (samples[_tag] as Record<string, unknown>)[name]
    const literals = literalsOf(_tag, name)
    const isOf = literals !== undefined
      ? (text: unknown) => literals.includes(text as string)
      : typeof sample === "string"
      ? isText
      : handles.has(name)
      ? isHandle
      : isWord
    assert.isTrue(isOf(value), `${_tag}.${name} is ${String(value)}`)
  }
}

describe("Message", () => {
  it("M2 has a sample of every kind here, so that no kind goes untested", () => {
    assert.sameMembers([...Message.tags], Object.keys(samples))
  })

  it.prop("M2 arrives as it was sent, whatever its kind and fields", [seeds, Text, Text], ([seed, first, second]) => {
    const numbers = Random.make(seed)
    for (const tag of Message.tags) {
      const texts = [first, second]
      const sent = make(tag, numbers, () => texts.pop() ?? "")
      const buffer = words()
      const length = Message.encode(sent, buffer)
      const at = numbers(100)
      const ring = new Int32Array(new SharedArrayBuffer(4 * (at + length)))
      ring.set(buffer.subarray(0, length), at)
      const expected = Object.fromEntries(
        Object.entries(sent).map((
          [name, value]
        ) => [name, name !== "_tag" && typeof value === "string" ? cut(value) : value])
      )
      assert.deepStrictEqual(Message.decode(ring, at, length) as unknown, expected)
    }
  })

  it("carries every reason there is, and takes no code that stands for none", () => {
    for (
      const [message, name, literals] of [
        [{ _tag: "failed", request: 1, reason: "TimedOut", detail: "d" }, "reason", Refusal.Reasons],
        [{ _tag: "insecure", session, reason: "tls-failed" }, "reason", Refusal.HandshakeReasons]
      ] as const
    ) {
      const codes = new Set<number>()
      for (const literal of literals) {
        const buffer = words()
        const sent = { ...message, [name]: literal } as Message.Message
        const length = Message.encode(sent, buffer)
        assert.deepStrictEqual(Message.decode(buffer, 0, length), sent)
        const at = message._tag === "failed" ? 2 : 3
        codes.add(buffer[at]!)
        for (const code of [-1, literals.length, 2 ** 31 - 1]) {
          const other = buffer.slice()
          other[at] = code
          assert.isUndefined(Message.decode(other, 0, length))
        }
      }
      assert.strictEqual(codes.size, literals.length)
    }
  })

  it("cuts a text at 224 bytes, between two characters", () => {
    const arrived = (reason: string) => {
      const buffer = words()
      return (Message.decode(buffer, 0, Message.encode({ _tag: "reset", session, reason }, buffer)) as Message.Of<
        "reset"
      >)
        .reason
    }
    assert.strictEqual(Message.TEXT_BYTES, 224)
    assert.strictEqual(arrived("a".repeat(224)), "a".repeat(224))
    assert.strictEqual(arrived("a".repeat(225)), "a".repeat(224))
    for (const [character, bytes] of [["é", 2], ["€", 3], ["😀", 4]] as const) {
      for (let before = 0; before < bytes; before++) {
        const room = Math.floor((224 - before) / bytes)
        assert.strictEqual(
          arrived("a".repeat(before) + character.repeat(224)),
          "a".repeat(before) + character.repeat(room)
        )
      }
    }
  })

  it("M3 every message fits a slot of the control ring, with its texts as long as they can be", () => {
    for (const tag of Message.tags) {
      const buffer = words()
      const sent = make(tag, Random.make(1), () => "x".repeat(1000))
      const length = Message.encode(sent, buffer)
      assert.isAtMost(length, QueueMemory.CONTROL_WORDS)
      assert.strictEqual(Message.decode(buffer, 0, length)?._tag, tag)
    }
  })

  it("carries no byte of the message that was written before it", () => {
    const buffer = words()
    for (let bytes = 0; bytes <= 9; bytes++) {
      const sent: Message.Message = { _tag: "reset", session, reason: "c".repeat(bytes) }
      buffer.fill(-1)
      const length = Message.encode(sent, buffer)
      const clean = words()
      Message.encode(sent, clean)
      assert.deepStrictEqual(buffer.subarray(0, length), clean.subarray(0, length))
    }
  })

  it("takes no text longer than one that is sent", () => {
    const buffer = words()
    // kind, index and generation of the session, bytes, text
    Message.encode({ _tag: "reset", session, reason: "" }, buffer)
    for (const [bytes, fits] of [[223, true], [224, true], [225, false], [300, false], [-1, false]] as const) {
      buffer[3] = bytes
      assert.strictEqual(Message.decode(buffer, 0, 4 + ((bytes + 3) >> 2)) !== undefined, fits)
    }
  })

  it("W1 a handle whose index is too large names nothing: it does not run into another slot's generation", () => {
    const buffer = words()
    const length = Message.encode({ _tag: "close", session }, buffer)
    assert.isDefined(Message.decode(buffer, 0, length))
    for (const [at, value] of [[1, 2 ** 24 + 7], [1, -1], [2, 2 ** 28], [2, -1]] as const) {
      const broken = buffer.slice()
      broken[at] = value
      assert.isUndefined(Message.decode(broken, 0, length))
    }
  })

  it("is refused when it is a word too short or too long", () => {
    for (const tag of Message.tags) {
      const buffer = words()
      const length = Message.encode(make(tag, Random.make(2), () => "some text"), buffer)
      for (let other = 1; other <= QueueMemory.CONTROL_WORDS; other++) {
        assert.strictEqual(Message.decode(buffer, 0, other) === undefined, other !== length, `${tag} of ${other} words`)
      }
    }
  })

  it.prop(
    "decoding nonsense answers undefined or a well-formed message, and never throws",
    [seeds],
    ([seed]) => {
      const numbers = Random.make(seed)
      const buffer = words()
      // noise, noise of a known kind, and messages with a few words spoilt: pure noise seldom comes past the kind
      const sort = numbers(3)
      let length = 1 + numbers(QueueMemory.CONTROL_WORDS)
      for (let i = 0; i < buffer.length; i++) buffer[i] = numbers(4) === 0 ? numbers(2 ** 32) : numbers(300)
      if (sort === 1) buffer[0] = numbers(48)
      if (sort === 2) {
        const tag = Message.tags[numbers(Message.tags.length)]!
        length = Message.encode(make(tag, numbers, () => "é".repeat(numbers(120))), buffer)
        for (let spoilt = numbers(4); spoilt > 0; spoilt--) {
          buffer[numbers(length)] = numbers(2) === 0 ? numbers(2 ** 32) : numbers(256)
        }
      }
      const decoded = Message.decode(buffer, 0, length)
      if (decoded !== undefined) assertWellFormed(decoded)
    },
    { arbitrary: { runs: 5000 } }
  )
})
