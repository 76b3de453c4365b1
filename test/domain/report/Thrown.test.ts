import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Thrown from "../../../src/domain/report/Thrown.ts"

class Nameless extends Error {
  override readonly name = "Nameless"
}

describe("what was thrown, in a line", () => {
  for (
    const [what, thrown, line] of [
      ["an error", new Error("the port is taken"), "the port is taken"],
      ["an error with its stack in the message", new Error("bad token\n  at a.js:1\n  at b.js:2"), "bad token"],
      ["an error without a message", new Nameless(), "Nameless"],
      ["a text", "out of cheese\nsecond line", "out of cheese"],
      ["null", null, "null"],
      ["nothing", undefined, "undefined"],
      ["an object without a prototype", Object.create(null), "{}"],
      ["a symbol", Symbol("s"), "Symbol(s)"]
    ] as const
  ) {
    it(what, () => assert.strictEqual(Thrown.sentenceOf(thrown), line))
  }
})

/** A file of an application. */
const app = "file:///srv/app.ts"

const failing = (error: Error, ...frames: ReadonlyArray<string>): Error => {
  error.stack = [`${error.name}: ${error.message}`, ...frames.map((frame) => `    at ${frame}`)].join("\n")
  return error
}

const own = new URL("../../../src/thread.ts", import.meta.url).href

describe("what was thrown, with its stack", () => {
  it("names the place in the program, and leaves out the frames that lead to it", () => {
    const { sentence, stack } = Thrown.of(failing(
      new TypeError("boom"),
      `run (${app}:3:9)`,
      `${own}:1:1`,
      "Fiber.run (file:///srv/node_modules/effect/dist/Fiber.js:7:1)",
      "ModuleJob.run (node:internal/modules/esm/module_job:569:25)",
      "listOnTimeout (node:internal/timers:685:17)"
    ))
    assert.strictEqual(sentence, "boom (/srv/app.ts:3:9)")
    assert.deepStrictEqual(stack?.split("\n"), [
      "TypeError: boom",
      `    at run (${app}:3:9)`,
      "    at listOnTimeout (node:internal/timers:685:17)"
    ])
  })

  it("keeps all frames of a fault of its own", () => {
    const { sentence, stack } = Thrown.of(
      failing(new Error("a bug"), `loop (${own}:10:1)`, "node:internal/process/x:1:1")
    )
    assert.strictEqual(sentence, "a bug")
    assert.include(stack, `at loop (${own}:10:1)`)
  })

  it("keeps the code frame of a syntax error, whose place is that of the imported file", () => {
    const error = new SyntaxError("Expression expected")
    error.stack = "/srv/lib/dep.ts:2\nexport const broken = (1 + ;\n                           ^\n\n"
      + "SyntaxError: Expression expected\n    at parse (node:internal/modules/typescript:61:36)"
    const { sentence, stack } = Thrown.of(error)
    assert.strictEqual(sentence, "Expression expected (/srv/lib/dep.ts:2)")
    assert.match(stack!, /^\/srv\/lib\/dep.ts:2\nexport const broken = \(1 \+ ;\n +\^\n\nSyntaxError/)
  })

  it("has causes, and the errors of an aggregate", () => {
    const one = failing(new Error("one"), `one (${app}:1:1)`)
    const { stack } = Thrown.of(failing(
      new Error("outer", { cause: failing(new AggregateError([one, 5], "both"), `both (${app}:2:1)`) }),
      `outer (${app}:3:1)`
    ))
    for (const part of ["Error: outer", "[cause]: ", "both", "Error: one", `at one (${app}:1:1)`, "5"]) {
      assert.include(stack, part)
    }
  })

  it("has the spans of an effect's failure", () => {
    const exit = Effect.runSyncExit(
      Effect.fail(failing(new Error("no database"), `connect (${app}:4:2)`)).pipe(Effect.withSpan("startup"))
    )
    const { sentence, stack } = Thrown.ofCause(Exit.isFailure(exit) ? exit.cause : Cause.empty)
    assert.strictEqual(sentence, "no database (/srv/app.ts:4:2)")
    assert.match(stack!, /at connect \(.*:4:2\)\n +at startup \(/)
  })

  it("is bounded", () => {
    const { sentence, stack } = Thrown.of(failing(new Error("x".repeat(1e6)), `run (${app}:3:9)`))
    assert.isBelow(sentence.length, 1100)
    assert.isBelow(stack!.length, 8100)
  })

  it("can't be disturbed by what was thrown", () => {
    const trap = (): never => {
      throw new Error("trapped")
    }
    const hostile = Object.defineProperties(new Error("x"), { message: { get: trap }, stack: { get: trap } })
    const traps = new Proxy({}, { get: trap, getPrototypeOf: trap, ownKeys: trap, has: trap })
    for (
      const thrown of [
        hostile,
        traps,
        {
          get message() {
            return trap()
          }
        },
        null,
        undefined,
        "text",
        5n
      ]
    ) {
      const { sentence, stack } = Thrown.of(thrown)
      assert.isString(sentence)
      assert.isTrue(stack === undefined || typeof stack === "string")
    }
  })

  it("is a sentence alone where there is no stack", () => {
    assert.deepStrictEqual(Thrown.of("a text"), { sentence: "a text", stack: undefined })
  })
})
