import { assert, describe, it } from "@effect/vitest"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto"
import { createSecureContext } from "node:tls"
import { inspect } from "node:util"
import * as Certificate from "../../../src/domain/net/Certificate.ts"
import * as Pem from "../../support/Pem.ts"

const decoded = (input: unknown, now = Pem.now) => Result.getOrThrow(Certificate.decode(input, now))
const refused = (input: unknown) => Result.getOrThrow(Result.flip(Certificate.decode(input, Pem.now)))

/** What no one may see of a key: the lines of its text, of which the first and the last will do. */
const secretsOf = (key: string): ReadonlyArray<string> => {
  const lines = key.trim().split("\n").slice(1, -1)
  return [lines[0]!, lines.at(-1)!]
}

describe("Certificate", () => {
  it("W19 says what is known of a certificate with its chain", () => {
    const leaf = new X509Certificate(Pem.chain[0])
    const { chain, info, leaf: kept } = decoded(Pem.pair("chain"))
    assert.deepStrictEqual(info, {
      subject: "CN=Leaf, O=Test\\, chained",
      issuer: "CN=Middle, O=Test",
      names: { dns: ["Chain.test", "www.chain.test"], ip: ["127.0.0.1", "2001:db8::1"] },
      validFrom: Date.UTC(2020, 0, 1),
      validTo: Date.UTC(2119, 11, 31, 23, 59, 59),
      fingerprint256: leaf.fingerprint256,
      serial: leaf.serialNumber,
      chain: 3,
      warning: null
    })
    assert.isTrue(Schema.is(Certificate.CertificateInfo)(info))
    assert.strictEqual(chain, Pem.pair("chain").certificate)
    assert.strictEqual(kept.fingerprint256, leaf.fingerprint256)
  })

  it("W19 has an empty text for a subject and an issuer that are empty", () => {
    const { info } = decoded(Pem.pair("nameless"))
    assert.deepStrictEqual([info.subject, info.issuer], ["", ""])
  })

  for (const name of Pem.names) {
    it(`W19 what it keeps of ${name} is what a TLS context takes`, () => {
      const { chain, key, leaf } = decoded(Pem.pair(name))
      assert.isTrue(leaf.checkPrivateKey(createPrivateKey(Redacted.value(key))))
      createSecureContext({ cert: chain, key: Redacted.value(key) })
    })
  }

  it("W19 takes a chain that leaves the root out", () => {
    const [leaf, middle] = Pem.chain
    assert.strictEqual(decoded({ ...Pem.pair("chain"), certificate: leaf + middle }).info.chain, 2)
    assert.strictEqual(decoded({ ...Pem.pair("chain"), certificate: leaf }).info.chain, 1)
  })

  it("W19 takes PEM text with other line ends, words between its blocks and blocks of other kinds, and keeps none of them", () => {
    const { certificate, key } = Pem.pair("chain")
    const [leaf, middle, root] = Pem.chain
    const mixed = `a leaf:\n${key}\n${leaf}then\n  its issuer\n${middle}${root}and nothing else`.replaceAll(
      "\n",
      "\r\n"
    )
    const known = decoded({
      certificate: mixed,
      key: `-----BEGIN EC PARAMETERS-----\nBggq\n-----END EC PARAMETERS-----\n${key}`
    })
    assert.strictEqual(known.chain, certificate)
    assert.strictEqual(Redacted.value(known.key), key)
  })

  // -------------------------------------------------------------------------------------------------------------------
  // Validity
  // -------------------------------------------------------------------------------------------------------------------

  it("W19 takes a certificate that is not valid at the time, with a warning", () => {
    const { certificate, key } = Pem.pair("expired")
    const from = Date.UTC(2000, 0, 1)
    const to = Date.UTC(2001, 0, 1)
    for (
      const [now, warning] of [
        [0, "NotYetValid"],
        [from - 1, "NotYetValid"],
        [from, null],
        [to, null],
        [to + 1, "Expired"],
        [Pem.now, "Expired"]
      ] as const
    ) {
      const known = decoded({ certificate, key }, now)
      assert.strictEqual(known.info.warning, warning)
      for (const then of [0, from, to + 1]) {
        assert.deepStrictEqual(Certificate.infoAt(known, then), decoded({ certificate, key }, then).info)
      }
    }
  })

  // -------------------------------------------------------------------------------------------------------------------
  // Keys
  // -------------------------------------------------------------------------------------------------------------------

  it("W19 opens an encrypted key with its passphrase, plain or Redacted, and keeps it without", () => {
    const plain = decoded(Pem.encrypted)
    const redacted = decoded({
      certificate: Pem.encrypted.certificate,
      key: Redacted.make(Pem.encrypted.key),
      passphrase: Redacted.make(Pem.encrypted.passphrase)
    })
    for (const { chain, key } of [plain, redacted]) {
      assert.include(Redacted.value(key), "BEGIN PRIVATE KEY")
      createSecureContext({ cert: chain, key: Redacted.value(key) })
    }
  })

  const ec = createPrivateKey(Pem.pair("wildcard").key)
  const rsa = createPrivateKey(Pem.pair("rsa").key)
  const lock = { format: "pem", cipher: "aes-256-cbc", passphrase: "x".repeat(1023) } as const
  const forms: ReadonlyArray<readonly [string, "wildcard" | "rsa", KeyObject, string | Buffer, boolean]> = [
    ["SEC1", "wildcard", ec, ec.export({ type: "sec1", format: "pem" }), false],
    ["SEC1, encrypted", "wildcard", ec, ec.export({ type: "sec1", ...lock }), true],
    ["PKCS#8, encrypted", "wildcard", ec, ec.export({ type: "pkcs8", ...lock }), true],
    ["PKCS#1", "rsa", rsa, rsa.export({ type: "pkcs1", format: "pem" }), false],
    ["PKCS#1, encrypted", "rsa", rsa, rsa.export({ type: "pkcs1", ...lock }), true]
  ]

  for (const [form, name, object, exported, isEncrypted] of forms) {
    const { certificate } = Pem.pair(name)
    const key = String(exported)

    it(`W19 takes a key in ${form}`, () => {
      const known = decoded({ certificate, key, passphrase: lock.passphrase })
      assert.isTrue(createPrivateKey(Redacted.value(known.key)).equals(object))
    })

    if (!isEncrypted) continue

    it(`W19 tells a passphrase that is missing, empty or wrong from a key that is broken: ${form}`, () => {
      assert.deepStrictEqual(refused({ certificate, key }), { _tag: "WrongPassphrase", given: false })
      // one in 256 of them makes something of the key that looks as if it were well decrypted
      const wrong = Array.from({ length: form === "SEC1, encrypted" ? 1500 : 3 }, (_, i) => `wrong ${i}`)
      for (const passphrase of ["", ...wrong, Redacted.make("wrong")]) {
        assert.deepStrictEqual(refused({ certificate, key, passphrase }), { _tag: "WrongPassphrase", given: true })
      }
      const lines = key.trimEnd().split("\n")
      const cut = [...lines.slice(0, -2), lines.at(-2)!.slice(4), lines.at(-1)!].join("\n")
      for (const passphrase of [undefined, lock.passphrase]) {
        assert.strictEqual(refused({ certificate, key: cut, passphrase })._tag, "NotAKey")
      }
    })
  }

  it("W19 has no use for a passphrase of a key that is not encrypted", () => {
    assert.isNull(decoded({ ...Pem.pair("rsa"), passphrase: "whatever" }).info.warning)
  })

  const { certificate, key } = Pem.pair("chain")
  const publicKey = String(generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "pem" }))
  const noKeys: ReadonlyArray<readonly [string, string, string]> = [
    ["nothing", "", "there is no PEM block of a private key in it"],
    ["words", "my key", "there is no PEM block of a private key in it"],
    ["a certificate", certificate, "it holds: CERTIFICATE"],
    ["a public key", publicKey, "it holds: PUBLIC KEY"],
    ["a key without its end", key.slice(0, -10), "a PEM block in it is cut off"],
    ["a key within a key", key.replace("\n", `\n${key}`), "a PEM block in it is cut off"],
    ["a key with a hole", key.replace(/\n.{20}/, "\n"), "it can't be read"],
    ["an empty key", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", "it can't be read"],
    ["an OpenSSH key", key.replaceAll(" PRIVATE", " OPENSSH PRIVATE"), "it is in the form of OpenSSH"],
    [
      "an encrypted key of nothing",
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\n-----END ENCRYPTED PRIVATE KEY-----\n",
      "it can't be read"
    ]
  ]

  for (const [what, key, right] of noKeys) {
    it(`W19 refuses ${what} for a key`, () => {
      const reason = refused({ certificate, key })
      assert.strictEqual(reason._tag, "NotAKey")
      assert.include(Certificate.explain(reason), `key: `)
      assert.include(Certificate.explain(reason), right)
    })
  }

  it("W19 refuses the key of another certificate, of its kind and of another", () => {
    for (const other of ["wildcard", "rsa"] as const) {
      const reason = refused({ certificate, key: Pem.pair(other).key })
      assert.deepStrictEqual(reason, { _tag: "KeyMismatch", subject: "CN=Leaf, O=Test\\, chained" })
      assert.strictEqual(
        Certificate.explain(reason),
        "key: it does not belong to the certificate \"CN=Leaf, O=Test\\, chained\""
      )
    }
    const exchange = generateKeyPairSync("x25519").privateKey.export({ type: "pkcs8", format: "pem" })
    assert.strictEqual(refused({ certificate, key: String(exchange) })._tag, "KeyMismatch")
  })

  it("W19 refuses a key with the certificate's public part and another private one", () => {
    const der = createPrivateKey(key).export({ type: "pkcs8", format: "der" })
    der[40]! ^= 1
    const damaged = createPrivateKey({ key: der, type: "pkcs8", format: "der" })
    assert.isTrue(new X509Certificate(Pem.chain[0]).checkPrivateKey(damaged))
    assert.strictEqual(
      refused({ certificate, key: String(damaged.export({ type: "pkcs8", format: "pem" })) })._tag,
      "KeyMismatch"
    )
  })

  // -------------------------------------------------------------------------------------------------------------------
  // Chains
  // -------------------------------------------------------------------------------------------------------------------

  const [leaf, middle, root] = Pem.chain
  const noCertificates: ReadonlyArray<readonly [string, string, number, string]> = [
    ["nothing", "", 0, "there is no PEM block of a certificate in it"],
    ["a key", key, 0, "it holds: PRIVATE KEY"],
    ["a request", leaf.replaceAll("CERTIFICATE", "CERTIFICATE REQUEST"), 0, "it holds: CERTIFICATE REQUEST"],
    ["a certificate without its end", leaf.slice(0, -5), 0, "a PEM block in it is cut off"],
    ["a chain without its end", leaf + middle.slice(0, -40), 0, "a PEM block in it is cut off"],
    ["a beginning alone", "-----BEGIN ", 0, "a PEM block in it is cut off"],
    ["a certificate with a hole", leaf.replace(/\n.{20}/, "\n"), 0, "certificate: it can't be read"],
    ["a chain with a hole", leaf + middle.replace(/\n.{20}/, "\n"), 1, "certificate: number 2 in it: it can't be read"],
    ["no base64", "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", 0, "it can't be read"]
  ]

  for (const [what, certificate, index, right] of noCertificates) {
    it(`W19 refuses ${what} for a certificate`, () => {
      const reason = refused({ certificate, key })
      assert.strictEqual(reason._tag, "NotACertificate")
      assert.strictEqual((reason as Extract<Certificate.CertificateReason, { _tag: "NotACertificate" }>).index, index)
      assert.include(Certificate.explain(reason), right)
    })
  }

  const brokenChains: ReadonlyArray<readonly [string, string, number, string, string]> = [
    ["that leaves one out", leaf + root, 1, "CN=Root, O=Test", "CN=Leaf, O=Test\\, chained"],
    ["whose end is in another order", leaf + root + middle, 1, "CN=Root, O=Test", "CN=Leaf, O=Test\\, chained"],
    ["that has its leaf twice", leaf + leaf + middle, 1, "CN=Leaf, O=Test\\, chained", "CN=Leaf, O=Test\\, chained"],
    ["that has an authority twice", leaf + middle + middle, 2, "CN=Middle, O=Test", "CN=Middle, O=Test"],
    ["with another's root", leaf + middle + Pem.impostor, 2, "CN=Middle, O=Test", "CN=Middle, O=Test"],
    [
      "with an authority of the right name only",
      leaf + Pem.impostor,
      1,
      "CN=Middle, O=Test",
      "CN=Leaf, O=Test\\, chained"
    ]
  ]

  for (const [what, certificate, index, subject, previous] of brokenChains) {
    it(`W19 refuses a chain ${what}`, () => {
      const reason = refused({ certificate, key })
      assert.deepStrictEqual(reason, { _tag: "ChainBroken", index, subject, previous })
      assert.include(
        Certificate.explain(reason),
        `number ${index + 1} in it, "${subject}", did not issue the one before it, "${previous}"`
      )
    })
  }

  it("W19 looks at names, since an authority of the right key passes a look at signatures", () => {
    const alias = new X509Certificate(Pem.alias)
    assert.isTrue(new X509Certificate(leaf).verify(alias.publicKey))
    assert.strictEqual(refused({ certificate: leaf + Pem.alias, key })._tag, "ChainBroken")
  })

  it("W19 looks at signatures, since an authority of the right name passes a look at names", () => {
    assert.isTrue(new X509Certificate(leaf).checkIssued(new X509Certificate(Pem.impostor)))
    assert.strictEqual(refused({ certificate: leaf + Pem.impostor, key })._tag, "ChainBroken")
  })

  // -------------------------------------------------------------------------------------------------------------------
  // Input
  // -------------------------------------------------------------------------------------------------------------------

  it("W19 takes texts up to their bounds and none beyond", () => {
    const { pemBytes, passphraseBytes } = Certificate.limits
    const fill = (text: string, bytes: number) => text + "\n".repeat(bytes - text.length)
    const full = {
      certificate: fill(certificate, pemBytes),
      key: fill(key, pemBytes),
      passphrase: "x".repeat(passphraseBytes)
    }
    assert.strictEqual(decoded(full).info.chain, 3)
    for (const field of ["certificate", "key", "passphrase"] as const) {
      const limit = field === "passphrase" ? passphraseBytes : pemBytes
      const reason = refused({ ...full, [field]: `${full[field].slice(0, -1)}é` })
      assert.deepStrictEqual(reason, { _tag: "TooLarge", field, limit, unit: "bytes" })
      assert.strictEqual(Certificate.explain(reason), `${field}: it is too large; the limit is ${limit} bytes`)
      assert.strictEqual(
        refused({ ...full, [field]: Redacted.make(full[field] + "x") })._tag,
        field === "certificate" ? "InvalidInput" : "TooLarge"
      )
    }
  })

  it("W19 opens a key with a passphrase of the greatest length", () => {
    const passphrase = "x".repeat(Certificate.limits.passphraseBytes)
    const key = String(ec.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase }))
    assert.isNull(decoded({ certificate: Pem.pair("wildcard").certificate, key, passphrase }).info.warning)
  })

  it("W19 takes a chain of so many certificates and no more", () => {
    const long = (length: number) => leaf + middle + root.repeat(length - 2)
    assert.strictEqual(decoded({ certificate: long(Certificate.limits.chain), key }).info.chain, 32)
    const reason = refused({ certificate: long(Certificate.limits.chain + 1), key })
    assert.deepStrictEqual(reason, { _tag: "TooLarge", field: "certificate", limit: 32, unit: "certificates" })
  })

  it("W19 reads the longest text of beginnings without ends at once", () => {
    const hostile = ["-----BEGIN CERTIFICATE-----\n", "-----BEGIN ", "-----BEGIN A-----\n-----END A-----\n"]
    for (const piece of hostile) {
      const text = piece.repeat(Math.floor(Certificate.limits.pemBytes / piece.length))
      assert.strictEqual(refused({ certificate: text, key })._tag, "NotACertificate")
      assert.strictEqual(refused({ certificate, key: text })._tag, "NotAKey")
    }
  })

  const wiped = Redacted.make(key)
  Redacted.wipeUnsafe(wiped)
  const invalid: ReadonlyArray<readonly [string, unknown, string]> = [
    ["nothing", undefined, "input: it must be an object with certificate and key"],
    ["a text", certificate, "input: it must be an object with certificate and key"],
    ["a list", [certificate, key], "input: it must be an object with certificate and key"],
    ["no key", { certificate }, "key: it must be PEM text, plain or Redacted"],
    ["no certificate", { key }, "certificate: it must be PEM text"],
    ["a key as bytes", { certificate, key: Buffer.from(key) }, "key: it must be PEM text, plain or Redacted"],
    ["a Redacted number", { certificate, key: Redacted.make(1) }, "key: it must be PEM text, plain or Redacted"],
    ["a passphrase that is a number", { certificate, key, passphrase: 1 }, "passphrase: it must be text"],
    ["no passphrase but null", { certificate, key, passphrase: null }, "passphrase: it must be text"],
    ["a misspelled field", { certificate, key, pasphrase: "x" }, "pasphrase: there is no such field"],
    ["a key in the place of a field", { certificate, key, [key]: "x" }, "input: there is no such field"],
    ["a field of every object", { certificate, key, toString: "x" }, "toString: there is no such field"],
    ["a Redacted that has been wiped", { certificate, key: wiped }, "input: it must be an object"]
  ]

  for (const [what, input, right] of invalid) {
    it(`W19 refuses ${what} and says what would be right`, () => {
      const reason = refused(input)
      assert.strictEqual(reason._tag, "InvalidInput")
      assert.include(Certificate.explain(reason), right)
    })
  }

  it("W19 takes a passphrase of undefined as none", () => {
    assert.isNull(decoded({ ...Pem.pair("chain"), passphrase: undefined }).info.warning)
  })

  // -------------------------------------------------------------------------------------------------------------------
  // Secrets
  // -------------------------------------------------------------------------------------------------------------------

  it("W19 shows neither key nor passphrase in any text form, whatever stood in the certificate's text", () => {
    const { certificate, key, passphrase } = Pem.encrypted
    const inside = Redacted.value(decoded(Pem.encrypted).key)
    const secrets = [...secretsOf(key), ...secretsOf(inside), passphrase]
    const known = decoded({ certificate: inside + key + certificate, key, passphrase })
    for (
      const text of [
        String(known),
        `${known.key}`,
        JSON.stringify(known),
        inspect(known, { depth: Infinity, showHidden: true, maxStringLength: Infinity }),
        JSON.stringify(structuredClone(known.info))
      ]
    ) {
      for (const secret of secrets) assert.notInclude(text, secret)
    }
    assert.include(JSON.stringify(known), "<redacted:key>")
  })

  it("W19 shows neither key nor passphrase in a reason", () => {
    const passphrase = "a passphrase that is not right"
    const { certificate, key } = Pem.encrypted
    const clear = Redacted.value(decoded(Pem.encrypted).key)
    const bad: ReadonlyArray<unknown> = [
      { certificate, key, passphrase },
      { certificate, key: clear.slice(0, -10), passphrase },
      { certificate, key: clear.replace(/\n.{20}/, "\n"), passphrase },
      { certificate: leaf, key: clear, passphrase },
      { certificate: clear, key, passphrase },
      { certificate: clear, key: clear, passphrase: 1 },
      { certificate, key: [clear], passphrase },
      { certificate: 1, key: clear, passphrase },
      { certificate, key: clear, passhrase: passphrase },
      { certificate, key: clear, [passphrase]: "" },
      { certificate, key: "x".repeat(Certificate.limits.pemBytes) + clear, passphrase },
      { certificate, key: `-----BEGIN ${passphrase}-----\n-----END ${passphrase}-----` }
    ]
    for (const input of bad) {
      const reason = refused(input)
      const text = inspect(reason, { depth: Infinity }) + JSON.stringify(reason) + Certificate.explain(reason)
      for (const secret of [...secretsOf(key), ...secretsOf(clear), passphrase]) assert.notInclude(text, secret)
    }
  })

  it("W19 bounds the length of what it says of a certificate", () => {
    const labels = Array.from({ length: 50 }, (_, i) => `${"A".repeat(40)} ${i}`)
    const text = labels.map((label) => `-----BEGIN ${label}-----\n-----END ${label}-----\n`).join("")
    assert.isBelow(Certificate.explain(refused({ certificate: text, key })).length, 400)
  })

  it("W19 a name with a comma in it is one name, and not two", () => {
    assert.deepStrictEqual(decoded(Pem.pair("odd")).info.names.dns, [
      "odd.test",
      "\"a.test\\u002c DNS:evil.test\"",
      ".dot.test",
      "p*.part.test"
    ])
  })
})
