import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import type { RuleHandle } from "../../../src/domain/admission/SessionRule.ts"
import type * as Report from "../../../src/domain/report/Report.ts"
import * as Handle from "../../../src/domain/state/Handle.ts"
import * as HandleText from "../../../src/domain/state/HandleText.ts"
import * as ControlClient from "../../../src/layers/control/ControlClient.ts"
import * as ControlPath from "../../../src/layers/control/ControlPath.ts"
import * as ControlServer from "../../../src/layers/control/ControlServer.ts"
import * as SessionRulesMemory from "../../../src/layers/stores/SessionRulesMemory.ts"
import type { ControlError } from "../../../src/services/ControlApi.ts"
import {
  DefaultWorker,
  Draining,
  NoSuchApp,
  NoSuchListener,
  NoSuchSession,
  NoSuchWorker,
  ReloadFailed,
  type SessionLayer,
  WorkerOperationFailed
} from "../../../src/services/SessionLayer.ts"
import * as FakeSessionLayer from "../../support/FakeSessionLayer.ts"
import { LogLines } from "../../support/LogLines.ts"
import * as Overviews from "../../support/Overviews.ts"
import * as Random from "../../support/random.ts"
import * as Reports from "../../support/Reports.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"

const report = Reports.host({ apps: [Reports.app()], sessions: 3 })

type Service = SessionLayer["Service"]

const serveWith = (path: string, does: Partial<Service>, options?: { readonly idleTimeout?: number }) =>
  Layer.build(
    ControlServer.layer(path, options).pipe(
      Layer.provide(FakeSessionLayer.layer(does)),
      Layer.provide(SessionRulesMemory.layer)
    )
  )

const serve = (path: string) => serveWith(path, { report: Effect.succeed(report) })

const newPath = Effect.map(TempDirectory.make, (directory) => Path.join(directory, "control.sock"))

