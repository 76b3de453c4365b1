/**
 * Every option has an effect, or is refused: which test shows what happens when it is changed, option by option. The
 * tests below the table are for those that no other file shows.
 */
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as ProxyConfig from "../src/apps/proxy/ProxyConfig.ts"
import * as Segment from "../src/domain/memory/Segment.ts"
import { infosOf } from "../src/domain/options/OptionFields.ts"
import * as Options from "../src/domain/options/Options.ts"
import * as ProxyCommand from "../src/layers/cli/ProxyCommand.ts"
import * as Setting from "../src/layers/cli/Setting.ts"
import * as Settings from "../src/layers/cli/Settings.ts"
import * as Host from "../src/layers/Host.ts"
import * as SegmentManagerMemory from "../src/layers/stack/SegmentManagerMemory.ts"
import * as AppWorker from "../src/services/AppWorker.ts"
import { SegmentManager } from "../src/services/SegmentManager.ts"
import { SessionLayer } from "../src/services/SessionLayer.ts"
import { Sessions } from "../src/services/Sessions.ts"
import * as Cli from "./support/Cli.ts"
import * as TempDirectory from "./support/TempDirectory.ts"

/** The file under `test/`, and the title of the test. */
type Shown = readonly [file: string, title: string]

const here = (title: string): Shown => ["optionEffects", title]
const host = (title: string): Shown => ["layers/host/SessionLayerHost", title]
const queue = (title: string): Shown => ["layers/stack/CongestionQueue", title]
const segments = (title: string): Shown => ["layers/stack/SegmentManagerMemory", title]
const tls = (title: string): Shown => ["layers/transport/TransportTls", title]

const dashboard: Shown = [
  "layers/cli/Dashboard",
  "X5 answers a browser on the port that it is given, by the names and the token that it is given"
]

