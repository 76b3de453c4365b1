import { assert, describe, it } from "@effect/vitest"
import * as ByteSize from "effect/ByteSize"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Fs from "node:fs"
import { inspect } from "node:util"
import * as Options from "../../../src/domain/options/Options.ts"

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB

const numbers: ReadonlyArray<readonly [option: string, byDefault: number | undefined, min: number, max: number]> = [
  ["queue.indexQueue", 2048, 1, 65536],
  ["queue.ioRing", 2048, 1, 65536],
  ["queue.controlRing", 512, 1, 65536],
  ["queue.retryInterval", 10, 0.1, 10_000],
  ["queue.batch", 32, 1, 32],
  ["queue.postponedMessages", 65536, 1, 1_048_576],
  ["queue.postponedBytes", 16 * MiB, KiB, GiB],
  ["segment.firstSegmentSize", 4 * MiB, 512 * KiB, GiB],
  ["segment.addSegmentSize", 4 * MiB, 0, GiB],
  ["segment.rxFifoSize", 512 * KiB, 4 * KiB, 4 * MiB],
  ["segment.txFifoSize", 512 * KiB, 4 * KiB, 4 * MiB],
  ["segment.preallocFifoPairs", 0, 0, 65536],
  ["segment.memoryLimit", 256 * MiB, 512 * KiB, 64 * GiB],
  ["segment.trimInterval", 1000, 10, 3_600_000],
  ["segment.highWatermark", 80, 1, 100],
  ["segment.lowWatermark", 50, 0, 99],
  ["admission.revokeAfter", 5, 1, 10_000],
  ["admission.sojournInterval", 100, 10, 10_000],
  ["admission.holdMax", 16384, 0, 65536],
  ["admission.holdTime", 5000, 1, 300_000],
  ["admission.maxSessionsPerWorker", 16384, 1, 2 ** 24],
  ["admission.reserve", 16, 0, 65536],
  ["admission.maxSessionsPerListener", 65536, 1, 2 ** 24],
  ["admission.maxSessions", 65536, 1, 2 ** 24],
  ["admission.backlog", 511, 1, 65535],
  ["admission.connectTimeout", 10_000, 1, 600_000],
  ["admission.maxHalfOpen", 1024, 1, 65536],
  ["listener.handshakeTimeout", 10_000, 10, 600_000],
  ["listener.maxHandshakes", 4096, 1, 65536],
  ["listener.sourceSessions", 0, 0, 2 ** 24],
  ["listener.sourceRate", 0, 0, 65536],
  ["listener.sourcePrefixIpv4", 32, 8, 32],
  ["listener.sourcePrefixIpv6", 64, 16, 128],
  ["listener.udpIdleTimeout", 60_000, 10, 86_400_000],
  ["listener.udpPending", 64, 1, 65536],
  ["workers", 2, 1, 256],
  ["worker.startTimeout", 30_000, 100, 600_000],
  ["worker.backoffBase", 100, 1, 60_000],
  ["worker.backoffMax", 10_000, 1, 3_600_000],
  ["worker.drainTimeout", 10_000, 0, 3_600_000],
  ["worker.heapLimitMiB", undefined, 16, 1_048_576],
  ["worker.maxHeap", undefined, 16 * MiB, 1024 * GiB],
  ["worker.maxSessionsPerStart", undefined, 1, 1_000_000_000]
]

/** What has to be set beside an option for a bound of it to keep the rules between options. */
const beside: Readonly<Record<string, Record<string, Record<string, unknown>>>> = {
  "queue.indexQueue": { segment: { firstSegmentSize: GiB, memoryLimit: GiB } },
  "queue.ioRing": { segment: { firstSegmentSize: GiB, memoryLimit: GiB } },
  "queue.controlRing": { segment: { firstSegmentSize: GiB, memoryLimit: GiB } },
  "segment.firstSegmentSize": {
    queue: { indexQueue: 1, ioRing: 1, controlRing: 1 },
    segment: { memoryLimit: GiB, rxFifoSize: "4KiB", txFifoSize: "4KiB" }
  },
  "segment.memoryLimit": {
    queue: { indexQueue: 1, ioRing: 1, controlRing: 1 },
    segment: { firstSegmentSize: "512KiB", rxFifoSize: "4KiB", txFifoSize: "4KiB" }
  },
  "segment.rxFifoSize": { segment: { memoryLimit: GiB } },
  "segment.txFifoSize": { segment: { memoryLimit: GiB } },
  "segment.preallocFifoPairs": { segment: { memoryLimit: GiB } },
  "segment.highWatermark": { segment: { lowWatermark: 0 } },
  "segment.lowWatermark": { segment: { highWatermark: 100 } },
  "worker.backoffBase": { worker: { backoffMax: 3_600_000 } },
  "worker.backoffMax": { worker: { backoffBase: 1 } }
}

const valueOf = (app: Options.AppOptions, option: string): unknown =>
  option.split(".").reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], app)

const withOption = (option: string, value: unknown) => {
  const [group = "", key] = option.split(".")
  const rest = beside[option] ?? {}
  return { ...rest, [group]: key === undefined ? value : { ...rest[group], [key]: value } }
}

