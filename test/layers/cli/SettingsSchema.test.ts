/** The JSON Schemas of configuration files: what they take and what they refuse is what the command takes and refuses. */
import { assert, describe, it } from "@effect/vitest"
import { Ajv2020 } from "ajv/dist/2020.js"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as ProxyCommand from "../../../src/layers/cli/ProxyCommand.ts"
import * as Setting from "../../../src/layers/cli/Setting.ts"
import * as Settings from "../../../src/layers/cli/Settings.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"

const root = new URL("../../../", import.meta.url)
const read = (path: string): unknown => JSON.parse(Fs.readFileSync(new URL(path, root), "utf8"))
const validator = (name: string) =>
  new Ajv2020({ strict: true, allowUnionTypes: true }).compile(read(`schema/${name}.json`) as object)

const validate = validator("serve")
const validateProxy = validator("proxy")

const takes = Effect.fnUntraced(function*(path: string, file: unknown) {
  Fs.writeFileSync(path, JSON.stringify(file))
  return yield* Settings.resolve({}, path).pipe(
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: {} }))),
    Effect.result,
    Effect.map(Result.isSuccess)
  )
})

/** Values of all kinds, some right for one setting and some for another. */
const values: ReadonlyArray<unknown> = [
  0,
  1,
  2,
  3,
  5.5,
  24,
  64,
  100,
  4096,
  2 ** 19,
  2 ** 28,
  -1,
  1e12,
  "64k",
  "1G",
  "64 KiB",
  "64KB",
  "5s",
  "5 secs",
  "5 parsecs",
  "100ms",
  "1m",
  "1_000",
  "Infinity",
  "90%",
  "0660",
  "0999",
  "shared",
  "json",
  "warn",
  "hold",
  "source",
  "worker",
  "request",
  "high",
  "adaptive",
  "http",
  "text",
  "",
  "tcp://127.0.0.1:0",
  "127.0.0.1:0",
  ["tcp://127.0.0.1:0"],
  [],
  [1],
  ["h2"],
  ["10.0.0.0/8"],
  ["tcp"],
  {},
  { "tcp://127.0.0.1:80": { affinity: "source", holdMax: 1 } },
  { "tcp://127.0.0.1:80": { alpn: ["h2"] } },
  { "tcp://127.0.0.1:80": { alpn: "h2" } },
  [{ certificate: "x" }],
  null,
  true,
  false
]

/** What is refused without another setting. */
const dependent: ReadonlyArray<string> = [
  "clientAuthorities",
  "tlsClientAuthorities",
  "tlsEngine",
  "proxiedTransports",
  "dashboardName",
  "dashboardToken",
  "dashboardTokenFile"
]

describe("SettingsSchema", () => {
  for (const { form, json: _, key } of Setting.settings) {
    // files of certificates would be read, and certificates are checked when the application is attached
    if (["tlsCert", "tlsKey", "clientCa", "serverCa", "certificates"].includes(key)) continue
    it.effect(`${key}: what the schema refuses, the command refuses, and it takes something`, () =>
      Effect.gen(function*() {
        const directory = yield* TempDirectory.make
        let both = 0
        for (const [index, value] of values.entries()) {
          // a command is kinder to switches than an editor: "yes" will do
          if (form === "switch" && typeof value === "string") continue
          // a new file each time: some file systems write one that is replaced to the disk at once
          const taken = yield* takes(Path.join(directory, `${index}.json`), { [key]: value })
          const valid = validate({ [key]: value })
          assert.isFalse(taken && !valid, `${key}: ${JSON.stringify(value)} is taken`)
          if (taken && valid) both++
        }
        if (!dependent.includes(key)) assert.isAbove(both, 0)
      }))
  }

  it("say what bounds are, in numbers and in text", () => {
    const right = [{ workers: 4 }, { workers: "4" }, { revokeAfter: "5 millis" }, { memoryLimit: "1G" }, {
      rxFifoSize: 65536
    }, { addSegmentSize: 0 }]
    for (const file of right) assert.isTrue(validate(file), JSON.stringify(file))
    const wrong = [
      { workers: 0 },
      { workers: 1.5 },
      { workers: "many" },
      { revokeAfter: "5 parsecs" },
      { rxFifoSize: 65537 },
      { addSegmentSize: 1 },
      { policy: "drop" },
      { wokers: 4 },
      { scope: { local: true } }
    ]
    for (const file of wrong) assert.isFalse(validate(file), JSON.stringify(file))
  })

  it("have a description for each setting", () => {
    for (const name of ["serve", "proxy"]) {
      const { properties } = read(`schema/${name}.json`) as { properties: Record<string, { description?: string }> }
      for (const [key, { description }] of Object.entries(properties)) assert.isString(description, `${name}: ${key}`)
    }
  })

  it("know what is a proxy's", () => {
    const proxy = { listen: "tcp://127.0.0.1:1", to: ["tcp://127.0.0.1:2"], sendProxy: "v1", workers: 2 }
    assert.isTrue(validateProxy(proxy))
    assert.isFalse(validate(proxy))
    assert.isFalse(validateProxy({ ...proxy, sendProxy: "v3" }))
    const { properties } = read("schema/proxy.json") as { properties: object }
    assert.sameMembers(Object.keys(properties), ["$schema", ...ProxyCommand.program.settings.map(({ key }) => key)])
  })

  it("take the example of the docs", () => {
    assert.isTrue(validate(read("examples/production/sluice.json")))
  })
})
