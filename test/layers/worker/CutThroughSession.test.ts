import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Message from "../../../src/domain/memory/Message.ts"
import * as SessionBlock from "../../../src/domain/memory/SessionBlock.ts"
import * as Handle from "../../../src/domain/state/Handle.ts"
import type { Session } from "../../../src/services/Sessions.ts"
import * as LocalHost from "../../support/LocalHost.ts"
import * as Pattern from "../../support/pattern.ts"
import * as Random from "../../support/random.ts"
import { settled } from "../../support/until.ts"

// the layout of the session block
const TO_SERVER_TAIL = 0
const TO_SERVER_HEAD = 31
const TO_CLIENT_HEAD = 15
const TO_CLIENT_TAIL = 16

const IDLE = 0

type Ends = Effect.Success<ReturnType<typeof LocalHost.connect>>
const sides = ["server", "client"] as const
const other = { server: "client", client: "server" } as const

/** A test with a session between two workers; afterwards nothing of it may be left. */
const scenario = (
  title: string,
  body: (ends: Ends, host: LocalHost.LocalHost) => Effect.Effect<void, unknown, Scope.Scope>,
  options?: LocalHost.Options
): void =>
  it.effect(title, () =>
    Effect.gen(function*() {
      const host = yield* LocalHost.make(options)
      yield* Effect.scoped(Effect.flatMap(LocalHost.connect(host), (ends) => body(ends, host)))
      for (const session of held) session.close()
      held.clear()
      yield* settled
      assert.strictEqual(host.segments, 0)
      for (const { loop } of host.workers) assert.strictEqual(loop.open, 0)
    }).pipe(Effect.scoped))

/** What tests leave open. */
const held = new Set<Session>()

const keep = (ends: Ends): void => {
  held.add(ends.server.session)
  held.add(ends.client.session)
}

const bytes = (length: number, from = 0) => Pattern.at(from, length)

/** Calls `interfere` in the midst of `body`: before or after its n-th look at or change of `words`. */
const interrupted = (
  words: Int32Array,
  point: number,
  before: boolean,
  interfere: () => void,
  body: () => void
): boolean => {
  const names = ["load", "store", "exchange", "compareExchange"] as const
  const original = Object.fromEntries(names.map((name) => [name, Atomics[name]]))
  let passed = 0
  let interfered = false
  const act = () => {
    Object.assign(Atomics, original)
    interfered = true
    interfere()
  }
  for (const name of names) {
    Object.assign(Atomics, {
      [name]: (array: Int32Array, ...rest: ReadonlyArray<number>) => {
        const call = () => (original[name] as (...all: ReadonlyArray<unknown>) => number)(array, ...rest)
        // other views of the same memory count: each side has its own
        if (array.buffer !== words.buffer || passed++ !== point) return call()
        if (before) act()
        const answer = call()
        if (!before) act()
        return answer
      }
    })
  }
  try {
    body()
    return interfered
  } finally {
    Object.assign(Atomics, original)
  }
}