/** Options of an application by their path, those of a proxy by `proxy.`, and those of the command by `sluice.`. */
const effects: Readonly<Record<string, Shown>> = {
  name: ["main", "takes flags before the environment before the file"],
  client: host("W2 an application is found by its name, its client and its index, and not after it is detached"),
  namespace: ["layers/host/Scopes", "W17 what is local is so within its namespace"],
  secret: [
    "layers/host/Applications",
    "W3 ${what}: ${reason}, nothing has changed, and the same attach may follow at once"
  ],
  proxiedTransports: [
    "layers/host/Scopes",
    "W18 listen on every port of each family, in local scope, from their attach to their detach"
  ],
  tlsEngine: host("W4 options that are wrong are refused by name, and nothing has changed"),
  listen: ["layers/PlainHost", "serves a module on threads, is asked, and stops"],
  workers: ["layers/PlainHost", "serves a module on threads, is asked, and stops"],
  config: here("what an application is told is what its workers know"),
  listeners: here("the options of one endpoint hold there, and those for all elsewhere"),
  certificates: ["layers/host/Tls", "W19 has an application's certificates before its workers listen, in their order"],
  "scope.global": ["layers/host/Scopes", "W17 global scope alone: local connects do not find it"],
  "scope.local": ["layers/host/Scopes", "W17 local scope alone: the transport hears nothing of it"],
  "worker.kind": ["main", "takes flags before the environment before the file"],
  "worker.startTimeout": host("W6 a worker that does not come up in time is given up"),
  "worker.backoffBase": host(
    "a worker that keeps crashing is started again after longer and longer waits, up to the bound"
  ),
  "worker.backoffMax": host(
    "a worker that keeps crashing is started again after longer and longer waits, up to the bound"
  ),
  "worker.drainTimeout": host("a drain is bounded by the drain timeout"),
  "worker.maxHeap": [
    "layers/host/WearWatch",
    "X6 a heap that stays over maxHeap has it replaced; one that is collected has not"
  ],
  "worker.maxSessionsPerStart": [
    "layers/host/WearWatch",
    "X6 as many sessions as it may have had: another start takes its place, and each worker is replaced at its own time"
  ],
  "worker.stuckAfter": [
    "layers/host/Stuck",
    "X6 one loops, one is in native code: each is told of, replaced, and others notice nothing"
  ],
  "worker.handOver": [
    "layers/host/Reload",
    "X2 a start that has been replaced keeps its sessions for `handOver`; the next one begins after twice that"
  ],
  "worker.retireAfter": [
    "layers/host/WorkersByNeed",
    "X8 a worker is added once all were full for two seconds, and goes after retireAfter"
  ],
  "worker.generationsMax": ["layers/host/Reload", "X2 generations are bounded: the oldest ends, whatever it has"],
  "worker.heapLimitMiB": [
    "layers/host/Threads",
    "W1 W12 a worker that throws, calls process.exit or runs out of memory: its sessions are closed, others go on, and "
  ],
  "admission.revokeAfter": host(
    "M15 workers that are slower than the revoke time leave the connection to the quick one"
  ),
  "admission.sojournTarget": ["layers/host/Overload", "X7 with a target of 0 no worker is congested by sojourn"],
  "admission.sojournInterval": [
    "domain/admission/Sojourn",
    "is congested once all it was offered for the interval has waited longer than the target"
  ],
  "admission.slowStart": [
    "domain/admission/Admission",
    "X7 a worker that has just started has few open offers, as long as others take what is beyond"
  ],
  "listener.refuseWith": [
    "layers/host/RefuseHttp",
    "X7 answers a peer that ends without a word, and resets one that has agreed on HTTP/2"
  ],
  "listener.held": ["domain/admission/Admission", "X7 by the order oldest, a queue that stands changes nothing"],
  "admission.policy": host("M6 by the policy refuse nobody waits, and the reason is told"),
  "admission.holdMax": host("M6 the hold is bounded in number and in time, and each refusal has its reason"),
  "admission.holdTime": host("M6 the hold is bounded in number and in time, and each refusal has its reason"),
  "admission.maxSessionsPerWorker": host("sessions per worker: by the policy refuse the reason is worker-limit"),
  "admission.maxConcurrent": [
    "layers/host/Concurrency",
    "X7 a worker gets no more than it may have in hand: what is beyond that waits, and each answer makes room for one"
  ],
  "admission.reserve": [
    "layers/host/Priority",
    "X7 connections of a listener of high priority are served beyond the limits, and before those that wait elsewhere"
  ],
  "admission.maxSessionsPerListener": host("sessions per listener: more are refused with the reason listener-limit"),
  "admission.maxSessions": host("sessions in total: more are refused with the reason host-limit"),
  "admission.backlog": [
    "layers/transport/TransportConnect",
    "the backlog bounds the connections that wait to be accepted"
  ],
  "admission.connectTimeout": ["layers/host/Connects", "W14 is the application's connectTimeout, to the millisecond"],
  "admission.maxHalfOpen": [
    "layers/host/Connects",
    "W14 a worker has maxHalfOpen of them at most, and each that ends makes room for one"
  ],
  "listener.placement": ["layers/host/Transfer", "is the socket itself, with what has not been read"],
  "listener.tlsIn": [
    "layers/adapters/node/NodeServer",
    "TLS that ends in the worker: a listener for data sets the socket going"
  ],
  "listener.alpn": tls("agrees on the protocol that the listener prefers, and fails without one"),
  "listener.clientCertificate": tls("that are required let in who has a good one, over ${maxVersion}"),
  "listener.clientAuthorities": tls("that are required let in who has a good one, over ${maxVersion}"),
  "listener.handshakeTimeout": tls("${what}: is sent away, counted once as ${reason}, and nobody else notices"),
  "listener.maxHandshakes": tls("more than may be are refused at once, and room is made by each that ends"),
  "listener.proxyTrust": tls("are not read from peers that are not trusted: what they say is the application's"),
  "listener.affinity": ["layers/host/Affinity", "by source: those of one address go to one worker"],
  "listener.priority": [
    "layers/host/Priority",
    "X7 connections of a listener of high priority are served beyond the limits, and before those that wait elsewhere"
  ],
  "listener.sourceSessions": [
    "layers/host/SourceLimits",
    "X7 a source has as many sessions at a listener as it may, those that wait included; others notice nothing"
  ],
  "listener.sourceRate": [
    "layers/host/SourceLimits",
    "X7 a source connects as often as it may in a second, and those that are refused do not count"
  ],
  "listener.sourcePrefixIpv4": [
    "layers/host/SourceLimits",
    "X7 addresses that share their leading bits are one source"
  ],
  "listener.sourcePrefixIpv6": [
    "layers/host/SourceLimits",
    "X7 addresses that share their leading bits are one source"
  ],
  "listener.closeTimeout": [
    "layers/transport/Transport",
    "one whose peer takes a byte now and then is reset when the time for what is left is over"
  ],
  "listener.keepAlive": [
    "layers/transport/Transport",
    "peers are probed where that is asked for, reading by ${reading}"
  ],
  "listener.idleTimeout": [
    "layers/transport/Transport",
    "idle time of ${name}: while bytes come, or go, the connection stays; then it is ended"
  ],
  "listener.stallTimeout": [
    "layers/transport/Transport",
    "stall time of ${name}: a peer that takes what it is sent stays, one that only sends does not"
  ],
  "listener.udpIdleTimeout": [
    "layers/transport/TransportUdp",
    "an idle session ends in order, and what comes later is a new one"
  ],
  "listener.udpPending": [
    "layers/transport/TransportUdp",
    "what comes before the claim waits, as much as may, and the rest is dropped and counted"
  ],
  "listener.unixMode": [
    "layers/transport/TransportUnix",
    "the file has mode ${mode.toString(8)}, whatever the process's mask"
  ],
  "tlsClient.authorities": tls("to a server that it does not trust fails, unless it does not look"),
  "tlsClient.alpn": tls("to a server that it trusts is a session, with what is known of the server"),
  "tlsClient.verify": tls("to a server that it does not trust fails, unless it does not look"),
  "segment.firstSegmentSize": host("W5 every worker of an application has its segment properties"),
  "segment.addSegmentSize": segments("W4 with an add-segment size of 0 there is no growth"),
  "segment.rxFifoSize": ["main", "takes flags before the environment before the file"],
  "segment.txFifoSize": host("W15 a fifo that is full stops the peer until the app has read"),
  "segment.preallocFifoPairs": segments(
    "W4 preallocated fifo pairs are room from the start, one segment after the other, and it stays"
  ),
  "segment.memoryLimit": segments("no segment is added beyond the memory limit, whichever side and manager it is for"),
  "segment.trimInterval": ["layers/host/Splice", "W18 they give idle memory back, and take some again"],
  "segment.highWatermark": here("a segment is added when more than the high watermark is used"),
  "segment.lowWatermark": here("an empty segment goes when no more than the low watermark of the rest is used"),
  "queue.indexQueue": [
    "domain/memory/QueueMemory",
    "M1 is full when its index queue is, its IO ring is, or its control ring is, whichever the message needs"
  ],
  "queue.ioRing": [
    "domain/memory/QueueMemory",
    "M1 is full when its index queue is, its IO ring is, or its control ring is, whichever the message needs"
  ],
  "queue.controlRing": [
    "domain/memory/QueueMemory",
    "M1 is full when its index queue is, its IO ring is, or its control ring is, whichever the message needs"
  ],
  "queue.retryInterval": queue("M4 goes on when the retry interval has passed, without a word from the worker"),
  "queue.batch": queue("M4 at most ${batch} messages go in a batch"),
  "queue.postponedMessages": queue(
    "M9 at the bound of messages the worker is given up with a typed error, and nothing is dropped"
  ),
  "queue.postponedBytes": queue("M9 at the bound of bytes too"),
  "proxy.to": ["layers/cli/ProxyCommand", "W18 serves with a worker of kind ${kind}, is shown, and ends in good order"],
  "proxy.sendProxy": [
    "layers/cli/ProxyCommand",
    "tells an upstream where a connection comes from, before its first byte"
  ],
  "proxy.upstreamBackoffBase": here(
    "an upstream that is down is left alone for as long as the options of the proxy say"
  ),
  "proxy.upstreamBackoffMax": here(
    "an upstream that is down is left alone for as long as the options of the proxy say"
  ),
  "sluice.app": ["main", "serves a module, says so in one line, is shown, and ends in good order at a signal"],
  "sluice.control": ["main", "serves a module, says so in one line, is shown, and ends in good order at a signal"],
  "sluice.health": [
    "activation",
    "connections wait while a service is away, and nobody hears that it was; the manager is told"
  ],
  "sluice.metrics": ["layers/cli/Metrics", "X5 answers on the port that it is given, and says where"],
  "sluice.dashboard": dashboard,
  "sluice.dashboardName": dashboard,
  "sluice.dashboardTokenFile": dashboard,
  "sluice.dashboardToken": [
    "layers/cli/Dashboard",
    "X5 says in one sentence what is wrong with the page's port, names or token, and starts nothing"
  ],
  "sluice.logFormat": ["layers/log/LogStyle", "has the format and the level of the command, and its worker"],
  "sluice.logLevel": ["layers/log/LogStyle", "has the format and the level of the command, and its worker"],
  "sluice.tlsCert": ["layers/cli/ServeTls", "curl gets an answer, and none over plain HTTP"],
  "sluice.tlsKey": ["layers/cli/ServeTls", "curl gets an answer, and none over plain HTTP"],
  "sluice.clientCa": ["layers/cli/ServeTls", "agrees on a protocol, and shows its certificate where one is required"],
  "sluice.serverCa": here("authorities from a file are those of connects")
}

