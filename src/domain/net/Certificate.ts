/**
 * A TLS certificate with its chain and its key, decoded and checked (W19).
 *
 * {@link decode} takes PEM text and says what is wrong with it before anything is done with it: a chain out of order or
 * the key of another certificate would otherwise be noticed only in the handshakes of clients. Only what was understood
 * is kept: the certificates written out anew, without the rest of the text, and the key without its passphrase.
 *
 * The key is `Redacted`, and no reason contains the key or the passphrase. {@link CertificateInfo} is what may be
 * shown.
 *
 * `Pem` reads PEM text, and `ServerName` finds a certificate by the name of a server. The rest, though long, is one
 * concept: what comes in, each thing that can be wrong with it, and the steps that find out.
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as SchemaIssue from "effect/SchemaIssue"
import { createPrivateKey, type KeyObject, sign, verify, X509Certificate } from "node:crypto"
import * as Pem from "./Pem.ts"
import * as ServerName from "./ServerName.ts"

// ---------------------------------------------------------------------------------------------------------------------
// What comes in, and what is known of it
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Limits of what is taken: bytes of either PEM text, bytes of a passphrase, certificates in a chain.
 *
 * @category constants
 * @since 0.1.0
 */
export const limits = { pemBytes: 1024 * 1024, passphraseBytes: 1024, chain: 32 } as const

const Secret = Schema.Union([Schema.Redacted(Schema.String), Schema.String])

/**
 * A certificate and its key as given.
 *
 * **Details**
 *
 * - `certificate`: PEM text, the leaf first; after it, in order, each the certificate that issued the one before it.
 *   PEM blocks of other kinds, and text around blocks, are ignored.
 * - `key`: PEM text, in PKCS#8 or in the older form of its kind, encrypted or not. The first private key in it counts.
 * - `passphrase`: that of an encrypted key; ignored for a key that is not encrypted.
 *
 * @category models
 * @since 0.1.0
 */
export const Input = Schema.Struct({
  certificate: Schema.String,
  key: Secret,
  passphrase: Schema.optional(Secret)
})
export type Input = typeof Input.Type

/**
 * The leaf is not valid at this time; clients will refuse it.
 *
 * @category models
 * @since 0.1.0
 */
export const Warning = Schema.Literals(["NotYetValid", "Expired"])
export type Warning = typeof Warning.Type

/**
 * What may be shown of a certificate.
 *
 * **Details**
 *
 * Subject and issuer are written `CN=…, O=…`, empty when the certificate has no such name. `names` are its subject
 * alternative names, a name with unusual characters as a JSON string, IP addresses in their short form. Times are
 * milliseconds since the epoch; `chain` is the number of certificates, the leaf included.
 *
 * @category models
 * @since 0.1.0
 */
export const CertificateInfo = Schema.Struct({
  subject: Schema.String,
  issuer: Schema.String,
  names: Schema.Struct({ dns: Schema.Array(Schema.String), ip: Schema.Array(Schema.String) }),
  validFrom: Schema.Finite,
  validTo: Schema.Finite,
  fingerprint256: Schema.String,
  serial: Schema.String,
  chain: Schema.Int,
  warning: Schema.NullOr(Warning)
})
export type CertificateInfo = typeof CertificateInfo.Type

/**
 * A certificate with a key that is known to belong to it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Certificate {
  /** `warning` is as of the time of decoding; see {@link infoAt}. */
  readonly info: CertificateInfo
  /** The certificates as PEM text, leaf first: `cert` of a TLS context. */
  readonly chain: string
  /** The key as PEM text, PKCS#8, not encrypted: `key` of a TLS context. */
  readonly key: Redacted.Redacted
  readonly leaf: X509Certificate
  /** The texts by which it is found when a client asks for a name: its names in lower case, or its common name. */
  readonly hosts: ReadonlyArray<string>
}

// ---------------------------------------------------------------------------------------------------------------------
// What can be wrong
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Why a certificate is not taken.
 *
 * **Details**
 *
 * - `InvalidInput`: the input, or a field of it, is not what {@link Input} says; values are never shown.
 * - `TooLarge`: more bytes or certificates than {@link limits} allow.
 * - `NotACertificate`: there is no certificate in it, or the one at `index` can't be read.
 * - `NotAKey`: there is no private key, or it can't be read.
 * - `WrongPassphrase`: the key is encrypted, and the passphrase is missing or does not open it.
 * - `KeyMismatch`: the key does not belong to the leaf.
 * - `ChainBroken`: the certificate at `index` did not issue the one before it.
 *
 * @category errors
 * @since 0.1.0
 */
export const CertificateReason = Schema.TaggedUnion({
  InvalidInput: { field: Schema.String, detail: Schema.String },
  TooLarge: {
    field: Schema.Literals(["certificate", "key", "passphrase"]),
    limit: Schema.Int,
    unit: Schema.Literals(["bytes", "certificates"])
  },
  NotACertificate: { index: Schema.Int, detail: Schema.String },
  NotAKey: { detail: Schema.String },
  WrongPassphrase: { given: Schema.Boolean },
  KeyMismatch: { subject: Schema.String },
  ChainBroken: { index: Schema.Int, subject: Schema.String, previous: Schema.String }
})
export type CertificateReason = typeof CertificateReason.Type

