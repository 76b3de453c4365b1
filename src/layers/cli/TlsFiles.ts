/**
 * Certificates, keys and authorities in files, as a command line names them.
 *
 * Whatever is wrong with a file is reported with its path. A certificate and its key may be replaced at any time, one
 * file after the other, so whoever reads them again gets a pair that fits, or a sentence that says what is wrong.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Fs from "node:fs/promises"
import * as Certificate from "../../domain/net/Certificate.ts"
import * as SystemError from "../../domain/net/SystemError.ts"
import { sentenceOf } from "../../domain/report/Thrown.ts"

/** A certificate with its chain, and its key. */
export interface Pair {
  readonly certificate: string
  readonly key: string
}

/** A file that was not taken. */
export class BadFile extends Schema.TaggedError<BadFile>()("BadFile", {
  path: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.path} ${this.detail}`
  }
}

const read = (path: string): Effect.Effect<string, BadFile> =>
  Effect.tryPromise({
    try: async () => {
      const stats = await Fs.stat(path)
      if (!stats.isFile()) throw new Error("it is not a file")
      if (stats.size > Certificate.limits.pemBytes) throw new Error("it is too large")
      return Fs.readFile(path, "utf8")
    },
    catch: (cause) =>
      new BadFile({
        path,
        detail: SystemError.kindOf(cause) === "NotFound" ? "does not exist" : `can't be read: ${sentenceOf(cause)}`
      })
  })

/** Reads a certificate and its key, and checks that they fit. */
export const readPair = Effect.fnUntraced(function*(
  pair: Pair
): Effect.fn.Return<Certificate.Input, BadFile> {
  const certificate = yield* read(pair.certificate)
  const input = { certificate, key: Redacted.make(yield* read(pair.key)) }
  const decoded = Certificate.decode(input, yield* Clock.currentTimeMillis)
  if (Result.isSuccess(decoded)) return input
  const reason = decoded.failure
  const isKey = reason._tag === "NotAKey" || reason._tag === "KeyMismatch" || reason._tag === "WrongPassphrase"
  return yield* new BadFile({
    path: isKey ? pair.key : pair.certificate,
    detail: `is not taken: ${Certificate.explain(reason)}`
  })
})

/** Reads the certificates of authorities. */
export const readAuthorities = Effect.fnUntraced(function*(path: string): Effect.fn.Return<string, BadFile> {
  const text = yield* read(path)
  if (Certificate.isAuthorities(text)) return text
  return yield* new BadFile({ path, detail: "is not taken: it must be PEM text with one or more certificates" })
})
