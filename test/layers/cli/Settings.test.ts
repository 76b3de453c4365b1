import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { LogOptions } from "../../../src/domain/options/LogOptions.ts"
import * as Options from "../../../src/domain/options/Options.ts"
import * as Setting from "../../../src/layers/cli/Setting.ts"
import * as Settings from "../../../src/layers/cli/Settings.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"

interface Sources {
  readonly flags?: Readonly<Record<string, unknown>>
  readonly env?: Readonly<Record<string, string>>
  /** Text of the configuration file, or what it holds as JSON. */
  readonly file?: unknown
}

const resolve = Effect.fnUntraced(function*({ env = {}, file, flags = {} }: Sources) {
  const path = Path.join(yield* TempDirectory.make, "sluice.json")
  if (file !== undefined) Fs.writeFileSync(path, typeof file === "string" ? file : JSON.stringify(file))
  return yield* Settings.resolve(flags, file === undefined ? undefined : path).pipe(
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))),
    // the file has another name in every run
    Effect.mapError((error) => error.message.replaceAll(path, "FILE"))
  )
})

const complaint = (sources: Sources) => Effect.flip(resolve(sources))

describe("Settings", () => {
  it.effect("have the default app on its endpoint when nobody says anything", () =>
    Effect.gen(function*() {
      const { app, control, decoded, options } = yield* resolve({})
      assert.deepStrictEqual({ app, control }, { app: undefined, control: undefined })
      assert.deepStrictEqual(options, { name: "http", listen: ["tcp://127.0.0.1:8080"] })
      assert.deepStrictEqual(decoded.worker, Options.defaults.worker)
    }))

  it.effect("name an app after its module, and let it listen on nothing", () =>
    Effect.gen(function*() {
      const { app, options } = yield* resolve({ flags: { app: "./apps/shop.ts" } })
      assert.strictEqual(app, "./apps/shop.ts")
      assert.deepStrictEqual(options, { name: "shop" })
    }))

  it.effect("go flag before environment before file before default", () =>
    Effect.gen(function*() {
      const file = { workers: 3, holdMax: 3, backlog: 3 }
      const env = { SLUICE_WORKERS: "4", SLUICE_HOLD_MAX: "4" }
      const { decoded } = yield* resolve({ flags: { workers: "5" }, env, file })
      assert.strictEqual(decoded.workers, 5)
      assert.strictEqual(decoded.admission.holdMax, 4)
      assert.strictEqual(decoded.admission.backlog, 3)
      assert.strictEqual(decoded.worker.drainTimeout, Options.defaults.worker.drainTimeout)
    }))

  it.effect("have one name in three spellings", () =>
    Effect.gen(function*() {
      const spelling = (key: string) => {
        const { flag, variable } = Setting.settings.find((setting) => setting.key === key)!
        return [flag, variable]
      }
      assert.deepStrictEqual(spelling("revokeAfter"), ["revoke-after", "SLUICE_REVOKE_AFTER"])
      assert.deepStrictEqual(spelling("maxSessionsPerWorker"), [
        "max-sessions-per-worker",
        "SLUICE_MAX_SESSIONS_PER_WORKER"
      ])
      assert.deepStrictEqual(spelling("heapLimitMiB"), ["heap-limit-mib", "SLUICE_HEAP_LIMIT_MIB"])
      assert.deepStrictEqual(spelling("ioRing"), ["io-ring", "SLUICE_IO_RING"])
      const expected = { ...Options.defaults.admission, revokeAfter: 7 }
      for (
        const sources of [
          { flags: { revokeAfter: "7ms" } },
          { env: { SLUICE_REVOKE_AFTER: "7 millis" } },
          { file: { revokeAfter: 7 } }
        ]
      ) {
        assert.deepStrictEqual((yield* resolve(sources)).decoded.admission, expected)
      }
    }))

  it.effect("are all there: every option, each name once, in every source", () =>
    Effect.gen(function*() {
      const options = Setting.settings.flatMap(({ option }) => option ?? [])
      assert.deepStrictEqual(options.toSorted(), Options.documentation.map(({ option }) => option).toSorted())
      for (const name of ["key", "flag", "variable"] as const) {
        const names = Setting.settings.flatMap((setting) => setting[name] ?? [])
        assert.strictEqual(new Set(names).size, names.length)
      }
      const secret = Setting.settings.find(({ key }) => key === "secret")
      assert.isUndefined(secret?.flag)
      const { decoded } = yield* resolve({ env: { SLUICE_SECRET: "hush" } })
      assert.strictEqual(Redacted.value(decoded.secret!), "hush")
    }))

  it.effect("take endpoints as a list or as text, and switches as words", () =>
    Effect.gen(function*() {
      const listen = ["tcp://127.0.0.1:1", "tcp://[::1]:2"]
      const text = listen.join(", ")
      for (const sources of [{ flags: { listen } }, { env: { SLUICE_LISTEN: text } }, { file: { listen } }]) {
        assert.deepStrictEqual((yield* resolve(sources)).options.listen, listen)
      }
      assert.deepStrictEqual((yield* resolve({ file: { listen: text } })).options.listen, listen)
      const inProcess = [
        { flags: { inProcess: true } },
        { env: { SLUICE_IN_PROCESS: "yes" } },
        { file: { inProcess: true } }
      ]
      for (const sources of inProcess) {
        assert.strictEqual((yield* resolve(sources)).decoded.worker.kind, "in-process")
      }
      const { decoded } = yield* resolve({ flags: { inProcess: false }, env: { SLUICE_IN_PROCESS: "1" } })
      assert.strictEqual(decoded.worker.kind, "thread")
    }))

  it.effect("W3 W17 take the namespace and the scopes from each source", () =>
    Effect.gen(function*() {
      const sources: ReadonlyArray<Sources> = [
        { flags: { namespace: "blue", scopeLocal: true, scopeGlobal: true } },
        { env: { SLUICE_NAMESPACE: "blue", SLUICE_SCOPE_LOCAL: "on", SLUICE_SCOPE_GLOBAL: "1" } },
        { file: { namespace: "blue", scopeLocal: true, scopeGlobal: true } }
      ]
      for (const source of sources) {
        const { namespace, scope } = (yield* resolve(source)).decoded
        assert.deepStrictEqual({ namespace, scope }, { namespace: "blue", scope: { global: true, local: true } })
      }
      const flags = Setting.settings.flatMap(({ flag }) => flag ?? [])
      assert.includeMembers(flags, ["namespace", "scope-local", "scope-global", "connect-timeout", "max-half-open"])
      for (const key of ["secret", "config", "proxiedTransports", "tlsEngine"]) {
        assert.isUndefined(Setting.settings.find((setting) => setting.key === key)?.flag, key)
      }
    }))

  it.effect("take what the application's module is told from the file alone", () =>
    Effect.gen(function*() {
      const config = { upstream: ["tcp://10.0.0.1:80"], retries: 3 }
      assert.deepStrictEqual((yield* resolve({ file: { config } })).decoded.config, config)
      // in the environment the name is that of the file
      const told = yield* complaint({ env: { SLUICE_CONFIG: "/no/such.json" } })
      assert.strictEqual(told, "configuration file /no/such.json does not exist")
      assert.isUndefined(Setting.settings.find(({ key }) => key === "config")?.variable)
    }))

  it.effect("take an empty variable as none", () =>
    Effect.gen(function*() {
      const { decoded } = yield* resolve({ env: { SLUICE_WORKERS: " ", SLUICE_CONFIG: "" }, file: { workers: 3 } })
      assert.strictEqual(decoded.workers, 3)
    }))

  it.effect("take the application and the control socket from each source", () =>
    Effect.gen(function*() {
      const env = { SLUICE_APP: "b.ts", SLUICE_CONTROL: "/b" }
      const { app, control } = yield* resolve({ env, file: { app: "a.ts", control: "/a" } })
      assert.deepStrictEqual({ app, control }, { app: "b.ts", control: "/b" })
      assert.strictEqual(yield* complaint({ file: { control: 7 } }), "control in FILE: got 7; it must be a path")
    }))

  const cases: ReadonlyArray<readonly [string, Sources, string]> = [
    [
      "the flag of a bad value",
      { flags: { workers: "many" } },
      "--workers: got \"many\"; it must be a whole number from 1 to 256, a range of them such as \"2..8\", or \"auto\""
    ],
    [
      "the variable of a bad value",
      { env: { SLUICE_REVOKE_AFTER: "5 parsecs" } },
      "SLUICE_REVOKE_AFTER: got \"5 parsecs\"; it must be a time in milliseconds from 1 ms to 10 s, "
      + "or text such as \"5 millis\" or \"5ms\""
    ],
    [
      "the key and the file of a bad value",
      { file: { policy: "drop" } },
      "policy in FILE: got \"drop\"; it must be \"hold\" or \"refuse\""
    ],
    [
      "a switch that is none",
      { env: { SLUICE_IN_PROCESS: "maybe" } },
      "SLUICE_IN_PROCESS: got \"maybe\"; it must be true or false"
    ],
    [
      "what is wrong with an endpoint",
      { flags: { listen: ["tcp://127.0.0.1:80", "http://localhost"] } },
      "--listen: endpoint \"http://localhost\": there is no transport 'http'; use tcp:, tls:, udp:, unix:, local:; "
      + "did you mean tcp:?"
    ],
    [
      "a list that is none",
      { file: { listen: 8080 } },
      "listen in FILE: got 8080; it must be a list of endpoint URIs such as \"tcp://127.0.0.1:8080\""
    ],
    [
      "an unknown key, and what was meant",
      { file: { wrokers: 4 } },
      "wrokers in FILE: there is no such setting; did you mean workers?"
    ],
    [
      "the settings of a group",
      { file: { scope: { local: true } } },
      "scope in FILE: its settings stand by themselves: scopeGlobal, scopeLocal"
    ],
    [
      "the number of workers in their group",
      { file: { worker: { workers: 3 } } },
      "worker in FILE: its settings stand by themselves: workers, inProcess, startTimeout, backoffBase, backoffMax, "
      + "stuckAfter, drainTimeout, generationsMax, handOver, retireAfter, heapLimitMiB, maxHeap, maxSessionsPerStart"
    ],
    [
      "a rule between settings in their own names",
      { flags: { backoffMax: "50ms" } },
      "backoffBase (--backoff-base): the default is 100 ms; it must be at most backoffMax, which is 50 ms"
    ],
    [
      "what this runtime does not serve",
      { env: { SLUICE_TLS_ENGINE: "openssl" } },
      "SLUICE_TLS_ENGINE: got \"openssl\"; this runtime has Node's own TLS engine and no other; leave it out"
    ],
    [
      "a proxy that is not local, in the settings' own names",
      { env: { SLUICE_PROXIED_TRANSPORTS: "tcp" } },
      "SLUICE_PROXIED_TRANSPORTS: got [\"tcp\"]; a proxy listens on every port, which only local scope can; "
      + "set scopeLocal to true"
    ],
    [
      "all that is wrong",
      { flags: { workers: "0" }, env: { SLUICE_BATCH: "33" } },
      "--workers: got \"0\"; it must be a whole number from 1 to 256, a range of them such as \"2..8\", or \"auto\"\n"
      + "SLUICE_BATCH: got \"33\"; it must be a whole number from 1 to 32"
    ],
    [
      "a file that holds no object",
      { file: [1] },
      "configuration file FILE must hold an object, such as {\"workers\": 4}"
    ]
  ]
  for (const [what, sources, expected] of cases) {
    it.effect(`complain of ${what}`, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual((yield* complaint(sources)).split("\n").toSorted(), expected.split("\n").toSorted())
      }))
  }

  it.effect("complain of a file that is no JSON, or is not there", () =>
    Effect.gen(function*() {
      assert.match(yield* complaint({ file: "{ workers: 4 }" }), /^configuration file FILE is not JSON: .*position 2/)
      const missing = yield* Effect.flip(Settings.resolve({}, "/no/such.json"))
      assert.strictEqual(missing.message, "configuration file /no/such.json does not exist")
    }))

  const misspelled: ReadonlyArray<readonly [key: string, meant: string]> = [
    ["wrokers", "workers"],
    ["Workers", "workers"],
    ["revoke-after", "revokeAfter"],
    ["revoke_after", "revokeAfter"],
    ["heapLimit", "heapLimitMiB"],
    ["tlsCrt", "tlsCert"],
    ["placment", "placement"],
    ["controll", "control"]
  ]
  for (const [key, meant] of misspelled) {
    it.effect(`ask for ${key} whether ${meant} was meant`, () =>
      Effect.gen(function*() {
        assert.strictEqual(
          yield* complaint({ file: { [key]: 1 } }),
          `${key} in FILE: there is no such setting; did you mean ${meant}?`
        )
      }))
  }

  it.effect("ask for a key within a setting whether another was meant", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* complaint({ file: { listeners: { "tcp://127.0.0.1:80": { placment: "shared" } } } }),
        "listeners in FILE: tcp://127.0.0.1:80.placment: there is no such option; did you mean placement?"
      )
    }))

  it.effect("tell of a variable that is no setting, and do without it", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const console = { ...globalThis.console, error: (line: string) => void told.push(JSON.parse(line).message) }
      const env = {
        SLUICE_WOKERS: "3",
        SLUICE_SERVICE_HOST: "10.0.0.1",
        SLUICE_CONFIG: "",
        SLUICE_LOG_FORMAT: "json",
        SLUICE_HOLD_MAX: "7",
        SLUICEWORKERS: "1",
        HOME: "/"
      }
      const { decoded } = yield* resolve({ env }).pipe(Effect.provideService(Console.Console, console))
      assert.strictEqual(decoded.workers, Options.defaults.workers)
      assert.strictEqual(decoded.admission.holdMax, 7)
      assert.sameMembers(told, [
        "SLUICE_WOKERS in the environment is no setting of this command and is ignored; did you mean SLUICE_WORKERS?",
        "SLUICE_SERVICE_HOST in the environment is no setting of this command and is ignored"
      ])
    }))

  for (
    const [key, variable, [one, other, third], wrong] of [
      ["logFormat", "SLUICE_LOG_FORMAT", ["json", "pretty", "json"], ["jsn", "\"pretty\" or \"json\"", "json"]],
      ["logLevel", "SLUICE_LOG_LEVEL", ["warn", "debug", "none"], [
        "wran",
        "\"all\", \"trace\", \"debug\", \"info\", \"warn\", \"error\", \"fatal\" or \"none\"",
        "warn"
      ]]
    ] as const
  ) {
    it.effect(`say what is logged, wherever that is set: ${key}`, () =>
      Effect.gen(function*() {
        const of = ({ log }: { readonly log: LogOptions }) => key === "logFormat" ? log.format : log.level
        const file = { [key]: one }
        const env = { [variable]: other }
        assert.strictEqual(of(yield* resolve({})), key === "logFormat" ? "pretty" : "info")
        assert.strictEqual(of(yield* resolve({ file })), one)
        assert.strictEqual(of(yield* resolve({ file, env })), other)
        assert.strictEqual(of(yield* resolve({ flags: { [key]: third }, env })), third)
        const [word, right, meant] = wrong
        assert.strictEqual(
          yield* complaint({ env: { [variable]: word } }),
          `${variable}: got "${word}"; it must be ${right}; did you mean "${meant}"?`
        )
      }))
  }

  it.effect("list what there is when nothing is close", () =>
    Effect.gen(function*() {
      assert.match(
        yield* complaint({ file: { xyzzy: 1 } }),
        /^xyzzy in FILE: there is no such setting; docs\/options\.md has all/
      )
    }))
})
