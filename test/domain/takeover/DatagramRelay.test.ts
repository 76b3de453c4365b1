import { assert, describe, it } from "@effect/vitest"
import {
  BATCH_BYTES,
  BATCH_DATAGRAMS,
  DatagramRelay,
  type RelayedDatagram
} from "../../../src/domain/takeover/DatagramRelay.ts"
import * as Long from "../../support/long.ts"
import * as Random from "../../support/random.ts"

const bytesOf = (text: string): Uint8Array => Buffer.from(text)
const textOf = ({ bytes, peer }: RelayedDatagram): string => `${peer}${Buffer.from(bytes).toString()}`

const make = (...peers: ReadonlyArray<string>) => {
  const batches: Array<ReadonlyArray<string>> = []
  const here: Array<string> = []
  const over: Array<string> = []
  const counts = { dropped: 0, ended: 0 }
  const relay = new DatagramRelay(peers, {
    send: (batch) => void batches.push(batch.map(textOf)),
    here: (datagram) => void here.push(textOf(datagram)),
    over: (peer) => void over.push(peer),
    dropped: () => void counts.dropped++,
    ended: () => void counts.ended++
  })
  const take = (...datagrams: ReadonlyArray<string>): ReadonlyArray<boolean> =>
    datagrams.map((text) => relay.take(text.slice(0, 1), bytesOf(text.slice(1))))
  return { relay, batches, here, over, counts, take }
}