const listening = (path: string) =>
  Effect.acquireRelease(
    Effect.callback<Net.Server>((resume) => {
      const server = Net.createServer().listen(path, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )

/** The socket of a server that has gone without removing it. */
const leaveStale = (path: string) =>
  Effect.gen(function*() {
    yield* Effect.scoped(Effect.gen(function*() {
      yield* listening(`${path}.live`)
      // a second name of the socket, which the server does not know of
      Fs.linkSync(`${path}.live`, path)
    }))
    assert.isTrue(Fs.lstatSync(path).isSocket())
  })

/** What a peer gets for its bytes until it is cut off; it stays open unless it is told to end. */
const speak = (path: string, bytes: Uint8Array | string, options: { readonly end: boolean }) =>
  Effect.callback<string>((resume) => {
    let answer = ""
    const socket = Net.connect({ path, allowHalfOpen: true }, () => {
      if (options.end) socket.end(bytes)
      else socket.write(bytes)
    })
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1")
    })
    socket.on("error", () => {})
    socket.on("end", () => socket.end())
    socket.on("close", () => resume(Effect.succeed(answer)))
    return Effect.sync(() => socket.destroy())
  })

const failure = <A, R>(effect: Effect.Effect<A, ControlError, R>) => Effect.flip(effect)

describe("ControlServer", () => {
  it.live("answers with the host's report", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      yield* serve(path)
      assert.deepStrictEqual(yield* ControlClient.report(path), report)
    }))

  it.live("lets nobody but its user connect, whatever the umask", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const before = process.umask(0)
      yield* serve(path).pipe(Effect.ensuring(Effect.sync(() => process.umask(before))))
      assert.strictEqual(Fs.statSync(path).mode & 0o777, 0o600)
    }))

  it.live("leaves the umask as it was", () =>
    Effect.gen(function*() {
      const before = process.umask()
      yield* serve(yield* newPath)
      assert.strictEqual(process.umask(), before)
    }))

  it.live("has that mode from its first moment: there is none in which others could connect", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const directory = Path.dirname(path)
      const seen = new Set<string>()
      const look = (): void => {
        for (const name of Fs.readdirSync(directory)) {
          const stats = Fs.lstatSync(Path.join(directory, name))
          seen.add(`${stats.isSocket() ? name : "a directory"} ${(stats.mode & 0o777).toString(8)}`)
        }
      }
      const { listen } = Net.Server.prototype
      const before = process.umask(0)
      Net.Server.prototype.listen = function(this: Net.Server, ...args: Array<any>) {
        const result = listen.apply(this, args as never)
        look()
        return result
      } as typeof listen
      yield* serve(path).pipe(Effect.ensuring(Effect.sync(() => {
        Net.Server.prototype.listen = listen
        process.umask(before)
      })))
      assert.deepStrictEqual([...seen], ["a directory 700"])
      look()
      assert.deepStrictEqual([...seen], ["a directory 700", "control.sock 600"])
    }))

  it.live("replaces the socket of a host that is gone", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      yield* leaveStale(path)
      yield* serve(path)
      assert.deepStrictEqual(yield* ControlClient.report(path), report)
    }))

  it.live("leaves a host alone that answers, and says what to do", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      yield* serve(path)
      const error = yield* failure(Effect.scoped(serve(path)))
      assert.strictEqual(error.reason, "InUse")
      assert.strictEqual(error.message, `a host already answers on ${path}; give another path with --control`)
      assert.deepStrictEqual(yield* ControlClient.report(path), report)
    }))

  it.live("of hosts that start at once on one path one serves, and the others hear that it is in use", () =>
    Effect.gen(function*() {
      for (const stale of [false, true]) {
        const path = yield* newPath
        if (stale) yield* leaveStale(path)
        const outcomes = yield* Effect.forEach(
          [1, 2, 3, 4],
          () => Effect.result(serve(path)),
          { concurrency: "unbounded" }
        )
        const failures = outcomes.filter(Result.isFailure)
        assert.deepStrictEqual(failures.map(({ failure }) => failure.reason), ["InUse", "InUse", "InUse"])
        assert.deepStrictEqual(yield* ControlClient.report(path), report)
        assert.deepStrictEqual(Fs.readdirSync(Path.dirname(path)).filter((name) => name.startsWith(".")), [])
      }
    }))

  it.live("a host that stops leaves the socket of the one that took its place alone", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const first = yield* Scope.make()
      yield* Scope.provide(serve(path), first)
      // somebody has removed the file of a host that still runs
      Fs.rmSync(path)
      yield* serve(path)
      yield* Scope.close(first, Exit.void)
      assert.isTrue(Fs.lstatSync(path).isSocket())
      assert.deepStrictEqual(yield* ControlClient.report(path), report)
    }))

  it.live("leaves a file that is not a socket alone", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      Fs.writeFileSync(path, "precious")
      const error = yield* failure(Effect.scoped(serve(path)))
      assert.strictEqual(error.message, `${path} exists and is not a socket; give another path with --control`)
      assert.strictEqual(Fs.readFileSync(path, "utf8"), "precious")
    }))

  it.live("says when the directory does not exist, or the path is too long", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const inside = Path.join(path, "no", "such")
      const missing = yield* failure(Effect.scoped(serve(inside)))
      assert.strictEqual(
        missing.message,
        `the directory of the control socket ${inside} does not exist; create it, or give another path with --control`
      )
      const long = yield* failure(Effect.scoped(serve(path + "x".repeat(200))))
      assert.strictEqual(long.reason, "InvalidPath")
      assert.include(long.message, "bytes long")
    }))

  it.live("removes its file when it closes", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      yield* Effect.scoped(serve(path))
      assert.isFalse(Fs.existsSync(path))
      yield* serve(path)
    }))

  it.live("closes although a peer is in the middle of a request", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const peer = yield* Effect.scoped(Effect.gen(function*() {
        yield* serve(path)
        const connected = yield* Effect.callback<Net.Socket>((resume) => {
          const socket = Net.connect({ path }, () => {
            socket.write("GET /v1/host HTTP/1.1\r\nHost: x\r\nX-Half", () => resume(Effect.succeed(socket)))
          })
          socket.on("error", () => {})
        })
        // it has been seen by the server once the server answers a later one
        yield* ControlClient.report(path)
        return connected
      }))
      peer.destroy()
      assert.isFalse(Fs.existsSync(path))
    }))

  it.live("survives nonsense", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      yield* serve(path)
      const random = Random.make(7)
      for (let i = 0; i < 100; i++) {
        const bytes = Uint8Array.from({ length: 1 + random(2000) }, () => random(256))
        const answer = yield* speak(path, bytes, { end: true })
        if (answer !== "") assert.match(answer, /^HTTP\/1\.1 400 /)
      }
      assert.deepStrictEqual(yield* ControlClient.report(path), report)
    }))

  it.live("refuses a head that is too large, and what it does not have", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      yield* serve(path)
      const head = `GET /v1/host HTTP/1.1\r\nHost: x\r\nX-Large: ${"x".repeat(1 << 20)}\r\n\r\n`
      assert.match(yield* speak(path, head, { end: false }), /^HTTP\/1\.1 431 /)
      const other = "GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
      assert.match(yield* speak(path, other, { end: false }), /^HTTP\/1\.1 404 /)
      assert.deepStrictEqual(yield* ControlClient.report(path), report)
    }))

  it.live("cuts off whoever says nothing, or only half of it", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      yield* serve(path)
      const half = "GET /v1/host HTTP/1.1\r\nHost: x\r\nX-Ha"
      const body = "POST /v1/host HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"
      yield* Effect.forEach(["", half, body], (bytes) => speak(path, bytes, { end: false }), { concurrency: 3 })
      assert.deepStrictEqual(yield* ControlClient.report(path), report)
    }))
})

/** A request that no client of ours would send: what comes back, and that is all that came of it. */
const send = (path: string, request: string, body = "") =>
  speak(
    path,
    `${request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${
      Buffer.byteLength(body)
    }\r\n\r\n${body}`,
    { end: false }
  )

const worker = Handle.make<Handle.WorkerHandle>(3, 1)
const http = FakeSessionLayer.application(0, "http")