const known = [
  ...Options.documentation.map(({ option }) => option),
  ...infosOf(ProxyConfig.ProxyOptions.fields).map(([option]) => `proxy.${option}`),
  ...Setting.settings.flatMap(({ key, option }) => option === undefined ? [`sluice.${key}`] : [])
]

const flags = new Map([
  ...Setting.settings.map(({ flag, key, option = `sluice.${key}` }) => [option, `--${flag}`] as const),
  ...ProxyCommand.own.map(({ flag, key }) => [`proxy.${key}`, `--${flag}`] as const)
])

describe("the effect of each option", () => {
  it("has a row for every option, and for nothing else", () => {
    assert.sameMembers(Object.keys(effects), known)
  })

  for (const [option, [file, title]] of Object.entries(effects)) {
    it(`${option} is shown by a test that is there`, () => {
      const source = Fs.readFileSync(Path.join(import.meta.dirname, `${file}.test.ts`), "utf8")
      assert.isTrue(source.includes(`"${title}"`) || source.includes(`\`${title}\``), `${file}: ${title}`)
      const names = [option.slice(option.lastIndexOf(".") + 1), flags.get(option) ?? option]
      assert.isTrue(names.some((name) => source.includes(name)), `${file} gives no ${option}`)
    })
  }
})

const resolve = (flags: Readonly<Record<string, unknown>>) =>
  Effect.provide(Settings.resolve(flags, undefined), ConfigProvider.layer(ConfigProvider.fromEnv({ env: {} })))