const decoded = (input: unknown) => Result.getOrThrow(Options.decodeApp(input))
const refused = (input: unknown) => Result.getOrThrow(Result.flip(Options.decodeApp(input)))
const reasons = (input: unknown) => {
  const error = refused(input)
  return [error.reason, ...error.more]
}
const only = (input: unknown) => {
  const all = reasons(input)
  assert.strictEqual(all.length, 1, all.map((reason) => reason.message).join("\n"))
  return refused(input).reason
}

/** The files with the fields of each group, and their options. */
const groups = new Map([
  ["scope", "ScopeOptions"],
  ["listener", "ListenerOptions"],
  ["tlsClient", "TlsClientOptions"],
  ["queue", "QueueOptions"],
  ["segment", "SegmentOptions"],
  ["admission", "AdmissionOptions"],
  ["worker", "WorkerOptions"]
])

describe("Options", () => {
  describe("doc comments", () => {
    // what an editor shows over an option in a program is the comment of its field in the schema
    for (const option of [...Options.documentation.map(({ option }) => option), ...groups.keys()]) {
      it(`${option} has its own`, () => {
        const [group = "", key = group] = option.split(".")
        const file = option.includes(".") ? groups.get(group)! : "AppOptions"
        const text = Fs.readFileSync(new URL(`../../../src/domain/options/${file}.ts`, import.meta.url), "utf8")
        const comment = new RegExp(`/\\*\\*((?:(?!\\*/)[^])*)\\*/\n  ${key}: `).exec(text)?.[1]
        assert.isDefined(comment)
        assert.match(comment, /^[\s*]+\S[^]*\.[\s*]*$/)
        assert.notMatch(comment, /\b[WMX]\d+\b/)
      })
    }
  })

  describe("defaults", () => {
    for (const [option, byDefault] of numbers) {
      it(`W4 ${option} is ${byDefault}`, () => {
        assert.strictEqual(valueOf(Options.defaults, option), byDefault)
      })
    }

    it("W4 the rest: hold, threads, global scope, the default namespace, nothing else", () => {
      const { admission, config, namespace, proxiedTransports, scope, worker } = Options.defaults
      assert.strictEqual(admission.policy, "hold")
      assert.strictEqual(admission.maxConcurrent, 0)
      assert.strictEqual(worker.kind, "thread")
      assert.deepStrictEqual(scope, { global: true, local: false })
      assert.strictEqual(namespace, "default")
      assert.deepStrictEqual(proxiedTransports, [])
      assert.isNull(config)
      for (const key of ["name", "client", "secret", "tlsEngine"]) assert.notProperty(Options.defaults, key)
    })

    it("undefined means not given, for an option and for a group", () => {
      assert.deepStrictEqual(decoded({ queue: undefined, workers: undefined }), Options.defaults)
    })

    it("each group decodes alone to the same defaults", () => {
      assert.deepStrictEqual(Result.getOrThrow(Options.decode(Options.QueueOptions)({})), Options.defaults.queue)
      assert.deepStrictEqual(Result.getOrThrow(Options.decode(Options.SegmentOptions)({})), Options.defaults.segment)
      assert.deepStrictEqual(
        Result.getOrThrow(Options.decode(Options.AdmissionOptions)({})),
        Options.defaults.admission
      )
      assert.deepStrictEqual(Result.getOrThrow(Options.decode(Options.WorkerOptions)({})), Options.defaults.worker)
    })

    it("may be spread from and decoded again", () => {
      const spread = { ...Options.defaults, queue: { ...Options.defaults.queue, indexQueue: 4 } }
      assert.deepStrictEqual(decoded(spread), spread)
    })
  })

  describe("bounds", () => {
    for (const [option, , min, max] of numbers) {
      it(`W4 ${option} takes ${min} and ${max}, and nothing beyond`, () => {
        for (const value of [min, max]) {
          assert.strictEqual(valueOf(decoded(withOption(option, value)), option), value)
          assert.strictEqual(valueOf(decoded(withOption(option, String(value))), option), value)
        }
        const range = Options.documentation.find((row) => row.option === option)?.range ?? "no such row"
        for (const value of [min === 0.1 ? 0.09 : min - 1, max + 1, max * 2, NaN, Infinity, -Infinity]) {
          const reason = only(withOption(option, value))
          assert.strictEqual(reason._tag, "InvalidValue")
          assert.strictEqual(reason.option, option)
          assert.include(reason.message, `${option}: got ${value}; it must be ${range}`)
        }
      })

      it(`W4 ${option} refuses what is no number`, () => {
        for (const value of [true, null, {}, [], "", "many", "1e3", "0x10"]) {
          const reason = only(withOption(option, value))
          assert.strictEqual(reason.option, option)
          assert.include(reason.message, `${option}: got `)
        }
      })
    }

    it("whole numbers have no fraction, times may have one", () => {
      assert.include(only({ queue: { batch: 1.5 } }).message, "queue.batch: got 1.5; it must be a whole number")
      assert.include(only({ segment: { addSegmentSize: 262144.5 } }).message, "whole bytes")
      assert.strictEqual(decoded({ admission: { revokeAfter: 1.5 } }).admission.revokeAfter, 1.5)
    })

    it("M4 a batch is never longer than 32", () => {
      assert.strictEqual(
        only({ queue: { batch: 33 } }).message,
        "queue.batch: got 33; it must be a whole number from 1 to 32"
      )
    })

    it("addSegmentSize is 0 for no growth, or at least 256 KiB", () => {
      assert.strictEqual(decoded({ segment: { addSegmentSize: 0 } }).segment.addSegmentSize, 0)
      assert.strictEqual(decoded({ segment: { addSegmentSize: 256 * KiB } }).segment.addSegmentSize, 256 * KiB)
      for (const value of [1, 256 * KiB - 1]) {
        assert.include(
          only({ segment: { addSegmentSize: value } }).message,
          `segment.addSegmentSize: got ${value}; it must be 0 (no growth), or a size in whole bytes from 256 KiB to 1 GiB`
        )
      }
    })

    const powers: ReadonlyArray<readonly [string, unknown, string | undefined]> = [
      ["queue.indexQueue", 100, "128"],
      ["queue.ioRing", 0, "1"],
      ["queue.controlRing", 32769, "65536"],
      ["queue.controlRing", 65537, undefined],
      ["segment.rxFifoSize", "60KiB", "64 KiB"],
      ["segment.txFifoSize", 4097, "8 KiB"],
      ["segment.txFifoSize", 1, "4 KiB"]
    ]
    for (const [option, value, next] of powers) {
      it(`${option} ${value} is no power of two: it says that the next one is ${next}`, () => {
        const { message } = only(withOption(option, value))
        assert.include(message, "it must be a power of two")
        if (next === undefined) assert.notInclude(message, "the next one")
        else assert.match(message, new RegExp(`; the next one is ${next}$`))
      })
    }

    it("literals say what they may be", () => {
      assert.strictEqual(
        only({ admission: { policy: "drop" } }).message,
        "admission.policy: got \"drop\"; it must be \"hold\" or \"refuse\""
      )
      assert.strictEqual(
        only({ worker: { kind: "fork" } }).message,
        "worker.kind: got \"fork\"; it must be \"thread\" or \"in-process\""
      )
      assert.strictEqual(decoded({ admission: { policy: "refuse" } }).admission.policy, "refuse")
      assert.strictEqual(decoded({ worker: { kind: "in-process" } }).worker.kind, "in-process")
    })

    it("names are 1 to 64 characters, with no control characters, and no spaces at either end", () => {
      for (const key of ["name", "client"] as const) {
        for (const name of ["a", "x".repeat(64), "Größe 1"]) assert.strictEqual(decoded({ [key]: name })[key], name)
        for (const name of ["", "x".repeat(65), " a", "a ", "a\nb", "a\u0000", 5]) {
          assert.include(only({ [key]: name }).message, `${key}: got `)
        }
      }
    })
  })

  describe("units", () => {
    const sizes: ReadonlyArray<readonly [unknown, number]> = [
      [65536, 65536],
      ["65536", 65536],
      ["65536 B", 65536],
      ["64KiB", 65536],
      ["64 KiB", 65536],
      [" 1.5 MiB ", 1.5 * MiB],
      ["1MB", 1_000_000],
      ["64kB", 64_000],
      ["1 GiB", GiB],
      ["64k", 65536],
      ["64K", 65536],
      ["64 Ki", 65536],
      ["64kib", 65536],
      ["1G", GiB],
      ["1g", GiB],
      ["2m", 2 * MiB],
      ["65_536", 65536],
      ["1_024 KiB", MiB],
      ["4096 bytes", 4096],
      [65536n, 65536]
    ]
    for (const [given, bytes] of sizes) {
      it(`${inspect(given)} is ${bytes} bytes`, () => {
        assert.strictEqual(decoded({ queue: { postponedBytes: given } }).queue.postponedBytes, bytes)
      })
    }

    const times: ReadonlyArray<readonly [unknown, number]> = [
      [5, 5],
      ["5", 5],
      ["5ms", 5],
      ["5 ms", 5],
      ["5 millis", 5],
      ["5millis", 5],
      ["500us", 0.5],
      ["500 micros", 0.5],
      ["250000 nanos", 0.25],
      ["1.5s", 1500],
      ["2 seconds", 2000],
      ["0.1 min", 6000],
      ["5 secs", 5000],
      ["5 sec", 5000],
      ["5s", 5000],
      ["100 milliseconds", 100],
      ["1_000", 1000],
      ["+5", 5],
      [" 5 ms ", 5],
      [5_000_000n, 5],
      [Duration.seconds(2), 2000],
      [{ seconds: 1, milliseconds: 500 }, 1500],
      [[1, 500_000_000], 1500]
    ]
    for (const [given, millis] of times) {
      it(`${inspect(given)} is ${millis} milliseconds`, () => {
        assert.strictEqual(decoded({ queue: { retryInterval: given } }).queue.retryInterval, millis)
      })
    }

    it("refuses units of another kind, unknown units, and forever", () => {
      for (const value of ["5KiB", "5 parsecs", "Infinity", "5 ms ms", "-5ms", "ms", "NaN", "1e3", "1M", "5__0"]) {
        assert.include(
          only({ queue: { retryInterval: value } }).message,
          `queue.retryInterval: got ${JSON.stringify(value)}; it must be a time in milliseconds from 0.1 ms to 10 s`
        )
      }
      for (const value of ["5 ms", "-64KiB", "0.3 B", "Infinity", "64 K K", "0x10000"]) {
        assert.include(
          only({ queue: { postponedBytes: value } }).message,
          `queue.postponedBytes: got ${JSON.stringify(value)}; it must be a size in whole bytes from 1 KiB to 1 GiB`
        )
      }
      assert.include(only({ queue: { batch: "32 messages" } }).message, "queue.batch: got \"32 messages\"")
    })

    it("a minute is the shortest of the long times: \"1m\" and \"1 min\" are 60 seconds", () => {
      for (const holdTime of ["1m", "1 min", "1 minute"] as const) {
        assert.strictEqual(decoded({ admission: { holdTime } }).admission.holdTime, 60_000)
      }
    })

    const likely: ReadonlyArray<readonly [option: string, given: string, meant: string]> = [
      ["queue.postponedBytes", "64KB", "64KiB"],
      ["queue.postponedBytes", "64 kb", "64 KiB"],
      ["queue.postponedBytes", "1mb", "1MiB"],
      ["queue.retryInterval", "5 Seconds", "5 seconds"],
      ["queue.retryInterval", "5MS", "5ms"],
      ["worker.heapLimitMiB", "64mb", "64MiB"]
    ]
    for (const [option, given, meant] of likely) {
      it(`${option} ${given}: did you mean ${meant}?`, () => {
        assert.match(only(withOption(option, given)).message, new RegExp(`; did you mean "${meant}"\\?$`))
        assert.isTrue(Result.isSuccess(Options.decodeApp(withOption(option, meant))))
      })
    }

    it("a heap is a number of MiB or a size, a watermark a number or a percentage", () => {
      const heap = (heapLimitMiB: unknown) => decoded({ worker: { heapLimitMiB } }).worker.heapLimitMiB
      assert.deepStrictEqual([512, "512", "512M", "512 MiB", "1G"].map(heap), [512, 512, 512, 512, 1024])
      assert.include(only({ worker: { heapLimitMiB: "100 kB" } }).message, "a whole number from 16 MiB to 1048576 MiB")
      for (const given of [90, "90", "90%", "90 %"]) {
        assert.strictEqual(decoded({ segment: { highWatermark: given } }).segment.highWatermark, 90)
      }
    })

    it("a time is no object without parts, with other parts, or with parts that are no numbers", () => {
      const times = [{}, [], [1], [1, 2, 3], { secs: 5 }, { seconds: "5" }, { seconds: NaN }, [NaN, 0], new Date()]
      for (const drainTimeout of times) {
        assert.include(only({ worker: { drainTimeout } }).message, "worker.drainTimeout: got ")
      }
      assert.include(only({ worker: { drainTimeout: Duration.infinity } }).message, "from 0 ms to 1 h")
      assert.include(only({ worker: { drainTimeout: Duration.days(1) } }).message, "from 0 ms to 1 h")
    })

    it("the types take what the decoders take, and no other text", () => {
      const right: ReadonlyArray<Options.AppOptionsInput> = [
        { admission: { revokeAfter: "5 millis", holdTime: "5 secs" } },
        { admission: { revokeAfter: Duration.millis(5), holdTime: { seconds: 5 } } },
        { admission: { revokeAfter: 5, holdTime: "5000" }, worker: { drainTimeout: 5_000_000n } },
        { segment: { memoryLimit: "1G", firstSegmentSize: "4 MiB", highWatermark: "90%" } },
        { segment: { memoryLimit: ByteSize.gibibytes(1) }, workers: "4" }
      ]
      for (const options of right) assert.isTrue(Result.isSuccess(Options.decodeApp(options)))
      const wrong: ReadonlyArray<Options.AppOptionsInput> = [
        // @ts-expect-error no unit of time
        { admission: { revokeAfter: "5 parsecs" } },
        // @ts-expect-error no part of a time
        { admission: { revokeAfter: { secs: 5 } } },
        // @ts-expect-error a time is no size
        { segment: { memoryLimit: "5 ms" } },
        // @ts-expect-error a number of workers has no unit
        { workers: "2 workers" },
        // @ts-expect-error no such option
        { admission: { revokAfter: 5 } }
      ]
      for (const options of wrong) assert.isTrue(Result.isFailure(Options.decodeApp(options)))
    })
  })

  describe("unknown keys", () => {
    const meant: ReadonlyArray<readonly [unknown, string, string]> = [
      [{ nam: "a" }, "nam", "name"],
      [{ quue: {} }, "quue", "queue"],
      [{ worker: { workers: 4 } }, "worker.workers", "workers"],
      [{ worker: { worker: 4 } }, "worker.worker", "workers"],
      [{ Namespace: "a" }, "Namespace", "namespace"],
      [{ indexQueue: 64 }, "indexQueue", "queue.indexQueue"],
      [{ queue: { ioRnig: 64 } }, "queue.ioRnig", "queue.ioRing"],
      [{ queue: { index_queue: 64 } }, "queue.index_queue", "queue.indexQueue"],
      [{ queue: { memoryLimit: 64 } }, "queue.memoryLimit", "segment.memoryLimit"],
      [{ segment: { txFifosize: 4096 } }, "segment.txFifosize", "segment.txFifoSize"],
      [{ admission: { maxSession: 1 } }, "admission.maxSession", "admission.maxSessions"],
      [{ scope: { globl: true } }, "scope.globl", "scope.global"],
      [{ worker: { heapLimit: 64 } }, "worker.heapLimit", "worker.heapLimitMiB"]
    ]
    for (const [input, key, likely] of meant) {
      it(`${key}: did you mean ${likely}?`, () => {
        assert.deepStrictEqual(only(input), {
          _tag: "InvalidValue",
          option: key,
          message: `${key}: there is no such option; did you mean ${likely}?`
        })
      })
    }

    it("lists the options of the group when nothing is close", () => {
      assert.strictEqual(
        only({ scope: { everywhere: true } }).message,
        "scope.everywhere: there is no such option; the options here are global, local"
      )
      assert.include(only({ xyzzy: 1 }).message, "the options here are name, client, namespace, secret, scope,")
      assert.include(only({ ["q".repeat(1000)]: 1 }).message, "the options here are")
    })

    it("suggest within the group that was decoded alone", () => {
      const error = Result.getOrThrow(Result.flip(Options.decode(Options.QueueOptions)({ bach: 1 })))
      assert.strictEqual(error.message, "bach: there is no such option; did you mean batch?")
    })

    it("do not hide other problems, and all are told", () => {
      const all = reasons({
        nam: "a",
        queue: { indexQueue: 3, batch: 0, x: 1 },
        segment: { rxFifoSize: true },
        workers: 0,
        worker: { kind: "fork" }
      })
      assert.deepStrictEqual(all.map((reason) => reason.option).sort(), [
        "nam",
        "queue.batch",
        "queue.indexQueue",
        "queue.x",
        "segment.rxFifoSize",
        "worker.kind",
        "workers"
      ])
    })
  })

  describe("rules between options", () => {
    it("W4 a fifo is no larger than what some segment has room for", () => {
      const why = "no segment has room for more (segment.firstSegmentSize, segment.addSegmentSize, segment.memoryLimit)"
      const small = { addSegmentSize: "256KiB", txFifoSize: "4KiB" } as const
      assert.strictEqual(
        only({ segment: { ...small, rxFifoSize: "4MiB" } }).message,
        `segment.rxFifoSize: got "4MiB"; it must be at most 1 MiB: ${why}`
      )
      decoded({ segment: { ...small, rxFifoSize: "1MiB" } })
      // the default is an option, too
      assert.strictEqual(
        only({ segment: { firstSegmentSize: "1MiB", addSegmentSize: 0, rxFifoSize: "4KiB" } }).message,
        `segment.txFifoSize: the default is 512 KiB; it must be at most 16 KiB: ${why}`
      )
      // a segment that the limit forbids holds nothing
      assert.strictEqual(
        only({ segment: { memoryLimit: "7MiB", rxFifoSize: "4MiB" } }).option,
        "segment.rxFifoSize"
      )
    })

    it("W4 there is memory for the fifos that are made at the start", () => {
      const most = only({ segment: { preallocFifoPairs: 65536 } })
      assert.match(
        most.message,
        /^segment.preallocFifoPairs: got 65536; it must be at most \d+, for which there is memory /
      )
      const limit = Number(/at most (\d+)/.exec(most.message)![1])
      decoded({ segment: { preallocFifoPairs: limit } })
      assert.strictEqual(only({ segment: { preallocFifoPairs: limit + 1 } }).option, "segment.preallocFifoPairs")
    })

    it("memoryLimit is at least firstSegmentSize", () => {
      assert.strictEqual(
        only({ segment: { firstSegmentSize: "8MiB", memoryLimit: 8 * MiB - 1 } }).message,
        `segment.memoryLimit: got ${8 * MiB - 1}; it must be at least firstSegmentSize, which is 8 MiB`
      )
      assert.strictEqual(
        only({ segment: { firstSegmentSize: "512MiB" } }).message,
        "segment.memoryLimit: the default is 256 MiB; it must be at least firstSegmentSize, which is 512 MiB"
      )
      decoded({ segment: { firstSegmentSize: "8MiB", memoryLimit: "8MiB" } })
    })

    it("lowWatermark is below highWatermark", () => {
      assert.strictEqual(
        only({ segment: { highWatermark: 60, lowWatermark: 60 } }).message,
        "segment.lowWatermark: got 60; it must be below highWatermark, which is 60 %"
      )
      decoded({ segment: { highWatermark: 61, lowWatermark: 60 } })
    })

    it("backoffBase is at most backoffMax", () => {
      assert.strictEqual(
        only({ worker: { backoffBase: "20s" } }).message,
        "worker.backoffBase: got \"20s\"; it must be at most backoffMax, which is 10 s"
      )
      decoded({ worker: { backoffBase: 70, backoffMax: 70 } })
    })

    it("the first segment holds the event queue", () => {
      assert.strictEqual(Options.queueSegmentSize(Options.defaults.queue), 656 * KiB)
      assert.strictEqual(Options.queueSegmentSize({ indexQueue: 1, ioRing: 1, controlRing: 1 }), 64 * KiB + 2 * 532)
      decoded({ segment: { firstSegmentSize: 656 * KiB } })
      const reason = only({ segment: { firstSegmentSize: 656 * KiB - 1 } })
      assert.strictEqual(reason.option, "segment.firstSegmentSize")
      assert.include(reason.message, `got ${656 * KiB - 1}; it must be at least 656 KiB for the event queue`)
      assert.include(
        only({ queue: { controlRing: 65536 } }).message,
        "segment.firstSegmentSize: the default is 4 MiB; it must be at least"
      )
    })

    it("W17 no scope flag means global, a flag means that scope, none at all is an error", () => {
      const scope = (global?: boolean, local?: boolean) => decoded({ scope: { global, local } }).scope
      assert.deepStrictEqual(decoded({ scope: {} }).scope, { global: true, local: false })
      assert.deepStrictEqual(scope(undefined, false), { global: true, local: false })
      assert.deepStrictEqual(scope(undefined, true), { global: false, local: true })
      assert.deepStrictEqual(scope(true), { global: true, local: false })
      assert.deepStrictEqual(scope(true, true), { global: true, local: true })
      assert.deepStrictEqual(scope(false, true), { global: false, local: true })
      for (const none of [{ global: false }, { global: false, local: false }]) {
        assert.strictEqual(
          only({ scope: none }).message,
          "scope.global: got false; it must be true unless scope.local is true"
        )
      }
    })
  })

  describe("what this runtime cannot serve", () => {
    const proxy = (proxiedTransports: ReadonlyArray<string>, local: boolean) => ({
      proxiedTransports,
      scope: { local }
    })
    const cases: ReadonlyArray<readonly [string, string, unknown, string]> = [
      [
        "W18 a proxy of anything but tcp",
        "proxiedTransports",
        proxy(["tcp", "udp"], true),
        "proxiedTransports: got [\"tcp\",\"udp\"]; this runtime serves proxies of \"tcp\" only"
      ],
      [
        "W18 a proxy without local scope",
        "proxiedTransports",
        proxy(["tcp"], false),
        "proxiedTransports: got [\"tcp\"]; a proxy listens on every port, which only local scope can; "
        + "set scope.local to true"
      ],
      [
        "W4 a TLS engine",
        "tlsEngine",
        { tlsEngine: "openssl" },
        "tlsEngine: got \"openssl\"; this runtime has Node's own TLS engine and no other; leave it out"
      ]
    ]
    for (const [what, option, input, message] of cases) {
      it(`${what} is refused with UnsupportedConfig and the option's name`, () => {
        assert.deepStrictEqual(only(input), { _tag: "UnsupportedConfig", option, message })
      })
    }

    it("W4 all of it is told at once, after what is not well formed", () => {
      const input = { ...proxy(["udp"], false), tlsEngine: "openssl" }
      assert.deepStrictEqual(reasons(input).map((reason) => reason.option), ["proxiedTransports", "tlsEngine"])
      assert.strictEqual(only({ ...input, name: "" })._tag, "InvalidValue")
    })

    it("the same is served when it asks for nothing", () => {
      assert.deepStrictEqual(decoded({ namespace: "default", proxiedTransports: [] }), Options.defaults)
    })

    it("W18 a proxy of tcp in local scope is served, with or without global scope", () => {
      for (const scope of [{ local: true }, { local: true, global: true }]) {
        assert.deepStrictEqual(decoded({ proxiedTransports: ["tcp"], scope }).proxiedTransports, ["tcp"])
      }
    })

    it("W3 a namespace of any name is well formed: the host knows which there are", () => {
      assert.strictEqual(decoded({ namespace: "blue" }).namespace, "blue")
      assert.include(only({ namespace: "" }).message, "namespace: got \"\"; it must be a text of 1 to 64 characters")
    })

    it("W18 the same transport twice is not well formed", () => {
      const reason = only({ proxiedTransports: ["tcp", "tcp"] })
      assert.strictEqual(reason._tag, "InvalidValue")
      assert.include(reason.message, "it must be a list of different transports")
    })

    it("an unknown transport is not well formed", () => {
      const reason = only({ proxiedTransports: ["tcp", "quic"] })
      assert.strictEqual(reason._tag, "InvalidValue")
      assert.strictEqual(reason.option, "proxiedTransports")
      assert.include(reason.message, "each \"tcp\", \"tls\"")
    })
  })

  describe("listen", () => {
    it("takes endpoints in their text form, none by default", () => {
      assert.deepStrictEqual(Options.defaults.listen, [])
      assert.deepStrictEqual(decoded({ listen: ["tcp://127.0.0.1:8080", "tcp://[::1]:0"] }).listen, [
        { _tag: "tcp", host: "127.0.0.1", port: 8080 },
        { _tag: "tcp", host: "::1", port: 0 }
      ])
    })

    it("refuses what is no list, and names the endpoint that is none", () => {
      assert.include(only({ listen: "tcp://127.0.0.1:8080" }).message, "it must be a list of endpoint URIs")
      const { message, option } = only({ listen: ["tcp://127.0.0.1:8080", "http://localhost"] })
      assert.strictEqual(option, "listen")
      assert.include(message, `endpoint "http://localhost": there is no transport 'http'`)
    })
  })

  describe("secrets", () => {
    it("W3 are taken as text or redacted, and come out redacted", () => {
      for (const secret of ["hunter2", Redacted.make("hunter2")]) {
        const app = decoded({ secret })
        assert.isTrue(Redacted.isRedacted(app.secret))
        assert.strictEqual(app.secret && Redacted.value(app.secret), "hunter2")
        assert.notInclude(JSON.stringify(app), "hunter2")
      }
    })

    it("W3 are never shown, under a misspelled key neither", () => {
      for (
        const input of [{ secret: ["hunter2"] }, { secrt: "hunter2" }, { secret: "", queue: { secret: "hunter2" } }]
      ) {
        const error = refused(input)
        assert.notInclude(error.message, "hunter2")
        assert.include(error.message, "secret")
      }
      assert.include(only({ secret: "" }).message, "it must be a text that is not empty")
      assert.include(only({ secret: Redacted.make("") }).message, "it must be a text that is not empty")
    })
  })

  describe("config", () => {
    it("is what was given, not a copy of it: JSON's values and shared memory", () => {
      const config = {
        upstream: ["tcp://10.0.0.1:80"],
        weight: 0.5,
        deep: { on: true, none: null, empty: {}, absent: undefined },
        counters: new SharedArrayBuffer(8),
        __proto__: null
      }
      assert.strictEqual(decoded({ config }).config, config)
      for (const value of ["text", "", 0, -1.5, false, null, [], new SharedArrayBuffer(1)]) {
        assert.strictEqual(decoded({ config: value }).config, value)
      }
    })

    it("is null when it is not given", () => {
      assert.isNull(decoded({ config: undefined }).config)
      assert.isNull(decoded({}).config)
    })

    const strays: ReadonlyArray<readonly [string, unknown, string]> = [
      ["a function", () => {}, "a value of type function"],
      ["a function within", { hooks: [1, { before: () => {} }] }, "a value of type function at hooks.1.before"],
      ["a symbol", { kind: Symbol("hush") }, "a value of type symbol at kind"],
      ["a bigint", [1n], "a value of type bigint at 0"],
      ["NaN", { rate: NaN }, "a value of type number at rate"],
      ["infinity", [-Infinity], "a value of type number at 0"],
      ["a hole in a list", [undefined], "a value of type undefined at 0"],
      ["an instance", { since: new Date(0) }, "a value of type object at since"],
      ["a map", new Map([["hush", 1]]), "a value of type object"],
      ["private memory", { bytes: new ArrayBuffer(1) }, "a value of type object at bytes"]
    ]
    for (const [what, config, given] of strays) {
      it(`refuses ${what}, names where it stands, and shows no value`, () => {
        const reason = only({ config })
        assert.strictEqual(reason.option, "config")
        assert.strictEqual(
          reason.message,
          `config: got ${given}; it must be made of JSON values and shared memory, at most 64 levels deep`
        )
        assert.notInclude(reason.message, "hush")
      })
    }

    it("refuses what holds itself, and what is deeper than 64 levels", () => {
      const loop: Record<string, unknown> = {}
      loop["self"] = loop
      assert.match(only({ config: loop }).message, /^config: got a value of type object at self\.self\./)
      const nested = (levels: number): unknown => levels === 0 ? null : [nested(levels - 1)]
      assert.deepStrictEqual(decoded({ config: nested(64) }).config, nested(64))
      assert.include(only({ config: nested(65) }).message, "config: got a list at 0.0.")
    })

    it("looks at what stands in many places once", () => {
      let shared: unknown = "leaf"
      for (let level = 0; level < 60; level++) shared = [shared, shared]
      assert.strictEqual(decoded({ config: shared }).config, shared)
    })

    it("is measured where what stands in many places stands deepest", () => {
      const nested = (levels: number): unknown => levels === 0 ? null : [nested(levels - 1)]
      const shared = nested(40)
      let deep = shared
      for (let level = 0; level < 30; level++) deep = [deep]
      assert.include(only({ config: [shared, deep] }).message, "config: got a list at 1.0.")
    })
  })

  it("what is no object is refused", () => {
    const inputs: ReadonlyArray<readonly [unknown, string]> = [
      [null, "null"],
      [undefined, "a value of type undefined"],
      ["hunter2", "a value of type string"],
      [[{ secret: "hunter2" }], "a list"]
    ]
    for (const [input, kind] of inputs) {
      assert.strictEqual(only(input).message, `options: got ${kind}; they must be an object`)
    }
    for (const group of ["queue", "segment", "admission", "worker", "scope"]) {
      for (const input of [5, null, "a", []]) {
        assert.include(only({ [group]: input }).message, `${group}: got `)
        assert.include(only({ [group]: input }).message, "it must be an object")
      }
    }
  })

  it("bounds the length of a message", () => {
    assert.isBelow(only({ ["q".repeat(10_000)]: 1 }).message.length, 320)
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`key${n}`, n]))
    assert.strictEqual(reasons(many).length, 64)
    assert.isBelow(only({ queue: { batch: "x".repeat(10_000) } }).message.length, 200)
  })

  it.each<readonly [unknown, unknown]>([
    ["auto", "auto"],
    [" Auto ", "auto"],
    ["2..8", { least: 2, most: 8 }],
    ["1 .. 256", { least: 1, most: 256 }],
    [{ least: 2, most: 8 }, { least: 2, most: 8 }],
    ["3..3", 3],
    ["4", 4]
  ])("X8 workers may be %o", (workers, expected) => {
    assert.deepStrictEqual(decoded({ workers }).workers, expected)
  })

  it.each<readonly [unknown, string]>([
    ["8..2", `; did you mean "2..8"?`],
    ["2-8", `; did you mean "2..8"?`],
    ["2...8", `; did you mean "2..8"?`],
    ["0..4", ""],
    ["1..257", ""],
    ["..4", ""],
    ["2..", ""],
    ["1.5..4", ""],
    ["automatic", ""],
    [{ least: 4 }, ""],
    [{ least: 4, most: 2 }, ""],
    [[2, 8], `; did you mean "2..8"?`]
  ])("X8 workers may not be %o", (workers, hint) => {
    const { message } = only({ workers })
    assert.match(
      message,
      /^workers: got .*; it must be a whole number from 1 to 256, a range of them such as "2\.\.8", or "auto"/
    )
    assert.isTrue(message.endsWith(hint === "" ? `"auto"` : hint), message)
  })

  it("X8 workers on the host's own loop have a fixed number", () => {
    assert.match(
      only({ workers: "auto", worker: { kind: "in-process" } }).message,
      /^workers: got "auto"; it must be a number where workers run in-process/
    )
  })

  it("documents every option with its range, default and unit", () => {
    const rows = new Map(Options.documentation.map((row) => [row.option, row]))
    for (const [option] of numbers) {
      const row = rows.get(option)
      assert.isDefined(row, option)
      assert.isDefined(row?.unit, option)
    }
    const leaves = (value: object, path: string): Array<string> =>
      Object.entries(value).flatMap(([key, inner]) =>
        groups.includes(key) ? leaves(inner as object, `${key}.`) : [`${path}${key}`]
      )
    const groups = Object.keys(Options.AppOptions.fields).filter((key) => !rows.has(key))
    const optional = [
      "name",
      "client",
      "secret",
      "tlsEngine",
      "worker.heapLimitMiB",
      "worker.maxHeap",
      "worker.maxSessionsPerStart"
    ]
    assert.deepStrictEqual([...rows.keys()].sort(), [...leaves(Options.defaults, ""), ...optional].sort())
    for (const row of rows.values()) {
      for (const text of [row.option, row.description, row.range, row.default]) assert.isNotEmpty(text)
    }
    assert.deepStrictEqual(rows.get("queue.batch"), {
      option: "queue.batch",
      description: "The most postponed messages that are delivered in one batch",
      form: "text",
      value: "number",
      unit: "messages",
      range: "a whole number from 1 to 32",
      default: "32",
      requirement: "M4"
    })
  })

  describe("decode after encode gives the same", () => {
    const roundTrips = <A, I>(name: string, schema: Schema.Codec<A, I>) =>
      it.effect.prop(name, { options: Schema.toType(schema) }, ({ options }) =>
        Effect.gen(function*() {
          const encoded = yield* Schema.encodeEffect(schema)(options)
          assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(schema)(encoded), options)
        }))

    roundTrips("queue", Options.QueueOptions)
    roundTrips("segment", Options.SegmentOptions)
    roundTrips("admission", Options.AdmissionOptions)
    roundTrips("worker", Options.WorkerOptions)
    roundTrips("scope", Options.ScopeOptions)

    it("application", () => {
      const app = decoded({ name: "a", client: "c", secret: "s", scope: { local: true }, worker: { heapLimitMiB: 64 } })
      assert.deepStrictEqual(decoded(Schema.encodeSync(Options.AppOptions)(app)), app)
    })
  })

  it.effect.prop(
    "a size in KiB and its bytes, a time in micros and its millis are the same option",
    { size: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_048_576 })) },
    ({ size }) =>
      Effect.sync(() => {
        const text = decoded({ queue: { postponedBytes: `${size} KiB`, retryInterval: `${size % 9000 + 100}us` } })
        assert.strictEqual(text.queue.postponedBytes, size * KiB)
        assert.closeTo(text.queue.retryInterval, (size % 9000 + 100) / 1000, 1e-9)
      })
  )
})