describe("ControlServer: what a host tells of", () => {
  it.live("W21 answers with what one look at the host shows", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const overview = Overviews.overview({ refused: { recent: { congested: 2 }, all: { congested: 3 } } })
      yield* serveWith(path, { overview: Effect.succeed(overview) })
      assert.deepStrictEqual(yield* ControlClient.ask(path, (client) => client.host.overview()), overview)
    }))

  it.live("W21 answers with connects, locals, segments, queues and listeners as they are", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const connects = [Reports.connect(), Reports.connect({ source: "tcp://10.0.0.1:0" })]
      const locals: Report.LocalsReport = {
        listeners: [{ namespace: "default", endpoint: "local://billing", app: "http", appIndex: 0, listener: "0.1" }],
        sessions: [Reports.localSession()],
        connects
      }
      const segments = [Reports.manager(), Reports.manager({ kind: "local", manager: null, usedPercent: null })]
      const queues = [Reports.queue()]
      const asked: Array<unknown> = []
      const page = <A>(answer: A) => (page: unknown) =>
        Effect.sync(() => {
          asked.push(page)
          return { ...answer, next: "5.4.3" }
        })
      const listeners = [Reports.listener(), Reports.listener({ handle: "7.7" })]
      yield* serveWith(path, {
        connectPage: page({ connects }),
        localPage: page(locals),
        segmentPage: page({ managers: segments }),
        queuePage: page({ queues }),
        listenerPage: page({ listeners })
      })
      const told = yield* ControlClient.ask(path, (client) =>
        Effect.all([
          client.host.connects({ query: { after: "3.17", limit: 7 } }),
          client.host.locals({ query: {} }),
          client.host.segments({ query: {} }),
          client.host.queues({ query: {} }),
          client.listeners.list({ query: {} })
        ]))
      const next = "5.4.3"
      assert.deepStrictEqual(told, [
        { connects, next },
        { ...locals, next },
        { managers: segments, next },
        { queues, next },
        { listeners, next }
      ])
      assert.deepStrictEqual(asked, [{ after: "3.17", limit: 7 }, {}, {}, {}, {}])
      for (const query of ["after=x", "after=1.2.3.4", "limit=0", "limit=101", "limit=1.5"]) {
        const answer = yield* speak(
          path,
          `GET /v1/connects?${query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
          {
            end: false
          }
        )
        assert.match(answer, /^HTTP\/1\.1 400 /, query)
      }
    }))

  it.live("W2 finds an app by its name, then by its index, whatever characters the name has", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const names = ["http", "1", "a/b c%2F?x=1#é", "007"]
      const apps = names.map((name, index) => Reports.app({ index, name }))
      yield* serveWith(path, {
        find: FakeSessionLayer.finds(...names.map((name, index) => FakeSessionLayer.application(index, name))),
        report: Effect.succeed(Reports.host({ apps }))
      })
      const get = (app: string) => ControlClient.ask(path, (client) => client.apps.get({ params: { app } }))
      for (const name of names) assert.strictEqual((yield* get(name)).name, name)
      assert.strictEqual((yield* get("0")).name, "http")
      assert.strictEqual((yield* get("1")).name, "1")
      assert.strictEqual((yield* get("2")).name, "a/b c%2F?x=1#é")
      for (const wanted of ["htt", "5", "-1", "00", "1e0", "0.5"]) {
        const error = yield* Effect.flip(get(wanted))
        assert.instanceOf(error, NoSuchApp)
        assert.strictEqual(error.message, `no application ${wanted}`)
      }
    }))

  it.live("W21 hands the filter of sessions on, with the app that it names", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const filters: Array<Report.SessionFilter> = []
      const pages: Array<unknown> = []
      const sessions = [Reports.session(), Reports.session({ handle: "8.0", listener: null, rx: null, tx: null })]
      const workers = [Reports.worker({ handle: "3.1" })]
      yield* serveWith(path, {
        find: FakeSessionLayer.finds(FakeSessionLayer.application(0, "http"), FakeSessionLayer.application(1, "0")),
        report: Effect.succeed(Reports.host({ apps: [Reports.app({ workers })] })),
        sessionPage: (filter, page) =>
          Effect.sync(() => {
            filters.push(JSON.parse(JSON.stringify(filter)))
            pages.push(JSON.parse(JSON.stringify(page)))
            return { total: 2, sessions, next: "17" }
          })
      })
      const list = (query: Parameters<ControlClient.ControlApiClient["sessions"]["list"]>[0]["query"]) =>
        ControlClient.ask(path, (client) => client.sessions.list({ query }))
      assert.deepStrictEqual(yield* list({}), { total: 2, sessions, next: "17" })
      yield* list({ limit: 7, after: "17" })
      // whatever is asked for, no answer is large
      yield* list({ limit: 1_000_000 })
      assert.deepStrictEqual(pages.splice(0), [{ limit: 100 }, { after: "17", limit: 7 }, { limit: 100 }])
      yield* list({ sort: "in", reversed: true, after: "in:7:-12" })
      assert.deepStrictEqual(pages.splice(0), [{ sort: "in", reversed: true, after: "in:7:-12", limit: 100 }])
      const elsewhere = yield* Effect.flip(list({ sort: "in", after: "17" }))
      assert.strictEqual(elsewhere._tag, "InvalidPage")
      assert.match(elsewhere.message, /^"17" is not where a page in this order ends/)
      assert.deepStrictEqual(pages, [])
      const all = {
        worker: "3.1",
        listener: "2.0",
        search: "http 1",
        state: "READY",
        transport: "tcp",
        local: "::1",
        remote: "tcp://[::1]:80"
      } as const
      yield* list({ app: "http", ...all })
      yield* list({ app: "0" })
      yield* list({ app: "1" })
      assert.deepStrictEqual(filters, [{}, {}, {}, {}, { appIndex: 0, ...all }, { appIndex: 1 }, { appIndex: 1 }])
      assert.instanceOf(yield* Effect.flip(list({ app: "2" })), NoSuchApp)
      const stale = yield* Effect.flip(list({ worker: "3.0" }))
      assert.instanceOf(stale, NoSuchWorker)
      assert.strictEqual(stale.message, "no worker 3.0")
    }))

  it.live("W21 refuses a filter that is none, and asks the host nothing", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      yield* serveWith(path, {})
      for (
        const query of [
          "state=OPEN",
          "transport=quic",
          "sort=size",
          "reversed=7",
          "listener=1",
          "worker=x",
          "local=a%20b",
          "remote=:80",
          "limit=0",
          "limit=x",
          "after=x",
          "after=-1"
        ]
      ) {
        assert.match(yield* send(path, `GET /v1/sessions?${query}`), /^HTTP\/1\.1 400 /, query)
      }
    }))
})

describe("ControlServer: what a host is told to do", () => {
  /** What the session layer was told, in order. */
  const record = () => {
    const calls: Array<unknown> = []
    const tell = (...call: ReadonlyArray<unknown>) => Effect.sync(() => void calls.push(call))
    return { calls, tell }
  }

  it.live("W11 adds workers of a kind, and answers with handle, number, segment and event queue", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const { calls, tell } = record()
      yield* serveWith(path, {
        find: FakeSessionLayer.finds(http),
        addWorker: (app, options) =>
          Effect.as(tell(app, options?.kind), {
            handle: worker,
            index: Handle.WorkerIndex(3),
            mapIndex: Handle.WorkerMapIndex(2),
            kind: "in-process",
            firstSegmentBytes: 4096,
            eventQueueBytes: 1024
          })
      })
      const add = (app: string, kind?: "thread" | "in-process") =>
        ControlClient.ask(path, (client) => client.workers.add({ params: { app }, payload: { kind } }))
      assert.deepStrictEqual(yield* add("0", "in-process"), {
        handle: "3.1",
        app: "http",
        workerIndex: 3,
        mapIndex: 2,
        kind: "in-process",
        firstSegmentBytes: 4096,
        eventQueueBytes: 1024
      })
      yield* add("http")
      assert.deepStrictEqual(calls, [[http.handle, "in-process"], [http.handle, undefined]])
      assert.instanceOf(yield* Effect.flip(add("other")), NoSuchApp)
      assert.match(yield* send(path, "POST /v1/apps/http/workers", `{"kind":"fork"}`), /^HTTP\/1\.1 400 /)
      assert.strictEqual(calls.length, 2)
    }))

  it.live("X2 reloads applications, one worker after the other or all at once, and says why not", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const { calls, tell } = record()
      yield* serveWith(path, {
        find: FakeSessionLayer.finds(http),
        reload: (app, options) =>
          options?.atOnce === true
            ? Effect.fail(new ReloadFailed({ app: "http", replaced: 1, workers: 2, reason: new Draining() }))
            : Effect.as(tell(app, options?.atOnce), { workers: 2, millis: 7 })
      })
      const reload = (app: string, atOnce?: boolean) =>
        ControlClient.ask(path, (client) => client.apps.reload({ params: { app }, query: { atOnce } }))
      assert.deepStrictEqual(yield* reload("0"), { app: "http", workers: 2, millis: 7 })
      yield* reload("http", false)
      assert.deepStrictEqual(calls, [[http.handle, undefined], [http.handle, false]])
      assert.instanceOf(yield* Effect.flip(reload("other")), NoSuchApp)
      assert.strictEqual(
        (yield* Effect.flip(reload("http", true))).message,
        "can't reload http: the host is shutting down; 1 of 2 workers of http run the new code, the others go on as they were"
      )
      assert.match(yield* send(path, "POST /v1/apps/http/reload?atOnce=maybe"), /^HTTP\/1\.1 400 /)
    }))

  it.live("W11 deletes and restarts workers, when their sessions have ended or at once, and says why not", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const { calls, tell } = record()
      const failed = (operation: "delete" | "restart", reason: WorkerOperationFailed["reason"]) =>
        Effect.fail(new WorkerOperationFailed({ operation, reason }))
      yield* serveWith(path, {
        deleteWorker: (handle, options) =>
          handle === worker ? tell("delete", options?.drain) : failed("delete", new DefaultWorker({ app: "http" })),
        restartWorker: (handle, options) =>
          handle === worker ? tell("restart", options?.drain) : failed("restart", new NoSuchWorker({ worker: "3.0" }))
      })
      const operate = (what: "remove" | "restart", handle: Handle.WorkerHandle, now?: boolean) =>
        ControlClient.ask(path, (client) => client.workers[what]({ params: { worker: handle }, query: { now } }))
      yield* operate("remove", worker)
      yield* operate("remove", worker, true)
      yield* operate("restart", worker, false)
      yield* operate("restart", worker, true)
      assert.deepStrictEqual(calls, [["delete", true], ["delete", false], ["restart", true], ["restart", false]])
      const first = yield* Effect.flip(operate("remove", Handle.make(0, 0)))
      assert.instanceOf(first, WorkerOperationFailed)
      assert.match(first.message, /^can't delete the worker: the default worker of http can't be deleted while others/)
      const second = yield* Effect.flip(operate("restart", Handle.make(3, 0)))
      assert.strictEqual(second.message, "can't restart the worker: no worker 3.0")
    }))

  it.live("ends sessions, closes listeners and detaches apps, and says which are not there", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const { calls, tell } = record()
      const session = Handle.make<Handle.SessionHandle>(12, 3)
      const listener = Handle.make<Handle.ListenerHandle>(4, 2)
      yield* serveWith(path, {
        find: FakeSessionLayer.finds(http),
        endSession: (handle, how) =>
          handle === session ? tell("end", how) : Effect.fail(new NoSuchSession({ session: Handle.format(handle) })),
        unlisten: (handle) =>
          handle === listener ? tell("close") : Effect.fail(new NoSuchListener({ listener: Handle.format(handle) })),
        detach: (handle) => tell("detach", handle)
      })
      const end = (session: Handle.SessionHandle, how?: "close" | "reset") =>
        ControlClient.ask(path, (client) => client.sessions.end({ params: { session }, query: { how } }))
      const close = (listener: Handle.ListenerHandle) =>
        ControlClient.ask(path, (client) => client.listeners.close({ params: { listener } }))
      const detach = (app: string) => ControlClient.ask(path, (client) => client.apps.detach({ params: { app } }))
      yield* end(session)
      yield* end(session, "close")
      yield* end(session, "reset")
      yield* close(listener)
      yield* detach("http")
      yield* detach("0")
      assert.deepStrictEqual(calls, [
        ["end", "close"],
        ["end", "close"],
        ["end", "reset"],
        ["close"],
        ["detach", http.handle],
        ["detach", http.handle]
      ])
      assert.strictEqual((yield* Effect.flip(end(Handle.make(12, 2)))).message, "no session 12.2")
      assert.strictEqual((yield* Effect.flip(close(Handle.make(4, 1)))).message, "no listener 4.1")
      assert.strictEqual((yield* Effect.flip(detach("1"))).message, "no application 1")
    }))

  it.live("refuses handles that are none, and tells the host nothing", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      yield* serveWith(path, {})
      for (const handle of ["12", "1.2.3", "x", "-1.0", "1.-1", "16777216.0", "0.268435456", "01.0"]) {
        for (
          const request of [
            `DELETE /v1/workers/${handle}`,
            `POST /v1/workers/${handle}/restart`,
            `DELETE /v1/sessions/${handle}`,
            `DELETE /v1/listeners/${handle}`,
            `DELETE /v1/rules/${handle}`
          ]
        ) assert.match(yield* send(path, request), /^HTTP\/1\.1 400 /, request)
      }
      assert.match(yield* send(path, "DELETE /v1/sessions/1.0?how=kill"), /^HTTP\/1\.1 400 /)
      assert.match(yield* send(path, "DELETE /v1/workers/1.0?now=maybe"), /^HTTP\/1\.1 400 /)
    }))

  it.live("adds, lists and removes session rules, the most specific first", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      yield* serveWith(path, {})
      const add = (payload: Record<string, string | number>) =>
        ControlClient.ask(path, (client) => client.rules.add({ payload }))
      const list = ControlClient.ask(path, (client) => client.rules.list())
      assert.deepStrictEqual(yield* list, [])
      const wide = yield* add({ action: "deny" })
      const narrow = yield* add({ action: "app:http", remote: "10.0.0.0/8", remotePort: 80, on: "accept", tag: "mine" })
      const any = {
        on: "both",
        perSource: "limited",
        transport: "any",
        local: "any",
        localPort: 0,
        remote: "any",
        remotePort: 0
      }
      assert.deepStrictEqual((yield* list) as unknown, [
        {
          handle: narrow.handle,
          rule: { ...any, on: "accept", remote: "10.0.0.0/8", remotePort: 80, action: "app:http", tag: "mine" }
        },
        { handle: wide.handle, rule: { ...any, action: "deny" } }
      ])
      const bad: ReadonlyArray<readonly [Record<string, string | number>, RegExp]> = [
        [{ action: "deny" }, /^can't add the rule: there already is one/],
        [{ action: "perhaps" }, /^can't add the rule: action: got "perhaps"; it must be /],
        [{ action: "deny", remote: "10.0.0.1/8" }, /remote: got "10\.0\.0\.1\/8"/],
        [{ action: "deny", remotePort: 0.5 }, /remotePort/],
        [{ action: "deny", wombat: 1 }, /wombat/],
        [{}, /action/]
      ]
      for (const [rule, message] of bad) assert.match((yield* Effect.flip(add(rule))).message, message)
      assert.strictEqual((yield* list).length, 2)
      const handle = (text: string) => {
        const [index = "", generation = ""] = text.split(".")
        return Handle.make<Handle.Handle<"RuleHandle">>(Number(index), Number(generation))
      }
      const remove = (text: string) =>
        ControlClient.ask(path, (client) => client.rules.remove({ params: { rule: handle(text) } }))
      yield* remove(wide.handle)
      assert.strictEqual((yield* Effect.flip(remove(wide.handle))).message, `no rule ${wide.handle}`)
      assert.deepStrictEqual((yield* list).map(({ handle }) => handle), [narrow.handle])
    }))

  it.live("denies sources, and denies them no more", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      yield* serveWith(path, {})
      const add = (source: string) => ControlClient.ask(path, (client) => client.denied.add({ payload: { source } }))
      const remove = (source: string) =>
        ControlClient.ask(path, (client) => client.denied.remove({ query: { source } }))
      const list = ControlClient.ask(path, (client) => client.denied.list())
      assert.deepStrictEqual(yield* list, [])
      yield* add("10.0.0.0/8")
      yield* add("2001:db8::/32")
      assert.deepStrictEqual((yield* list) as unknown, ["10.0.0.0/8", "2001:db8::/32"])
      assert.match((yield* Effect.flip(add("10.0.0.0/8"))).message, /^can't deny the source: there already is one/)
      assert.match(
        (yield* Effect.flip(add("10.0.0.1/8"))).message,
        /^can't deny the source: source: got "10\.0\.0\.1\/8"/
      )
      assert.strictEqual((yield* Effect.flip(remove("10.1.0.0/16"))).message, "10.1.0.0/16 is not on the deny list")
      yield* remove("10.0.0.0/8")
      assert.deepStrictEqual((yield* list) as unknown, ["2001:db8::/32"])
    }))

  it.live("refuses a body that is too large, or no JSON", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      yield* serveWith(path, {})
      const large = JSON.stringify({ source: "x".repeat(512 * 1024) })
      assert.match(yield* send(path, "POST /v1/denied", large), /^HTTP\/1\.1 413 /)
      assert.match(yield* send(path, "POST /v1/denied", "{"), /^HTTP\/1\.1 400 /)
      assert.match(yield* send(path, "POST /v1/rules", "[]"), /^HTTP\/1\.1 400 /)
      assert.deepStrictEqual(yield* ControlClient.ask(path, (client) => client.denied.list()), [])
    }))
})

describe("ControlServer: what takes its time", () => {
  /** A delete that has begun, and that ends when it is told to; how it ended. */
  const slowDelete = Effect.gen(function*() {
    const begun = yield* Deferred.make<void>()
    const go = yield* Deferred.make<void>()
    const ended = yield* Deferred.make<"done" | "interrupted">()
    const deleteWorker: Service["deleteWorker"] = () =>
      Deferred.succeed(begun, undefined).pipe(
        Effect.andThen(Deferred.await(go)),
        Effect.andThen(Deferred.succeed(ended, "done")),
        Effect.onInterrupt(() => Deferred.succeed(ended, "interrupted"))
      )
    return { begun, go, ended, deleteWorker }
  })

  const remove = (path: string, options?: { readonly patient: boolean }) =>
    ControlClient.ask(path, (client) => client.workers.remove({ params: { worker }, query: {} }), options)

  it.live("is waited for although nothing is heard on the connection for longer than is allowed", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const { begun, deleteWorker, go } = yield* slowDelete
      yield* serveWith(path, { deleteWorker }, { idleTimeout: 100 })
      const asking = yield* Effect.forkChild(remove(path, { patient: true }))
      yield* Deferred.await(begun)
      // those that came later are cut off, one after the other
      for (let i = 0; i < 2; i++) assert.strictEqual(yield* speak(path, "", { end: false }), "")
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.join(asking)
    }))

  it.live("is waited for without a bound by those who are patient, and 10 seconds by others", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const { begun, deleteWorker, go } = yield* slowDelete
      yield* serveWith(path, { deleteWorker })
      yield* Effect.gen(function*() {
        // once it has begun, its time runs
        const other = yield* Effect.forkChild(Effect.flip(remove(path)))
        yield* Deferred.await(begun)
        const patient = yield* Effect.forkChild(remove(path, { patient: true }))
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* Fiber.join(other)).message, `the host on ${path} did not answer within 10 s`)
        yield* TestClock.adjust("10 hours")
        yield* Deferred.succeed(go, undefined)
        yield* Fiber.join(patient)
      }).pipe(Effect.provide(TestClock.layer()))
    }))

  it.live("goes on when whoever asked for it is gone", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const { begun, deleteWorker, ended, go } = yield* slowDelete
      yield* serveWith(path, { deleteWorker, connectPage: () => Effect.succeed({ connects: [] }) })
      const asking = yield* Effect.forkChild(remove(path))
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(asking)
      // by the answer to a later one the server has seen that the connection is gone
      yield* ControlClient.ask(path, (client) => client.host.connects({ query: {} }))
      yield* Deferred.succeed(go, undefined)
      assert.strictEqual(yield* Deferred.await(ended), "done")
    }))

  it.live("ends with the server", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const { begun, deleteWorker, ended } = yield* slowDelete
      const asking = yield* Effect.scoped(Effect.gen(function*() {
        yield* serveWith(path, { deleteWorker })
        const asking = yield* Effect.forkDetach(Effect.flip(remove(path, { patient: true })))
        yield* Deferred.await(begun)
        return asking
      }))
      assert.strictEqual(yield* Deferred.await(ended), "interrupted")
      assert.strictEqual((yield* Fiber.join(asking))._tag, "ControlError")
    }))

  it.live("W11 is given up with whoever asked, when a worker is to be added", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const begun = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      yield* serveWith(path, {
        find: FakeSessionLayer.finds(http),
        addWorker: () =>
          Deferred.succeed(begun, undefined).pipe(
            Effect.andThen(Effect.never),
            Effect.onInterrupt(() => Deferred.succeed(ended, undefined))
          )
      })
      const asking = yield* Effect.forkChild(
        ControlClient.ask(path, (client) => client.workers.add({ params: { app: "http" }, payload: {} }))
      )
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(asking)
      yield* Deferred.await(ended)
    }))
})

describe("ControlClient", () => {
  it.live("says what to do when no host answers: no socket, or nobody on it", () =>
    Effect.gen(function*() {
      const path = yield* newPath
      const expected = `no host answers on ${path}; start one with: sluice serve`
      assert.strictEqual((yield* failure(ControlClient.report(path))).message, expected)
      yield* leaveStale(path)
      assert.strictEqual((yield* failure(ControlClient.report(path))).message, expected)
    }))

  it.live("says so when what answers is no host", () =>
    Effect.gen(function*() {
      for (const answer of ["", "hello\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"]) {
        const path = yield* newPath
        const server = yield* listening(path)
        server.on("connection", (socket) => {
          socket.on("error", () => {})
          socket.once("data", () => socket.end(answer))
        })
        const error = yield* failure(ControlClient.report(path))
        assert.strictEqual(error.reason, "NotAHost", answer)
        assert.include(error.message, `what answers on ${path} is not a host of this version: `)
      }
    }))
})

describe("ControlPath", () => {
  const withEnv = (env: Record<string, string>) => ConfigProvider.layer(ConfigProvider.fromEnv({ env }))
  const temporary = Path.join(Os.tmpdir(), `sluice-${process.getuid?.() ?? -1}`)

  it.live("is in the runtime directory if that is the user's", () =>
    Effect.gen(function*() {
      const directory = yield* TempDirectory.make
      const path = yield* ControlPath.defaultPath.pipe(Effect.provide(withEnv({ XDG_RUNTIME_DIR: directory })))
      assert.strictEqual(path, Path.join(directory, "sluice.sock"))
    }))

  it.live("refuses a runtime directory that others may write to, and says what to do", () =>
    Effect.gen(function*() {
      const directory = yield* TempDirectory.make
      const found = ControlPath.defaultPath.pipe(Effect.provide(withEnv({ XDG_RUNTIME_DIR: directory })))
      for (const mode of [0o720, 0o702, 0o777, 0o1777]) {
        Fs.chmodSync(directory, mode)
        const error = yield* failure(found)
        assert.strictEqual(error.reason, "ForeignDirectory", mode.toString(8))
        assert.include(error.message, `others may write to XDG_RUNTIME_DIR, ${directory}; take that permission away`)
        assert.include(error.message, "--control")
      }
      for (const mode of [0o700, 0o755]) {
        Fs.chmodSync(directory, mode)
        assert.strictEqual(yield* found, Path.join(directory, "sluice.sock"))
      }
    }))

  // only root can make what belongs to somebody else
  it.live.runIf(process.getuid?.() === 0)("refuses a runtime directory of another user", () =>
    Effect.gen(function*() {
      const directory = yield* TempDirectory.make
      Fs.chownSync(directory, 12345, 12345)
      const error = yield* failure(
        ControlPath.defaultPath.pipe(Effect.provide(withEnv({ XDG_RUNTIME_DIR: directory })))
      )
      assert.strictEqual(error.reason, "ForeignDirectory")
      assert.include(error.message, `another user owns XDG_RUNTIME_DIR, ${directory}`)
    }))

  it.live("is in a directory of its own without one", () =>
    Effect.gen(function*() {
      for (const env of [{}, { XDG_RUNTIME_DIR: "" }, { XDG_RUNTIME_DIR: "run" }, { XDG_RUNTIME_DIR: "/no/such" }]) {
        const path = yield* ControlPath.defaultPath.pipe(Effect.provide(withEnv(env as Record<string, string>)))
        assert.strictEqual(path, Path.join(temporary, "sluice.sock"))
      }
    }))

  const inTemporary = Effect.gen(function*() {
    const directory = yield* TempDirectory.make
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const before = process.env.TMPDIR
        process.env.TMPDIR = directory
        return before
      }),
      (before) =>
        Effect.sync(() => {
          if (before === undefined) delete process.env.TMPDIR
          else process.env.TMPDIR = before
        })
    )
    return Path.join(directory, `sluice-${process.getuid?.() ?? -1}`)
  })
  const noRuntime = withEnv({})

  it.live("makes its own directory, for its user only, and closes one that is open to others", () =>
    Effect.gen(function*() {
      const directory = yield* inTemporary
      const path = yield* ControlPath.defaultPath.pipe(Effect.provide(noRuntime))
      yield* Effect.scoped(serve(path))
      assert.strictEqual(Fs.statSync(directory).mode & 0o777, 0o700)
      Fs.chmodSync(directory, 0o777)
      const error = yield* failure(ControlClient.report(path))
      assert.include(error.message, `others may enter ${directory}`)
      yield* serve(path)
      assert.strictEqual(Fs.statSync(directory).mode & 0o777, 0o700)
      assert.deepStrictEqual(yield* ControlClient.report(path), report)
    }))

  it.live("refuses a directory that another user has put there, on both sides", () =>
    Effect.gen(function*() {
      const directory = yield* inTemporary
      const path = yield* ControlPath.defaultPath.pipe(Effect.provide(noRuntime))
      const refused = Effect.fnUntraced(function*(words: string) {
        for (const attempt of [Effect.asVoid(Effect.scoped(serve(path))), Effect.asVoid(ControlClient.report(path))]) {
          const error = yield* failure(attempt)
          assert.strictEqual(error.reason, "ForeignDirectory")
          assert.include(error.message, words)
        }
        Fs.rmSync(directory, { recursive: true })
      })
      Fs.symlinkSync("/", directory)
      yield* refused("is not a directory")
      // only root can make what belongs to somebody else
      if (process.getuid?.() !== 0) return
      Fs.mkdirSync(directory, { mode: 0o700 })
      Fs.chownSync(directory, 12345, 12345)
      yield* refused(`another user owns ${directory}`)
      // what was put there while it was open to others
      Fs.mkdirSync(directory, { mode: 0o700 })
      Fs.writeFileSync(path, "")
      Fs.chownSync(path, 12345, 12345)
      yield* refused(`another user owns ${path}`)
    }))
})

describe("a change that is asked for over the control socket", () => {
  it.live("has a line in the log once it is made", () => {
    const told = new LogLines()
    return Effect.gen(function*() {
      const path = yield* newPath
      yield* serveWith(path, {
        report: Effect.succeed(report),
        unlisten: () => Effect.void,
        deleteWorker: () => Effect.void,
        restartWorker: (worker) =>
          Effect.fail(
            new WorkerOperationFailed({
              operation: "restart",
              reason: new NoSuchWorker({ worker: Handle.format(worker) })
            })
          ),
        endSession: () => Effect.void
      })
      const ask = <A, E extends { readonly _tag: string }>(
        request: (client: ControlClient.ControlApiClient) => Effect.Effect<A, E>
      ) => ControlClient.ask(path, request)
      const worker = Handle.make<Handle.WorkerHandle>(1, 2)
      yield* ask((client) => client.workers.remove({ params: { worker }, query: {} }))
      yield* Effect.ignore(ask((client) => client.workers.restart({ params: { worker }, query: {} })))
      yield* ask((client) => client.listeners.close({ params: { listener: Handle.make<Handle.ListenerHandle>(3, 0) } }))
      const rule = { action: "deny", on: "accept", remote: "192.0.2.0/24" } as const
      const { handle } = yield* ask((client) => client.rules.add({ payload: rule }))
      yield* ask((client) => client.rules.remove({ params: { rule: HandleText.parse<RuleHandle>(handle)! } }))
      yield* ask((client) => client.denied.add({ payload: { source: "10.0.0.0/8" } }))
      yield* ask((client) => client.denied.remove({ query: { source: "10.0.0.0/8" } }))
      for (const index of [1, 2, 3]) {
        const session = Handle.make<Handle.SessionHandle>(index, 0)
        yield* ask((client) => client.sessions.end({ params: { session }, query: { how: "reset" } }))
      }
      assert.deepStrictEqual(told.having("by the control socket"), [
        "INFO by the control socket: worker 1.2 deleted",
        "INFO by the control socket: listener 3.0 closed",
        `INFO by the control socket: rule ${handle} added: deny accept any local any remote 192.0.2.0/24`,
        `INFO by the control socket: rule ${handle} removed: deny accept any local any remote 192.0.2.0/24`,
        "INFO by the control socket: 10.0.0.0/8 added to the deny list",
        "INFO by the control socket: 10.0.0.0/8 taken off the deny list",
        // the others are counted
        "INFO by the control socket: session 1.0 reset"
      ])
    }).pipe(Effect.scoped, Effect.provide(told.layer))
  })
})
