/** What a serving command is told of the page: where it is, what it is called, and its token. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Fs from "node:fs/promises"
import * as SystemError from "../../domain/net/SystemError.ts"
import { sentenceOf } from "../../domain/report/Thrown.ts"
import type { DashboardOptions } from "../dashboard/Dashboard.ts"
import * as Token from "../dashboard/Token.ts"
import { type Given, hostPort, path, shaped } from "./Given.ts"

/** The settings that are read here, by key. */
export const keys = ["dashboard", "dashboardName", "dashboardTokenFile", "dashboardToken"] as const

const RIGHT = `a token has ${Token.LENGTHS.least} to ${Token.LENGTHS.most} characters: letters, digits, and -._~+/`

const taken = (text: string, where: string): Result.Result<Redacted.Redacted, string> =>
  Token.isToken(text) ? Result.succeed(Redacted.make(text)) : Result.fail(`${where}: ${RIGHT}`)

/** The token in a file, without the line's end. */
const fromFile = ({ source }: Given, file: string): Effect.Effect<Result.Result<Redacted.Redacted, string>> =>
  Effect.promise(() =>
    Fs.readFile(file, "utf8").then(
      (text) => taken(text.trim(), `${source}: ${file}`),
      (cause: unknown) =>
        Result.fail(
          `${source}: ${file} ${
            SystemError.kindOf(cause) === "NotFound" ? "does not exist" : `can't be read: ${sentenceOf(cause)}`
          }`
        )
    )
  )

/** A name as `Host` has it, without a port. */
const NAME = /^[\w.-]{1,253}$/

const namesOf = (given: Given | undefined): Result.Result<ReadonlyArray<string>, string> => {
  if (given === undefined) return Result.succeed([])
  return Result.flatMap(shaped("list", given), (names) => {
    const wrong = Array.isArray(names) ? names.find((name) => typeof name !== "string" || !NAME.test(name)) : names
    return wrong === undefined
      ? Result.succeed(names as ReadonlyArray<string>)
      : Result.fail(`${given.source}: got ${JSON.stringify(wrong)}; it must be a name such as host.example.com`)
  })
}

/** Where the token comes from, if it is given. */
const tokenOf = Effect.fnUntraced(function*(file: Given | undefined, word: Given | undefined) {
  if (file !== undefined && word !== undefined) {
    return Result.fail(`${file.source} and ${word.source} both give the token; leave one of them out`)
  }
  if (word !== undefined) return taken(String(word.value), word.source)
  const named = path(file)
  if (file === undefined || Result.isFailure(named)) return Result.map(named, () => undefined)
  return yield* fromFile(file, named.success!)
})

/** What is set of the page; `undefined` where it has no port. */
export const read = Effect.fnUntraced(function*(
  given: ReadonlyMap<string, Given>
): Effect.fn.Return<Result.Result<DashboardOptions | undefined, string>> {
  const [port, name, file, word] = keys.map((key) => given.get(key))
  if (port === undefined) {
    const idle = name ?? file ?? word
    return idle === undefined
      ? Result.succeed(undefined)
      : Result.fail(`${idle.source} has no effect without --dashboard`)
  }
  const token = yield* tokenOf(file, word)
  return Result.gen(function*() {
    const at = yield* hostPort(port)
    return at && { at, names: yield* namesOf(name), token: yield* token }
  })
})