describe("datagrams for the sessions of the host before (X4)", () => {
  it("X4 go there one batch at a time, and what comes meanwhile is the next one", () => {
    const { batches, here, relay, take } = make("a", "b")
    assert.deepStrictEqual(take("a1", "b1", "c1", "a2"), [true, true, false, true])
    assert.deepStrictEqual(batches, [["a1"]])
    assert.isTrue(relay.answered([]))
    assert.deepStrictEqual(batches, [["a1"], ["b1", "a2"]])
    assert.isTrue(relay.answered([]))
    assert.deepStrictEqual(here, [])
    assert.lengthOf(batches, 2)
  })

  it("X4 are this host's from the end of their session on, in order, and what came too late for it is first", () => {
    const { batches, counts, here, relay, take } = make("a", "b")
    take("a1", "a2", "b1", "a3")
    // the session had a1; a2 came too late, as what is under way then
    relay.answered([])
    assert.deepStrictEqual(batches[1], ["a2", "b1", "a3"])
    take("a4", "b2")
    relay.over(["a"])
    take("a5")
    assert.deepStrictEqual(here, [])
    relay.answered([0, 2])
    assert.deepStrictEqual(here, ["a2", "a3", "a4", "a5"])
    assert.deepStrictEqual(batches[2], ["b2"])
    assert.deepStrictEqual(take("a6", "b3"), [false, true])
    relay.answered([])
    relay.answered([])
    relay.over(["b", "unknown"])
    assert.deepStrictEqual([relay.size, counts], [0, { dropped: 0, ended: 1 }])
  })

  it("X4 are dropped, and counted, when there are too many of them", () => {
    const { batches, counts, relay, take } = make("a")
    for (let count = 0; count < 10_000; count++) take("ax")
    assert.deepStrictEqual([batches.length, counts.dropped], [1, 10_000 - 1 - BATCH_DATAGRAMS])
    relay.answered([])
    assert.deepStrictEqual([batches.length, batches[1]!.length], [2, BATCH_DATAGRAMS])
    counts.dropped = 0
    const large = new Uint8Array(60_000)
    for (let count = 0; count < 10; count++) relay.take("a", large)
    assert.strictEqual(counts.dropped, 10 - Math.floor(BATCH_BYTES / large.length))
  })

  it("X4 are this host's when the other one is gone; what that one may have had is dropped, and counted", () => {
    const { counts, here, over, relay, take } = make("a", "b")
    take("a1", "a2", "b1")
    relay.lost()
    assert.deepStrictEqual(over, ["a", "b"])
    assert.deepStrictEqual(here, ["a2", "b1"])
    assert.deepStrictEqual(counts, { dropped: 1, ended: 1 })
    assert.deepStrictEqual(take("a3"), [false])
    assert.isFalse(relay.answered([]), "nothing is under way")
  })

  it("X4 are not taken for others by what the other host says of them", () => {
    const { here, relay, take } = make("a")
    assert.isFalse(relay.answered([]))
    take("a1")
    assert.isFalse(relay.answered([1]))
    assert.deepStrictEqual(here, [])
    assert.isTrue(relay.answered([0]))
    assert.deepStrictEqual(here, ["a1"])
  })

  it("X4 come back in order from a host that has passed them on in vain", () => {
    const { batches, here, over, relay, take } = make("a", "b")
    take("a1", "b1")
    relay.answered([])
    take("a2")
    // a1 was taken by the one before, and then its session was over; a2 waits here until b1 has been answered
    relay.back([{ peer: "a", bytes: bytesOf("1") }])
    relay.over(["a"])
    assert.deepStrictEqual([here, over, batches.length], [["a1", "a2"], ["a"], 2])
    take("b2", "b3")
    relay.answered([])
    relay.back([{ peer: "b", bytes: bytesOf("1") }])
    relay.over(["b"])
    assert.deepStrictEqual([here, over], [["a1", "a2", "b1"], ["a"]])
    relay.answered([0, 1])
    assert.deepStrictEqual([here, over], [["a1", "a2", "b1", "b2", "b3"], ["a", "b"]])
  })

  it("X4 reach one session each, once and in order, whatever ends and moves meanwhile", () => {
    const peers = ["a", "b", "c", "d"]
    const steps = new Long.Kinds(["sent", "heard", "answered", "over", "moved", "lost"])
    for (let seed = 1; seed <= Long.steps({ short: 40, long: 2000 }); seed++) {
      const random = Random.make(seed)
      const sessions = new Set(peers)
      const served = new Map(peers.map((peer): [string, Array<number>] => [peer, []]))
      const sent = new Map(peers.map((peer): [string, number] => [peer, 0]))
      const toOld: Array<ReadonlyArray<RelayedDatagram>> = []
      const toNew: Array<() => void> = []
      let dropped = 0
      const serve = ({ bytes, peer }: RelayedDatagram): void => void served.get(peer)!.push(Number(Buffer.from(bytes)))
      const relay = new DatagramRelay(peers, {
        send: (batch) => void toOld.push(batch),
        here: serve,
        over: () => {},
        dropped: () => void dropped++,
        ended: () => {}
      })
      const pick = (): string => peers[random(peers.length)]!
      const hear = (): void => {
        const batch = toOld.shift()
        if (batch === undefined) return
        steps.did("heard")
        const missed = batch.flatMap((datagram, place) => {
          if (!sessions.has(datagram.peer)) return [place]
          serve(datagram)
          return []
        })
        toNew.push(() => assert.isTrue(relay.answered(missed)))
      }
      const answer = (): void => {
        const next = toNew.shift()
        if (next === undefined) return
        steps.did("answered")
        next()
      }
      const send = (): void => {
        const peer = pick()
        const number = sent.get(peer)!
        sent.set(peer, number + 1)
        const datagram = { peer, bytes: bytesOf(String(number)) }
        if (!relay.take(peer, datagram.bytes)) serve(datagram)
        steps.did("sent")
      }
      const end = (kind: "over" | "moved"): void => {
        const peer = pick()
        if (!sessions.delete(peer)) return
        toNew.push(() => relay.over([peer]))
        // a session that moves is told of once more when it has left
        if (kind === "moved") toNew.push(() => relay.over([peer]))
        steps.did(kind)
      }
      for (let step = 0; step < 400; step++) {
        const kind = random(100)
        if (kind < 45) send()
        else if (kind < 70) hear()
        else if (kind < 97) answer()
        else if (kind < 99) end(random(2) === 0 ? "over" : "moved")
        else if (seed % 4 === 0 && step > 200) {
          relay.lost()
          toOld.length = toNew.length = 0
          steps.did("lost")
          break
        }
      }
      while (toOld.length + toNew.length > 0) {
        hear()
        answer()
      }
      const answered = [...served.values()]
      const total = [...sent.values()].reduce((a, b) => a + b, 0)
      const all = answered.flat().length + dropped
      // what was under way to a host that is gone counts as dropped, and may have been served
      if (dropped === 0) assert.strictEqual(all, total, `seed ${seed}`)
      else assert.isAtLeast(all, total, `seed ${seed}`)
      for (const numbers of answered) {
        assert.deepStrictEqual(numbers, [...new Set(numbers)].sort((a, b) => a - b), `seed ${seed}`)
      }
    }
    assert.deepStrictEqual(steps.left, [])
  })
})
