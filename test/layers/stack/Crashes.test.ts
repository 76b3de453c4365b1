/** What is told of an application that fails: the file, the line, the stack; on a thread, and on the host's loop. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Url from "node:url"
import * as Host from "../../../src/layers/Host.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer, WorkerFailed } from "../../../src/services/SessionLayer.ts"
import { LogLines } from "../../support/LogLines.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"
import { until } from "../../support/until.ts"

const TOLD = "import { told } from \"./told.mjs\"; export default (request, response) => {}"

const files = {
  "dep.ts": "export const fine = 1\nexport const broken = (1 + ;\n",
  "syntax.mjs": "import { fine } from \"./dep.ts\"\nexport default (request, response) => fine\n",
  "broken.mjs": "export const fine = 1\n\nexport const broken = { a: 1,, }\n",
  // calls once the test has attached the application, and made a file
  "told.mjs": [
    "import { existsSync } from \"node:fs\"",
    "export const told = (call) => {",
    "  const timer = setInterval(() => {",
    "    if (!existsSync(new URL(\"go\", import.meta.url))) return",
    "    clearInterval(timer)",
    "    call()",
    "  }, 10)",
    "}"
  ].join("\n"),
  "plain.mjs": "import \"./broken.mjs\"\nexport default (request, response) => response.end()\n",
  // built.ts, one line further down in what was made of it
  "built.mjs": [
    "import { told } from \"./told.mjs\"",
    "export default (request, response) => {}",
    "told(() => { throw new Error(\"mapped\") })",
    `//# sourceMappingURL=data:application/json;base64,${
      btoa(JSON.stringify({ version: 3, sources: ["built.ts"], names: [], mappings: ";AAAA;AACA,iBAAiB" }))
    }`
  ].join("\n"),
  "enum.ts": "import \"node:http\"\nenum Colour { Red }\nexport default (request, response) => Colour.Red\n",
  "missing.mjs": "import { x } from \"./nowhere.mjs\"\nexport default (request, response) => x\n",
  "top.mjs": "const fail = () => {\n  throw new RangeError(\"at top level\")\n}\nfail()\n",
  "cause.mjs": "throw new Error(\"outer\", { cause: new AggregateError([new Error(\"inner\")], \"both\") })\n",
  "text.mjs": "throw \"a text\\n\\u001b[31m\"\n",
  "getter.mjs": "throw { get message() { throw new Error(\"trap\") } }\n",
  "timer.mjs": `${TOLD}\ntold(() => {\n  throw new Error("late")\n})\n`,
  "rejection.mjs": `${TOLD}\ntold(async () => {\n  throw new Error("unheard")\n})\n`,
  "exit.mjs": `${TOLD}\nconst leave = () => process.exit(3)\ntold(leave)\n`
}

const written = Effect.map(TempDirectory.make, (directory) => {
  for (const [name, text] of Object.entries(files)) Fs.writeFileSync(Path.join(directory, name), text)
  return {
    url: (name: keyof typeof files) => AppWorker.fromUrl(Url.pathToFileURL(Path.join(directory, name))),
    tell: () => Fs.writeFileSync(Path.join(directory, "go"), "")
  }
})

const options = (kind: "thread" | "in-process") => ({
  name: "app",
  listen: ["tcp://127.0.0.1:0"],
  workers: 1,
  worker: { kind, backoffBase: 60_000, backoffMax: 60_000 }
})

describe.each(["thread", "in-process"] as const)("a module that can't be loaded, %s", (kind) => {
  for (
    const [file, says, shows] of [
      ["syntax.mjs", /dep\.ts:2\)$/, /^.*dep\.ts:2\n[^]*export const broken = \(1 \+ ;\n +\^\n/],
      ["plain.mjs", /broken\.mjs:3\)$/, /^.*broken\.mjs:3\n[^]*export const broken = \{ a: 1,, \}\n +\^+\n/],
      ["enum.ts", /enum\.ts:2\)$/, /^.*enum\.ts:2\n[^]*enum Colour/],
      ["missing.mjs", /nowhere\.mjs' imported from .*missing\.mjs$/, undefined],
      ["top.mjs", /at top level \(.*top\.mjs:2:9\)$/, /^RangeError: at top level\n +at fail .*\n +at .*top\.mjs:4:1/],
      ["cause.mjs", /outer \(.*cause\.mjs:1:7\)$/, /\[cause\]: [^]*both[^]*\[errors\]: [^]*Error: inner/],
      ["text.mjs", /: a text$/, undefined],
      ["getter.mjs", /message: \[|"message":/, undefined]
    ] as const
  ) {
    // the test runner imports modules in a way of its own on the host's loop
    if (kind === "in-process" && !/top|cause|text|getter/.test(file)) continue
    it.live(`${file} says where`, () =>
      Effect.gen(function*() {
        const { url } = yield* written
        const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
        const { reason } = yield* Effect.flip(host.attach(options(kind), url(file)))
        assert.instanceOf(reason, WorkerFailed)
        assert.match(reason.message, says)
        if (shows === undefined) return assert.isUndefined(reason.trace)
        assert.match(reason.trace!, shows)
        assert.notMatch(reason.trace!, /node:internal\/modules|sluice\/src|AppModules/)
      }).pipe(Effect.scoped, Effect.provide(new LogLines().layer)))
  }
})

describe("a worker on a thread that fails later", () => {
  for (
    const [file, says, shows] of [
      ["timer.mjs", /crashed: late \(.*timer\.mjs:3:9\)$/, /^Error: late\n +at .*timer\.mjs:3:9/],
      ["rejection.mjs", /crashed: unheard \(.*rejection\.mjs:3:9\)$/, /^Error: unheard\n +at .*rejection\.mjs:3:9/],
      ["built.mjs", /crashed: mapped \(.*built\.ts:2:\d+\)$/, /^Error: mapped\n +at .*built\.ts:2:/],
      ["exit.mjs", /exited with code 3$/, /^process\.exit was called\n +at .*leave .*exit\.mjs:2:\d+/]
    ] as const
  ) {
    it.live(`${file} has its stack in the log once, and in the report`, () => {
      const told = new LogLines()
      return Effect.gen(function*() {
        const { tell, url } = yield* written
        const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
        yield* host.attach(options("thread"), url(file))
        tell()
        yield* until("the end of the worker", () => told.lines.some((line) => line.startsWith("ERROR")))
        const at = told.lines.findIndex((line) => line.startsWith("ERROR"))
        assert.match(told.lines[at]!, says)
        assert.match(String(told.stacks[at]), shows)
        const { lastFailure, lastFailureStack } = (yield* host.report).apps[0]!.workers[0]!
        assert.match(lastFailure!, says)
        assert.match(lastFailureStack!, shows)
      }).pipe(Effect.scoped, Effect.provide(told.layer))
    })
  }
})