describe("cut-through sessions", () => {
  scenario(
    "W16 the server has the session first, then the client is connected",
    (ends, { workers }) =>
      Effect.sync(() => {
        keep(ends)
        const { client, server } = ends
        assert.isTrue(server.session.cutThrough && client.session.cutThrough)
        assert.deepStrictEqual(workers[0]!.said.filter((word) => word.startsWith("io")), [`io ${Message.Claimed}`])
        assert.strictEqual(server.session.local, client.session.remote)
        assert.strictEqual(server.session.remote, client.session.local)
        assert.deepStrictEqual(server.edges, [])
        assert.deepStrictEqual(client.edges, [])
      })
  )

  for (const from of sides) {
    const to = other[from]

    scenario(
      `W16 what the ${from} writes the ${to} reads, without the host and not from inside the write`,
      (ends, { workers }) =>
        Effect.gen(function*() {
          keep(ends)
          const heard = workers.map(({ said }) => said.length)
          assert.strictEqual(ends[from].session.write(bytes(300)), 300)
          assert.deepStrictEqual(ends[to].edges, [])
          assert.strictEqual(ends[to].session.available, 300)
          yield* settled
          assert.deepStrictEqual(ends[to].edges, ["readable 300"])
          assert.isTrue(Pattern.isAt(ends[to].session.read()!, 0))
          assert.isUndefined(ends[to].session.read())
          assert.deepStrictEqual(workers.map(({ said }) => said.length), heard)
        })
    )

    scenario(`W15 the ${to} is told of bytes once until it has looked`, (ends, { workers }) =>
      Effect.gen(function*() {
        keep(ends)
        const worker = workers[to === "server" ? 0 : 1]!
        const before = worker.rings
        for (let i = 0; i < 10; i++) ends[from].session.write(bytes(10, 10 * i))
        yield* settled
        assert.deepStrictEqual(ends[to].edges, ["readable 100"])
        assert.strictEqual(worker.rings, before + 1)
        ends[from].session.write(bytes(10, 100))
        yield* settled
        assert.deepStrictEqual(ends[to].edges, ["readable 100", "readable 110"])
      }))

    scenario(
      `W16 a write of the ${from} that is cut short goes on when the ${to} has read`,
      (ends) =>
        Effect.gen(function*() {
          keep(ends)
          const { session } = ends[from]
          assert.strictEqual(session.write(bytes(6000)), 4096)
          yield* settled
          assert.deepStrictEqual(ends[from].edges, [])
          ends[to].session.drop(1000)
          // it is woken for bytes: that is no word of room
          ends[to].session.write(bytes(5))
          yield* settled
          assert.deepStrictEqual(ends[from].edges, ["readable 5"])
          ends[to].session.drop(24)
          assert.deepStrictEqual(ends[from].edges, ["readable 5"])
          yield* settled
          assert.deepStrictEqual(ends[from].edges, ["readable 5", "writable"])
          assert.strictEqual(session.write(bytes(6000), 4096), 1024)
          yield* settled
          ends[to].session.read()
          yield* settled
          assert.deepStrictEqual(ends[from].edges, ["readable 5", "writable", "writable"])
        })
    )

    scenario(
      `W16 the ${to} hears of bytes before it hears that the ${from} has ended`,
      (ends, { workers }) =>
        Effect.gen(function*() {
          keep(ends)
          const { session } = ends[from]
          session.write(bytes(50))
          // the host's word is in the queue before the worker wakes
          workers[to === "server" ? 0 : 1]!.send({ _tag: "disconnected", session: ends[to].session.handle })
          yield* settled
          assert.deepStrictEqual(ends[to].edges, ["readable 50", "ended"])
        })
    )

    scenario(
      `W16 after the end of the ${from} the ${to} still writes, and its end is the end of both`,
      (ends) =>
        Effect.gen(function*() {
          ends[from].session.write(bytes(20))
          ends[from].session.end()
          yield* settled
          assert.deepStrictEqual(ends[to].edges, ["readable 20", "ended"])
          assert.strictEqual(ends[from].session.write(bytes(1)), -1)
          assert.strictEqual(ends[to].session.write(bytes(30)), 30)
          ends[to].session.end()
          yield* settled
          assert.deepStrictEqual(ends[from].edges, ["readable 30", "ended", "closed"])
          assert.deepStrictEqual(ends[to].edges, ["readable 20", "ended", "closed"])
          assert.isTrue(Pattern.isAt(ends[from].session.read()!, 0))
          assert.strictEqual(ends[to].session.read()!.length, 20)
        })
    )

    scenario(
      `W16 a close of the ${from} with nothing unread ends the session, and what it wrote is read after`,
      (ends, host) =>
        Effect.gen(function*() {
          const { session } = ends[to]
          ends[from].session.write(bytes(700))
          ends[from].session.close()
          yield* settled
          assert.deepStrictEqual(ends[to].edges, ["readable 700", "ended", "closed"])
          assert.isUndefined(session.reset)
          assert.strictEqual(host.segments, 1)
          assert.isTrue(Pattern.isAt(session.read(300)!, 0))
          assert.isTrue(Pattern.isAt(session.peek()!, 300))
          session.drop(400)
          assert.strictEqual(session.available, 0)
          yield* settled
          assert.strictEqual(host.segments, 0)
        })
    )

    scenario(`W16 a close of the ${from} with bytes unread is a reset for the ${to}`, (ends) =>
      Effect.gen(function*() {
        ends[to].session.write(bytes(5))
        ends[from].session.close()
        yield* settled
        assert.deepStrictEqual(ends[to].edges, ["closed: the peer reset the connection"])
        assert.strictEqual(ends[to].session.write(bytes(1)), -1)
      }))

    scenario(
      `W16 a write of the ${to} after the close of the ${from} is refused, before the host says anything`,
      (ends) =>
        Effect.gen(function*() {
          ends[from].session.close()
          assert.isFalse(ends[to].session.writable)
          assert.strictEqual(ends[to].session.write(bytes(5)), -1)
          assert.strictEqual(ends[to].session.writeWhole([bytes(5)]), -1)
          yield* settled
          assert.deepStrictEqual(ends[to].edges, ["ended", "closed"])
        })
    )

    scenario(`W16 an abort of the ${from} is a reset for the ${to}`, (ends) =>
      Effect.gen(function*() {
        ends[from].session.write(bytes(5))
        ends[from].session.abort()
        assert.strictEqual(ends[to].session.write(bytes(5)), -1)
        yield* settled
        assert.deepStrictEqual(ends[to].edges, ["readable 5", "closed: the peer reset the connection"])
        assert.strictEqual(ends[to].session.available, 0)
      }))

    scenario(
      `W16 the ${from}'s worker goes away: the ${to} gets a reset, and its other sessions go on`,
      (ends, host) =>
        Effect.gen(function*() {
          const [server, client] = host.workers
          const gone = from === "server" ? server! : client!
          const stays = from === "server" ? client! : server!
          ends[from].session.write(bytes(10))
          host.crash(gone)
          yield* settled
          assert.deepStrictEqual(ends[to].edges, ["readable 10", "closed: the worker has gone"])
          assert.deepStrictEqual(ends[from].edges, ["closed: the worker was detached"])
          assert.strictEqual(stays.loop.open, 0)
          assert.strictEqual(stays.closedLinks.length, 1)
          assert.strictEqual(gone.closedLinks.length, 1)
        })
    )

    scenario(
      `W16 the ${to} is woken although the ${from}'s worker died in the midst of waking it`,
      (ends, host) =>
        Effect.gen(function*() {
          const [server, client] = host.workers
          const gone = from === "server" ? server! : client!
          const stays = from === "server" ? client! : server!
          // it has taken the flag that says who rings, and does not ring any more
          assert.strictEqual(Atomics.exchange(new Int32Array(stays.inbox), IDLE, 0), 1)
          yield* settled
          host.crash(gone)
          yield* settled
          assert.deepStrictEqual(ends[to].edges, ["closed: the worker has gone"])
          assert.strictEqual(Atomics.load(new Int32Array(stays.inbox), IDLE), stays.links.size === 0 ? 0 : 1)
        })
    )
  }

  scenario("W16 closes that cross each other end the session once", (ends) =>
    Effect.gen(function*() {
      ends.server.session.close()
      ends.client.session.close()
      ends.client.session.close()
      yield* settled
      assert.deepStrictEqual(ends.server.edges, ["closed"])
      assert.deepStrictEqual(ends.client.edges, ["closed"])
    }))

  it.effect("W16 bytes that are written while the reader closes are found by it or refused, whatever the moment", () =>
    Effect.gen(function*() {
      let points = 0
      for (const closing of sides) {
        for (const first of ["close", "write"] as const) {
          for (const before of [true, false]) {
            for (let point = 0, reached = true; reached; point++) {
              const host = yield* LocalHost.make()
              const ends = yield* LocalHost.connect(host)
              const writer = ends[other[closing]].session
              let written = 0
              const write = () => void (written = writer.write(bytes(64)))
              const close = () => ends[closing].session.close()
              reached = interrupted(
                ends.segment.words,
                point,
                before,
                first === "close" ? write : close,
                first === "close" ? close : write
              )
              if (!reached) break
              yield* settled
              const reset = ends[other[closing]].edges.some((edge) => edge.startsWith("closed:"))
              assert.isTrue(written === -1 || reset, `${closing} ${first} ${point}: lost ${written} bytes`)
              writer.close()
              points++
            }
          }
        }
      }
      assert.isAbove(points, 20)
    }).pipe(Effect.scoped))

  it.effect("W16 bytes that the reader takes before it closes are not refused, whatever the moment", () =>
    Effect.gen(function*() {
      let whole = 0
      let refused = 0
      for (const closing of sides) {
        for (const before of [true, false]) {
          for (let point = 0, reached = true; reached; point++) {
            const host = yield* LocalHost.make()
            const ends = yield* LocalHost.connect(host)
            const writer = ends[other[closing]].session
            let written = 0
            let read = 0
            reached = interrupted(
              ends.segment.words,
              point,
              before,
              () => {
                read = ends[closing].session.read()?.length ?? 0
                ends[closing].session.close()
              },
              () => void (written = writer.write(bytes(64)))
            )
            if (!reached) break
            yield* settled
            assert.strictEqual(written, read === 64 ? 64 : -1, `${closing} ${point}: ${read} were read`)
            if (read === 64) whole++
            else refused++
            writer.close()
          }
        }
      }
      assert.isTrue(whole > 4 && refused > 4)
    }).pipe(Effect.scoped))

  it.effect("W16 a worker that has let an offer pass, or knows nothing of the listener, leaves nothing behind", () =>
    Effect.gen(function*() {
      const host = yield* LocalHost.make()
      const [server, client] = host.workers
      const known = server!.listener!
      for (const revoked of [true, false]) {
        server!.listener = revoked ? known : Handle.make<Handle.ListenerHandle>(99, 1)
        // the host reads the connect, offers, and takes the offer back before the server looks
        host.held = true
        const connecting = yield* Effect.forkChild(Effect.exit(client!.sessions.connect(LocalHost.endpoint)), {
          startImmediately: true
        })
        yield* settled
        host.release()
        if (revoked) host.revoke()
        assert.isTrue(Exit.isFailure(yield* Fiber.join(connecting)))
        assert.strictEqual(server!.said.filter((word) => word === `io ${Message.Passed}`).length, revoked ? 1 : 2)
        assert.notInclude(server!.said, `io ${Message.Claimed}`)
      }
      yield* settled
      assert.strictEqual(host.segments, 0)
      assert.strictEqual(server!.loop.open, 0)
    }).pipe(Effect.scoped))

  it.effect("W16 a connect that nobody waits for any more is given up when it succeeds", () =>
    Effect.gen(function*() {
      const host = yield* LocalHost.make()
      const [, client] = host.workers
      let accepted: LocalHost.Watched | undefined
      host.accept = (session) => {
        accepted = LocalHost.watch(session)
      }
      const connecting = yield* Effect.forkChild(client!.sessions.connect(LocalHost.endpoint), {
        startImmediately: true
      })
      yield* Fiber.interrupt(connecting)
      yield* settled
      assert.deepStrictEqual(accepted?.edges, ["closed: the peer reset the connection"])
      assert.strictEqual(host.segments, 0)
    }).pipe(Effect.scoped))

  for (
    const [what, options, from] of [
      ["of a worker with itself", { workers: 1 }, 0],
      ["in the inbox's further slots", { firstSlot: 3 * 1024 + 31 }, 1]
    ] as const
  ) {
    it.effect(`W16 sessions ${what} are as any other`, () =>
      Effect.gen(function*() {
        const host = yield* LocalHost.make(options)
        for (let i = 0; i < 3; i++) {
          const ends = yield* LocalHost.connect(host, from)
          ends.client.session.write(bytes(10))
          yield* settled
          assert.deepStrictEqual(ends.server.edges, ["readable 10"])
          assert.strictEqual(ends.server.session.write(bytes(5000)), 4096)
          yield* settled
          ends.client.session.read()
          yield* settled
          assert.deepStrictEqual(ends.server.edges, ["readable 10", "writable"])
          ends.server.session.read()
          ends.client.session.close()
          yield* settled
          assert.deepStrictEqual(ends.server.edges, ["readable 10", "writable", "ended", "closed"])
        }
        assert.strictEqual(host.segments, 0)
      }).pipe(Effect.scoped))
  }

  scenario("W16 a handler that throws costs its session", (ends, { workers }) =>
    Effect.gen(function*() {
      ends.server.session.handler = {
        readable: () => {
          throw new Error("no")
        }
      }
      ends.client.session.write(bytes(1))
      yield* settled
      assert.deepStrictEqual(ends.client.edges, ["closed: the peer reset the connection"])
      assert.strictEqual(workers[0]!.thrown.length, 1)
    }))

  scenario("W16 a worker that is detached closes its sessions and its links", (ends, host) =>
    Effect.sync(() => {
      const [server] = host.workers
      server!.loop.detach()
      assert.deepStrictEqual(ends.server.edges, ["closed: the worker was detached"])
      assert.strictEqual(ends.server.session.available, 0)
      assert.strictEqual(ends.server.session.write(bytes(1)), -1)
      assert.strictEqual(server!.closedLinks.length, 1)
      host.crash(server!)
    }))

  scenario("W16 is not spliced", (ends) =>
    Effect.sync(() => {
      keep(ends)
      assert.isFalse(ends.server.session.splice(ends.client.session))
    }))

  it.effect("W16 bytes of any sizes arrive in order both ways, by every way to read and to write", () =>
    Effect.gen(function*() {
      for (const seed of [1, 2, 3, 4, 5, 6]) {
        const random = Random.make(seed)
        const sizes = { toServer: 64 << random(8), toClient: 64 << random(8) }
        const host = yield* LocalHost.make({ sizes })
        const ends = yield* LocalHost.connect(host)
        // positions come round half-way
        const total = 200_000
        const counts = { server: { sent: 0, got: 0 }, client: { sent: 0, got: 0 } }
        const act = (side: "server" | "client") => (session: Session): void => {
          const count = counts[side]
          for (;;) {
            const part = random(2) === 0 ? session.read(1 + random(3000)) : session.peek(1 + random(3000))
            if (part === undefined) break
            assert.isTrue(Pattern.isAt(part, count.got))
            count.got += part.length
            // what was read is in private memory, what was peeked at is still there
            if (part.buffer instanceof SharedArrayBuffer) session.drop(part.length)
          }
          while (count.sent < total) {
            const length = Math.min(1 + random(3000), total - count.sent)
            const whole = random(4) === 0 && length <= session.txBound
            const taken = whole
              ? session.writeWhole([
                bytes(length >> 1, count.sent),
                bytes(length - (length >> 1), count.sent + (length >> 1))
              ])
              : session.write(bytes(length, count.sent))
            assert.isTrue(taken === length || (whole ? taken === 0 : taken < length && taken >= 0))
            count.sent += taken
            if (taken < length) return
          }
          session.end()
        }
        for (const side of sides) {
          const go = act(side)
          ends[side].session.handler = { readable: go, writable: go, ended: go }
          go(ends[side].session)
        }
        for (let turn = 0; turn < 2000 && ends.server.session.closed === false; turn++) yield* settled
        assert.deepStrictEqual(counts, { server: { sent: total, got: total }, client: { sent: total, got: total } })
        yield* settled
        assert.strictEqual(host.segments, 0)
      }
    }).pipe(Effect.scoped))
})