/**
 * A reason as a sentence.
 *
 * @category errors
 * @since 0.1.0
 */
export const explain: (reason: CertificateReason) => string = CertificateReason.match({
  InvalidInput: ({ detail, field }) => `${field}: ${detail}`,
  TooLarge: ({ field, limit, unit }) => `${field}: it is too large; the limit is ${limit} ${unit}`,
  NotACertificate: ({ detail, index }) => `certificate: ${index === 0 ? "" : `number ${index + 1} in it: `}${detail}`,
  NotAKey: ({ detail }) => `key: ${detail}`,
  WrongPassphrase: ({ given }) =>
    given ? "passphrase: it does not open the key" : "passphrase: it is missing, and the key is encrypted",
  KeyMismatch: ({ subject }) => `key: it does not belong to the certificate "${subject}"`,
  ChainBroken: ({ index, previous, subject }) =>
    `certificate: number ${index + 1} in it, "${subject}", did not issue the one before it, "${previous}"; ` +
    `the leaf comes first, then the one that issued it, and so on`
})

const fail = (reason: CertificateReason): Result.Result<never, CertificateReason> => Result.fail(reason)

/** OpenSSL throws its errors, and what they say is not meant for users. */
const attempt = <A>(f: () => A): A | undefined => Result.getOrUndefined(Result.try(f))

// ---------------------------------------------------------------------------------------------------------------------
// Names
// ---------------------------------------------------------------------------------------------------------------------

const LONGEST_SUBJECT = 200

/**
 * A name, which comes with one line for each of its parts, on one line; an empty name comes as `undefined`.
 *
 * @category getters
 * @since 0.1.0
 */
export const nameOf = (lines: string | undefined): string => {
  const name = (lines ?? "").replaceAll("\n", ", ")
  return name.length > LONGEST_SUBJECT ? `${name.slice(0, LONGEST_SUBJECT - 1)}…` : name
}

// ---------------------------------------------------------------------------------------------------------------------
// Validity
// ---------------------------------------------------------------------------------------------------------------------

const warningAt = (info: Pick<CertificateInfo, "validFrom" | "validTo">, now: number): Warning | null =>
  now < info.validFrom ? "NotYetValid" : now > info.validTo ? "Expired" : null

/**
 * What is known of the certificate, with the warning as of `now`, in milliseconds since the epoch.
 *
 * @category getters
 * @since 0.1.0
 */
export const infoAt = ({ info }: Certificate, now: number): CertificateInfo => {
  const warning = warningAt(info, now)
  return warning === info.warning ? info : { ...info, warning }
}

// ---------------------------------------------------------------------------------------------------------------------
// Decoding
// ---------------------------------------------------------------------------------------------------------------------

const decodeInput = Schema.decodeUnknownResult(Input, { onExcessProperty: "error" })

const right: Readonly<Record<string, string>> = {
  certificate: "it must be PEM text",
  key: "it must be PEM text, plain or Redacted",
  passphrase: "it must be text, plain or Redacted, or left out"
}

/** The field that an issue is about. Nothing else of the issue is shown, since it holds the values. */
const fieldOf = (issue: SchemaIssue.Issue): string | undefined => {
  switch (issue._tag) {
    case "Composite":
      return fieldOf(issue.issues[0])
    case "Pointer":
      return String(issue.path[0])
    default:
      return undefined
  }
}

const invalid = (issue: SchemaIssue.Issue | undefined): CertificateReason => {
  const field = issue === undefined ? undefined : fieldOf(issue)
  if (field === undefined) {
    return { _tag: "InvalidInput", field: "input", detail: "it must be an object with certificate and key" }
  }
  const detail = Object.hasOwn(right, field) ? right[field] : undefined
  return detail === undefined
    ? {
      _tag: "InvalidInput",
      // what is not an identifier may be a secret that got into the wrong place
      field: /^\w{1,32}$/.test(field) ? field : "input",
      detail: "there is no such field; they are certificate, key and passphrase"
    }
    : { _tag: "InvalidInput", field, detail }
}

const plain = (secret: typeof Secret.Type): string => typeof secret === "string" ? secret : Redacted.value(secret)

const tooLarge = (
  field: "certificate" | "key" | "passphrase",
  text: string,
  limit: number
): Result.Result<void, CertificateReason> =>
  Buffer.byteLength(text) > limit ? fail({ _tag: "TooLarge", field, limit, unit: "bytes" }) : Result.void

