/** How the lines of a log look, on the host's thread and on those of workers. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogStyle from "../../../src/layers/log/LogStyle.ts"
import * as CliProcess from "../../support/CliProcess.ts"

const linesOf = (style: LogStyle.LogStyle, logging: Effect.Effect<void>): ReadonlyArray<string> => {
  const told: Array<string> = []
  const logger = Logger.map(LogStyle.lineOf(style), (text) => void told.push(text))
  Effect.runSync(Effect.provide(logging, Logger.layer([logger])))
  return told
}

const pretty = (logging: Effect.Effect<void>, colours = false): string => {
  const [text = ""] = linesOf({ format: "pretty", colours }, logging)
  assert.match(text, /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/)
  return text.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/, "DATE")
}

const json = (logging: Effect.Effect<void>): Record<string, unknown> => {
  const [line = ""] = linesOf({ format: "json", colours: true }, logging)
  assert.notMatch(line, /\p{Cc}/u)
  return JSON.parse(line)
}

const ofWorker = Effect.annotateLogs({ app: "shop", worker: 2 })

const trap = {
  get value(): never {
    throw new Error("trap")
  },
  toString: () => {
    throw new Error("trap")
  }
}

describe("pretty lines", () => {
  it("have the date, the level, the application and the worker", () => {
    assert.strictEqual(pretty(Effect.logInfo("up").pipe(ofWorker)), "DATE INFO  [shop 2] up")
    assert.strictEqual(pretty(Effect.logWarning("late")), "DATE WARN  late")
  })

  it("have colours when told, and none otherwise", () => {
    assert.strictEqual(
      pretty(Effect.logError("down").pipe(ofWorker), true),
      "\u001b[90mDATE\u001b[39m \u001b[31mERROR\u001b[39m \u001b[36m[shop 2]\u001b[39m down"
    )
  })

  it("can't be forged, in no part", () => {
    const evil = "a\u001b[31m\u009b2J\nERROR b"
    const text = pretty(Effect.logInfo(evil).pipe(Effect.annotateLogs({ app: evil, stack: evil, key: evil })))
    assert.notMatch(text.replaceAll("\n", ""), /\p{Cc}/u)
    for (const line of text.split("\n").slice(1)) assert.match(line, /^ {4}/)
    assert.include(text, "a\\u001b[31m\\u009b2J\n    ERROR b")
  })

  it("are bounded, in width and in number", () => {
    const lines = pretty(Effect.logInfo("x".repeat(1e6), "y\n".repeat(1e4))).split("\n")
    assert.isAtMost(Math.max(...lines.map((line) => line.length)), 4100)
    assert.isAtMost(lines.length, 200)
  })
})

describe("lines of JSON", () => {
  it("are one object each, with what is known", () => {
    const { fiberId, timestamp, ...rest } = json(
      Effect.logInfo("red \u001b[31m\n\u009b", { a: 1 }).pipe(ofWorker, Effect.annotateLogs({ key: [1] }))
    )
    assert.strictEqual(new Date(String(timestamp)).toISOString(), timestamp)
    assert.isString(fiberId)
    assert.deepStrictEqual(rest, {
      level: "INFO",
      app: "shop",
      worker: 2,
      message: "red \u001b[31m\n\u009b {\"a\":1}",
      annotations: { key: [1] }
    })
  })

  it("have the stacks of errors and of causes", () => {
    const error = new Error("boom")
    for (const logging of [Effect.logError("bad", error), Effect.logError("bad", Cause.die(error))]) {
      const { message, stack } = json(logging)
      assert.match(String(message), /^bad boom \(.*LogStyle\.test\.ts:\d+:\d+\)$/)
      assert.match(String(stack), /^Error: boom\n +at .*LogStyle\.test\.ts/)
    }
  })
})

it("a value that can't be shown is told as such, and never fails the program", () => {
  const logging = Effect.logInfo("it is", trap).pipe(Effect.annotateLogs({ big: 10n, trap }))
  assert.match(pretty(logging), /INFO {2}it is .*big=10n/)
  assert.match(String(json(logging).message), /^it is /)
})

describe("the log of a worker's thread", () => {
  const args = [CliProcess.fixture("logs"), "--workers", "1", "--listen", "tcp://127.0.0.1:0", "--control", "c.sock"]

  const logOf = Effect.fnUntraced(function*(...more: ReadonlyArray<string>) {
    const serving = yield* CliProcess.start(["serve", ...args, ...more])
    yield* serving.printed("stderr", /runs and listens on nothing[^]*boom|boom[^]*runs and listens on nothing/)
    yield* serving.kill("SIGTERM")
    return (yield* serving.result).stderr.trimEnd().split("\n")
  })

  it.live("has the format and the level of the command, and its worker", () =>
    Effect.gen(function*() {
      const told = (yield* logOf("--log-format", "json", "--log-level", "debug")).map((line) => JSON.parse(line))
      const ofThread = told.filter(({ message }) => /detail|forged|boom/.test(message))
      assert.deepStrictEqual(ofThread.map(({ app, level, worker }) => ({ app, level, worker })), [
        { app: "logs", level: "DEBUG", worker: 0 },
        { app: "logs", level: "INFO", worker: 0 },
        { app: "logs", level: "ERROR", worker: 0 }
      ])
    }))

  it.live("is for people otherwise, and has no details", () =>
    Effect.gen(function*() {
      const text = (yield* logOf()).join("\n")
      assert.match(text, /^\S+Z INFO {2}\[logs 0\] red \\u001b\[31m\n {4}ERROR forged /m)
      assert.notInclude(text, "a detail")
      assert.notInclude(text, "\u001b")
    }))
})