describe("cut-through sessions with a worker that can't be trusted", () => {
  for (const from of sides) {
    const to = other[from]
    const tail = from === "server" ? TO_CLIENT_TAIL : TO_SERVER_TAIL
    const head = from === "server" ? TO_SERVER_HEAD : TO_CLIENT_HEAD

    for (
      const [what, word, value, act] of [
        ["a tail beyond the ring", tail, 5000, (session: Session) => assert.isUndefined(session.read())],
        ["a tail behind the head", tail, -1, (session: Session) => assert.isUndefined(session.peek())],
        ["a tail without a block", tail, 1, (session: Session) => assert.isUndefined(session.read())],
        ["a tail, when it is asked for", tail, -1, (session: Session) => assert.strictEqual(session.available, 0)],
        ["a head beyond the tail", head, 7, (session: Session) => assert.strictEqual(session.write(bytes(1)), -1)],
        [
          "a head that goes back",
          head,
          -1,
          (session: Session) => assert.strictEqual(session.writeWhole([bytes(1)]), -1)
        ],
        ["a tail, when it is closed", tail, -1, (session: Session) => session.close()]
      ] as const
    ) {
      scenario(
        `W16 the ${from} writes ${what}: a reset for both, and the ${to}'s worker goes on`,
        (ends, host) =>
          Effect.gen(function*() {
            const worker = host.workers[to === "server" ? 0 : 1]!
            ends.segment.words[word] = value
            act(ends[to].session)
            assert.strictEqual(ends[to].session.available, 0)
            assert.isUndefined(ends[to].session.read())
            assert.strictEqual(ends[to].session.write(bytes(1)), -1)
            assert.isTrue(ends[to].session.closed)
            assert.isFalse(ends[to].session.writable)
            yield* settled
            assert.strictEqual(ends[to].edges.length, 1)
            assert.match(
              ends[to].edges[0]!,
              /^closed: the worker at the other end wrote something that makes no sense: /
            )
            assert.deepStrictEqual(ends[from].edges, ["closed: the peer reset the connection"])
            assert.deepStrictEqual(worker.thrown, [])
            const next = yield* LocalHost.connect(host)
            next[from].session.write(bytes(3))
            yield* settled
            assert.deepStrictEqual(next[to].edges, ["readable 3"])
            next[to].session.read()
            next[to].session.close()
          })
      )
    }

    scenario(
      `W16 the ${from} takes bytes back: the ${to} is given no byte that was not written`,
      (ends) =>
        Effect.gen(function*() {
          keep(ends)
          const { words } = ends.segment
          ends[from].session.write(bytes(3000))
          yield* settled
          ends[to].session.drop(2500)
          ends[from].session.write(bytes(3000, 3000))
          // the read has seen how much there is: 3500 bytes, in two pieces
          const { load } = Atomics
          let looks = 0
          let read: Uint8Array | undefined
          Atomics.load = ((array: Int32Array, at: number) => {
            if (array.buffer === words.buffer && at === tail && ++looks === 3) words[tail] = 2600
            return load(array, at)
          }) as typeof load
          try {
            read = ends[to].session.read()
          } finally {
            Atomics.load = load
          }
          assert.isAtMost(read?.length ?? 0, 3500)
          assert.isTrue(read === undefined || Pattern.isAt(read, 2500))
        })
    )
  }

  scenario("W16 bits and flags set out of malice cost a look", (ends, { workers }) =>
    Effect.gen(function*() {
      keep(ends)
      for (const { inbox } of workers) new Int32Array(inbox).fill(-1, 16)
      ends.client.session.write(bytes(1))
      ends.server.session.write(bytes(2))
      yield* settled
      assert.deepStrictEqual(ends.server.edges, ["readable 1"])
      assert.deepStrictEqual(ends.client.edges, ["readable 2"])
      for (const { inbox } of workers) {
        assert.isTrue(new Int32Array(inbox).subarray(64, 64 + 32).every((word) => word === 0))
      }
    }))

  it.effect.prop(
    "W16 whatever is written into a segment, no worker throws, and other sessions go on",
    { seed: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0x7fff_ffff })) },
    ({ seed }) =>
      Effect.gen(function*() {
        const random = Random.make(seed)
        const host = yield* LocalHost.make()
        const good = yield* LocalHost.connect(host)
        const bad = yield* LocalHost.connect(host)
        const { words } = bad.segment
        const act = (session: Session): void => {
          switch (random(8)) {
            case 0:
              return void session.read(1 + random(5000))
            case 1:
              return session.drop(session.peek(1 + random(5000))?.length ?? 0)
            case 2:
              return void session.write(bytes(1 + random(5000)))
            case 3:
              return void session.writeWhole([bytes(1 + random(2000)), bytes(random(2000))])
            case 4:
              return random(10) > 0 ? undefined : session.end()
            case 5:
              return random(10) > 0 ? undefined : session.close()
            case 6:
              return void session.available
          }
        }
        for (let step = 0; step < 60; step++) {
          for (const side of sides) act(bad[side].session)
          if (random(4) === 0) {
            const at = random(64)
            words[at] = random(2) === 0 ? random(2 ** 32) : words[at]! + random(10_000) - 5000
          }
          if (random(8) === 0) yield* settled
        }
        yield* settled
        for (const { thrown } of host.workers) assert.deepStrictEqual(thrown, [])
        good.client.session.write(bytes(9))
        yield* settled
        assert.deepStrictEqual(good.server.edges, ["readable 9"])
        for (const ends of [good, bad]) for (const side of sides) ends[side].session.abort()
        yield* settled
        assert.strictEqual(host.segments, 0)
        for (const { loop } of host.workers) assert.strictEqual(loop.open, 0)
        yield* TestClock.adjust(5000)
      }).pipe(Effect.scoped),
    { arbitrary: { runs: 60 } }
  )
})

describe("SessionBlock", () => {
  it("W16 each side's word of having closed is its own", () => {
    const words = new Int32Array(64).fill(-1)
    const segment = { index: 0, buffer: words.buffer, bytes: new Uint8Array(words.buffer), words, hostBytes: 256 }
    SessionBlock.reset(segment, 0)
    for (const side of sides) {
      assert.isFalse(SessionBlock.isClosed(segment, 0, side))
      SessionBlock.setClosed(segment, 0, side)
      assert.isTrue(SessionBlock.isClosed(segment, 0, side))
    }
  })
})