const readChain = (text: string): Result.Result<ReadonlyArray<X509Certificate>, CertificateReason> => {
  const broken = (index: number, detail: string) => fail({ _tag: "NotACertificate", index, detail })
  const all = Pem.blocksOf(text)
  if (all === undefined) return broken(0, "a PEM block in it is cut off")
  const blocks = all.filter(Pem.isCertificate)
  if (blocks.length === 0) return broken(0, `there is no PEM block of a certificate in it${Pem.holding(all)}`)
  if (blocks.length > limits.chain) {
    return fail({ _tag: "TooLarge", field: "certificate", limit: limits.chain, unit: "certificates" })
  }
  const chain: Array<X509Certificate> = []
  for (const [index, block] of blocks.entries()) {
    const certificate = attempt(() => new X509Certificate(block.text))
    const whole = certificate !== undefined && Number.isFinite(certificate.validFromDate.getTime()) &&
      Number.isFinite(certificate.validToDate.getTime())
    if (!whole) return broken(index, "it can't be read")
    const previous = chain.at(-1)
    if (previous !== undefined && !issued(certificate, previous)) {
      const subject = nameOf(certificate.subject)
      return fail({ _tag: "ChainBroken", index, subject, previous: nameOf(previous.subject) })
    }
    chain.push(certificate)
  }
  return Result.succeed(chain)
}

/**
 * Whether a PEM text holds certificates and all of them can be read, as a text of authorities requires.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isAuthorities = (text: string): boolean => {
  const blocks = Buffer.byteLength(text) > limits.pemBytes ? undefined : Pem.blocksOf(text)?.filter(Pem.isCertificate)
  return blocks !== undefined && blocks.length > 0 &&
    blocks.every((block) => attempt(() => new X509Certificate(block.text)) !== undefined)
}

/** Checks the name and the signature: `checkIssued` looks only at names. */
const issued = (issuer: X509Certificate, certificate: X509Certificate): boolean =>
  attempt(() => certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)) === true

const readKey = (text: string, passphrase: string | undefined): Result.Result<KeyObject, CertificateReason> => {
  const broken = (detail: string) => fail({ _tag: "NotAKey", detail })
  const blocks = Pem.blocksOf(text)
  if (blocks === undefined) return broken("a PEM block in it is cut off")
  const block = blocks.find(Pem.isPrivateKey)
  if (block === undefined) return broken(`there is no PEM block of a private key in it${Pem.holding(blocks)}`)
  if (block.label === "OPENSSH PRIVATE KEY") {
    return broken("it is in the form of OpenSSH; TLS needs PKCS#8, as \"ssh-keygen -p -m PKCS8\" writes it")
  }
  if (!Pem.isEncrypted(block)) {
    const key = attempt(() => createPrivateKey(block.text))
    return key === undefined ? broken("it can't be read") : Result.succeed(key)
  }
  if (!Pem.isIntact(block)) return broken("it can't be read")
  if (passphrase === undefined) return fail({ _tag: "WrongPassphrase", given: false })
  const key = attempt(() => createPrivateKey({ key: block.text, passphrase }))
  return key === undefined ? fail({ _tag: "WrongPassphrase", given: true }) : Result.succeed(key)
}

const PROBE = Buffer.from("sluice")

/**
 * Checks with a signature, which is what a handshake will ask for: `checkPrivateKey` compares only the public parts,
 * and a damaged key may hold the private part of another one.
 */
const belongs = (key: KeyObject, leaf: X509Certificate): boolean =>
  attempt(() => verify(null, PROBE, leaf.publicKey, sign(null, PROBE, key))) === true

/**
 * Reads and checks a certificate with its chain and key; `now` is in milliseconds since the epoch.
 *
 * **Details**
 *
 * `input` is an {@link Input}. A leaf that is not valid now is taken, with a warning: it may become valid, and a
 * certificate that has just expired is better than none.
 *
 * **Gotchas**
 *
 * Synchronous: it takes some 100 us for a certificate and its key, and for an encrypted key as long as its key
 * derivation takes, which is up to whoever encrypted it.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (input: unknown, now: number): Result.Result<Certificate, CertificateReason> =>
  Result.gen(function*() {
    // a value that can't even be looked at, such as a wiped Redacted, throws
    const decoded = attempt(() => decodeInput(input)) ?? Result.fail(undefined)
    if (Result.isFailure(decoded)) return yield* fail(invalid(decoded.failure?.issue))
    const given = decoded.success
    const keyText = plain(given.key)
    const passphrase = given.passphrase === undefined ? undefined : plain(given.passphrase)
    yield* tooLarge("certificate", given.certificate, limits.pemBytes)
    yield* tooLarge("key", keyText, limits.pemBytes)
    yield* tooLarge("passphrase", passphrase ?? "", limits.passphraseBytes)

    const chain = yield* readChain(given.certificate)
    const leaf = chain[0]!
    const subject = nameOf(leaf.subject)
    const key = yield* readKey(keyText, passphrase)
    if (!belongs(key, leaf)) return yield* fail({ _tag: "KeyMismatch", subject })

    const validity = { validFrom: leaf.validFromDate.getTime(), validTo: leaf.validToDate.getTime() }
    return {
      info: {
        subject,
        issuer: nameOf(leaf.issuer),
        names: ServerName.namesOf(leaf),
        ...validity,
        fingerprint256: leaf.fingerprint256,
        serial: leaf.serialNumber,
        chain: chain.length,
        warning: warningAt(validity, now)
      },
      chain: chain.map(String).join(""),
      key: Redacted.make(String(key.export({ type: "pkcs8", format: "pem" })), { label: "key" }),
      leaf,
      hosts: ServerName.hostsOf(leaf)
    }
  })
