/** Reading the sessions of a host page by page, while it goes on. */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Report from "../../../src/domain/report/Report.ts"
import { SessionLayer, streamSessions } from "../../../src/services/SessionLayer.ts"
import * as Random from "../../support/random.ts"
import { Actor, scenario } from "../../support/Stage.ts"
import { settled } from "../../support/until.ts"

const SESSIONS = 250

describe("pages of sessions", () => {
  scenario(
    "W21 show all of them, in the order of their slots, and where the next page begins",
    (stage) =>
      Effect.gen(function*() {
        yield* stage.attach(new Actor())
        const peers = Array.from({ length: SESSIONS }, () => stage.network.dial("tcp://127.0.0.1:80"))
        yield* settled
        const all = yield* stage.host.sessions({})
        assert.strictEqual(all.length, SESSIONS)
        const first = yield* stage.host.sessionPage({})
        assert.deepStrictEqual([first.total, first.sessions.length], [SESSIONS, 100])
        const last = yield* stage.host.sessionPage({}, { after: first.next, limit: 1000 })
        assert.deepStrictEqual([last.total, last.next], [undefined, undefined])
        assert.deepStrictEqual([...first.sessions, ...last.sessions], all)
        // a filter that few pass: all of the table is looked at
        const { remote } = all[200]!
        const found = yield* stage.host.sessionPage({ remote })
        assert.deepStrictEqual(found, { total: 1, sessions: [all[200]!] })
        assert.deepStrictEqual((yield* stage.host.sessionPage({}, { after: "16777215" })).sessions, [])
        const streamed = yield* Stream.runCollect(streamSessions({})).pipe(
          Effect.provideService(SessionLayer, stage.host)
        )
        assert.deepStrictEqual(streamed, all)
        for (const peer of peers) peer.end()
      })
  )

  scenario(
    "W21 a session that is there all the while is on one page, whatever comes and goes",
    (stage) =>
      Effect.gen(function*() {
        const random = Random.make(5)
        yield* stage.attach(
          new Actor({ accept: (session) => void (session.handler = { ended: () => session.close() }) })
        )
        const dial = () => stage.network.dial("tcp://127.0.0.1:80")
        const kept = Array.from({ length: SESSIONS }, () => [dial(), dial()] as const).map(([stays, goes]) => ({
          stays,
          goes
        }))
        yield* settled
        const coming = kept.map(({ goes }) => goes)
        const seen: Array<Report.SessionReport> = []
        for (let after: string | undefined = "0"; after !== undefined;) {
          const page: Report.SessionsReport = yield* stage.host.sessionPage({}, { after, limit: 1 + random(20) })
          seen.push(...page.sessions)
          after = page.next
          for (let n = random(10); n > 0; n--) coming.splice(random(coming.length), 1, dial())[0]?.reset()
          yield* settled
        }
        const count = new Map<string, number>()
        for (const { remote } of seen) count.set(remote, (count.get(remote) ?? 0) + 1)
        for (const { stays } of kept) assert.strictEqual(count.get(stays.local), 1)
        assert.strictEqual(new Set(seen.map(({ handle }) => handle)).size, seen.length)
      })
  )

  scenario(
    "W21 in any order are those of all sessions: each on one page, the other way round, and as many as there are",
    (stage) =>
      Effect.gen(function*() {
        const random = Random.make(9)
        yield* stage.attach(new Actor())
        const peers = []
        for (let at = 0; at < SESSIONS; at++) {
          const peer = stage.network.dial("tcp://127.0.0.1:80")
          peers.push(peer)
          if (at % 50 === 0) yield* settled
          // by ten and tens the same
          peer.send(new Uint8Array(random(10)))
        }
        yield* settled
        const all = yield* stage.host.sessions({})
        const allPages = Effect.fnUntraced(function*(sort: Report.SessionSorting, reversed: boolean) {
          const seen: Array<Report.SessionReport> = []
          let after: string | undefined
          do {
            const page: Report.SessionsReport = yield* stage.host.sessionPage({}, { sort, reversed, after, limit: 40 })
            assert.strictEqual(page.total, SESSIONS)
            seen.push(...page.sessions)
            after = page.next
          } while (after !== undefined)
          return seen.map(({ handle }) => handle)
        })
        const keys: Partial<Record<Report.SessionSorting, (session: Report.SessionReport) => number | string>> = {
          age: ({ ageMillis }) => -ageMillis,
          in: ({ bytesIn }) => -bytesIn!,
          remote: ({ remote }) => remote,
          worker: ({ worker }) => worker
        }
        for (const [sort, keyOf] of Object.entries(keys)) {
          const compare = (a: Report.SessionReport, b: Report.SessionReport) =>
            keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0
          const wanted = all.toSorted(compare).map(({ handle }) => handle)
          assert.deepStrictEqual(yield* allPages(sort as Report.SessionSorting, false), wanted, sort)
          assert.deepStrictEqual(yield* allPages(sort as Report.SessionSorting, true), wanted.toReversed(), sort)
        }
        const { handle, listener, remote } = all[77]!
        const found = yield* stage.host.sessionPage({ search: remote.toUpperCase(), listener: listener! }, {
          sort: "in"
        })
        assert.deepStrictEqual([found.total, found.sessions.map((session) => session.handle)], [1, [handle]])
        assert.strictEqual((yield* stage.host.sessionPage({ listener: "9.9" })).total, 0)
        for (const peer of peers) peer.end()
      })
  )
})
