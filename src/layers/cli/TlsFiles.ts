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
  /** What the file was to be. */
  role: Schema.Literals(["certificate", "key", "authorities"]),
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.path} ${this.detail}`
  }
}

const read = (path: string, role: BadFile["role"]): Effect.Effect<string, BadFile> =>
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
        role,
        detail: SystemError.kindOf(cause) === "NotFound" ? "does not exist" : `can't be read: ${sentenceOf(cause)}`
      })
  })

const day = (millis: number): string => new Date(millis).toISOString().slice(0, 10)

/** Reads a certificate and its key, and checks that they fit. */
export const readPair = Effect.fnUntraced(function*(
  pair: Pair
): Effect.fn.Return<Certificate.Input, BadFile> {
  const certificate = yield* read(pair.certificate, "certificate")
  const input = { certificate, key: Redacted.make(yield* read(pair.key, "key")) }
  const decoded = Certificate.decode(input, yield* Clock.currentTimeMillis)
  if (Result.isSuccess(decoded)) {
    const { subject, validFrom, validTo, warning } = decoded.success.info
    if (warning !== null) {
      const when = warning === "Expired" ? `has expired on ${day(validTo)}` : `is not valid before ${day(validFrom)}`
      yield* Effect.logWarning(
        `${pair.certificate}, the certificate of "${subject}", ${when}: clients will refuse it; `
          + "put a valid one in its place and send SIGHUP"
      )
    }
    return input
  }
  return yield* refused(pair, decoded.failure)
})

/** Which file of a pair is no good, and why. */
const refused = (pair: Pair, reason: Certificate.CertificateReason): BadFile => {
  const isKey = reason._tag === "NotAKey" || reason._tag === "KeyMismatch" || reason._tag === "WrongPassphrase"
    || "field" in reason && reason.field === "key"
  const role = isKey ? "key" : "certificate"
  const path = pair[role]
  switch (reason._tag) {
    case "KeyMismatch":
      return new BadFile({
        path,
        role,
        detail: `is not the key of ${pair.certificate}, the certificate of "${reason.subject}"; give both in one order`
      })
    case "WrongPassphrase":
      return new BadFile({ path, role, detail: "is encrypted; give a key that is not: openssl pkey writes one" })
    default:
      return new BadFile({
        path,
        role,
        detail: `is not taken: ${Certificate.explain(reason).replace(/^(?:certificate|key): /, "")}`
      })
  }
}

/** Reads the certificates of authorities. */
export const readAuthorities = Effect.fnUntraced(function*(path: string): Effect.fn.Return<string, BadFile> {
  const text = yield* read(path, "authorities")
  if (Certificate.isAuthorities(text)) return text
  return yield* new BadFile({
    path,
    role: "authorities",
    detail: "is not taken: it must be PEM text with one or more certificates"
  })
})