describe("options whose effect no other test shows", () => {
  it.live("the options of one endpoint hold there, and those for all elsewhere", () =>
    Effect.gen(function*() {
      const directory = yield* TempDirectory.make
      const [one, other] = ["one.sock", "other.sock"].map((name) => Path.join(directory, name)) as [string, string]
      const config = Path.join(directory, "sluice.json")
      const listen = [`unix://${one}`, `unix://${other}`]
      const listeners = { [`unix://${other}`]: { unixMode: "0666" } }
      Fs.writeFileSync(config, JSON.stringify({ listen, listeners, unixMode: "0640" }))
      const serving = yield* Cli.start([
        "serve",
        "--config",
        config,
        "--in-process",
        "--control",
        `${directory}/c.sock`
      ])
      yield* serving.printed("stdout", /other\.sock/)
      assert.deepStrictEqual([one, other].map((path) => Fs.statSync(path).mode & 0o777), [0o640, 0o666])
    }))

  it.live("what an application is told is what its workers know", () =>
    Effect.gen(function*() {
      const told: Array<unknown> = []
      const app = Layer.effectDiscard(Effect.map(Sessions, ({ config }) => void told.push(config)))
      const options = { worker: { kind: "in-process" }, workers: 1 } as const
      const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
      yield* host.attach({ ...options, name: "one", config: { answer: 42 } }, AppWorker.fromLayer(app))
      yield* host.attach({ ...options, name: "other" }, AppWorker.fromLayer(app))
      assert.deepStrictEqual(told, [{ answer: 42 }, null])
    }).pipe(Effect.scoped))

  it("an upstream that is down is left alone for as long as the options of the proxy say", () => {
    const to = ["tcp://127.0.0.1:1"]
    const waits = (upstreamBackoffBase: number, upstreamBackoffMax: number) => {
      const options = ProxyConfig.decodeOptions({ to, upstreamBackoffBase, upstreamBackoffMax }, ["tcp://127.0.0.1:2"])
      const upstreams = ProxyConfig.upstreamsOf(ProxyConfig.make(Result.getOrThrow(options), 1000), 0)
      upstreams.begin()
      let now = 0
      return [1, 2, 3].map(() => {
        const choice = upstreams.choose(now, new Set())!
        upstreams.failed(choice, now)
        upstreams.left(choice)
        const wait = upstreams.retryAfter(choice.upstream, now)
        now += wait + 1
        return wait
      })
    }
    assert.deepStrictEqual(waits(20, 40), [20, 40, 40])
    assert.deepStrictEqual(waits(50, 1000), [50, 100, 200])
  })

  /** How many of 64 blocks are used when a segment is added, and how many are left when it goes again. */
  const watermarks = (highWatermark: number, lowWatermark: number) =>
    Effect.gen(function*() {
      const arena = 16 * 1024
      const geometry = { indexQueue: 4, ioRing: 4, controlRing: 2 }
      const firstSegmentSize = Segment.queues(new ArrayBuffer(0), geometry).bytes + 2 * arena
      const options = { ...Options.defaults.segment, firstSegmentSize, highWatermark, lowWatermark }
      const services = yield* Layer.build(SegmentManagerMemory.layerPrivate(options, geometry))
      const segments = Context.get(services, SegmentManager)
      const heard: Array<string> = []
      segments.connect({
        announce: () => void heard.push("announce"),
        withdraw: () => void heard.push("withdraw"),
        available: () => {}
      })
      const turn = Effect.promise(() => Promise.resolve())
      const manager = segments.acquire("listener")
      const places = []
      while (!heard.includes("announce")) {
        places.push(manager.allocate(256)!)
        yield* turn
      }
      const high = places.length
      segments.mapped(1)
      let low = high
      while (!heard.includes("withdraw")) {
        manager.free(places.pop()!)
        low--
        yield* turn
      }
      return { high, low }
    }).pipe(Effect.scoped)

  it.effect("a segment is added when more than the high watermark is used", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* watermarks(80, 10)).high, 52)
      assert.strictEqual((yield* watermarks(50, 10)).high, 33)
    }))

  it.effect("an empty segment goes when no more than the low watermark of the rest is used", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* watermarks(80, 50)).low, 32)
      assert.strictEqual((yield* watermarks(80, 25)).low, 16)
    }))

  it.effect("authorities from a file are those of connects", () =>
    Effect.gen(function*() {
      const file = new URL("./fixtures/certificates/impostor.pem", import.meta.url).pathname
      const text = Fs.readFileSync(file, "utf8")
      assert.deepStrictEqual((yield* resolve({ serverCa: [file] })).decoded.tlsClient.authorities, [text])
      assert.deepStrictEqual((yield* resolve({})).decoded.tlsClient.authorities, Options.defaults.tlsClient.authorities)
    }))
})
