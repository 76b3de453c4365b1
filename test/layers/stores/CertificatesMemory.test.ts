import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { duplexPair } from "node:stream"
import * as Tls from "node:tls"
import { inspect } from "node:util"
import * as Handle from "../../../src/domain/state/Handle.ts"
import * as CertificatesMemory from "../../../src/layers/stores/CertificatesMemory.ts"
import {
  type CertificateEntry,
  type CertificateError,
  Certificates,
  MAX_PER_APPLICATION
} from "../../../src/services/Certificates.ts"
import * as Pem from "../../support/Pem.ts"

const app = Handle.make<Handle.AppHandle>(3, 1)
const other = Handle.make<Handle.AppHandle>(4, 0)

/** A store at a time at which the fixtures are valid, with two applications. */
const open = Effect.gen(function*() {
  yield* TestClock.setTime(Pem.now)
  const certificates = yield* Certificates
  yield* certificates.open(app)
  yield* certificates.open(other)
  return certificates
})

const subjects = (entries: ReadonlyArray<CertificateEntry>): ReadonlyArray<string> =>
  entries.map(({ info }) => info.subject)

const handles = (entries: ReadonlyArray<CertificateEntry>) => entries.map(({ handle }) => handle)

const noSuchCertificate = (handle: Handle.CertificateHandle) => ({
  _tag: "NoSuchCertificate" as const,
  certificate: Handle.format(handle)
})

/** The turns that it takes a subscriber to hear of a change. */
const settled = Effect.forEach(Array(20), () => Effect.yieldNow, { discard: true })

/** What a subscriber has seen so far, and its fiber. */
const subscribe = Effect.fnUntraced(function*(app: Handle.AppHandle) {
  const certificates = yield* Certificates
  const seen: Array<ReadonlyArray<CertificateEntry>> = []
  const fiber = yield* certificates.changes(app).pipe(
    Stream.runForEach((entries) => Effect.sync(() => seen.push(entries))),
    Effect.forkChild
  )
  yield* settled
  return { seen, fiber }
})

/** The subject that a client sees which asks for a name. */
const handshake = (certificates: Certificates["Service"], app: Handle.AppHandle, servername: string) =>
  Effect.callback<string, Error>((resume) => {
    const [near, far] = duplexPair()
    const contextOf = ({ certificate }: CertificateEntry) =>
      Tls.createSecureContext({ cert: certificate.chain, key: Redacted.value(certificate.key) })
    const server = new Tls.TLSSocket(far, {
      isServer: true,
      secureContext: contextOf(certificates.choose(app, undefined)!),
      SNICallback: (name, answer) => answer(null, contextOf(certificates.choose(app, name)!))
    })
    const client = Tls.connect({ socket: near, servername, rejectUnauthorized: false }, () => {
      resume(Effect.succeed(client.getPeerCertificate().subject.CN as string))
    })
    client.on("error", (error) => resume(Effect.fail(error)))
    server.on("error", (error) => resume(Effect.fail(error)))
    return Effect.sync(() => {
      client.destroy()
      server.destroy()
    })
  })

describe("Certificates", () => {
  it.effect("W19 an application's certificates are its own, in the order in which they were added", () =>
    Effect.gen(function*() {
      const certificates = yield* open
      const chain = yield* certificates.add(app, Pem.pair("chain"))
      const rsa = yield* certificates.add(app, Pem.pair("rsa"))
      const theirs = yield* certificates.add(other, Pem.pair("wildcard"))
      const entries = yield* certificates.of(app)
      assert.deepStrictEqual(handles(entries), [chain, rsa])
      assert.deepStrictEqual(subjects(entries), ["CN=Leaf, O=Test\\, chained", "CN=RSA"])
      assert.deepStrictEqual(handles(yield* certificates.of(other)), [theirs])
      for (const entry of entries) assert.deepStrictEqual(entry.info, entry.certificate.info)
    }).pipe(Effect.provide(CertificatesMemory.layer)))

  it.effect("W19 the order is that of adding, also when slots are taken again", () =>
    Effect.gen(function*() {
      const certificates = yield* open
      const first = yield* certificates.add(app, Pem.pair("chain"))
      yield* certificates.add(app, Pem.pair("rsa"))
      yield* certificates.remove(first)
      const last = yield* certificates.add(app, Pem.pair("wildcard"))
      assert.strictEqual(Handle.index(last), Handle.index(first))
      assert.deepStrictEqual(subjects(yield* certificates.of(app)), ["CN=RSA", "CN=Wildcard"])
      assert.strictEqual(certificates.choose(app, undefined)?.info.subject, "CN=RSA")
    }).pipe(Effect.provide(CertificatesMemory.layer)))

  it.effect("W19 a handle of a removed certificate does nothing, also when its slot is taken again", () =>
    Effect.gen(function*() {
      const certificates = yield* open
      const stale = yield* certificates.add(app, Pem.pair("chain"))
      yield* certificates.remove(stale)
      for (const taken of [false, true]) {
        if (taken) {
          const handle = yield* certificates.add(other, Pem.pair("rsa"))
          assert.strictEqual(Handle.index(handle), Handle.index(stale))
          assert.notStrictEqual(handle, stale)
        }
        for (const operation of [certificates.remove(stale), certificates.replace(stale, Pem.pair("wildcard"))]) {
          const error = yield* Effect.flip(operation)
          assert.deepStrictEqual(error.reason, noSuchCertificate(stale))
          assert.strictEqual(error.message, "there is no certificate 0.0")
        }
        assert.deepStrictEqual(yield* certificates.of(app), [])
        assert.deepStrictEqual(subjects(yield* certificates.of(other)), taken ? ["CN=RSA"] : [])
      }
    }).pipe(Effect.provide(CertificatesMemory.layer)))

  it.effect("W19 replacing keeps handle and order, and changes what is chosen from then on", () =>
    Effect.gen(function*() {
      const certificates = yield* open
      const first = yield* certificates.add(app, Pem.pair("chain"))
      const second = yield* certificates.add(app, Pem.pair("rsa"))
      const before = certificates.choose(app, "chain.test")
      assert.strictEqual(before?.handle, first)
      yield* certificates.replace(first, Pem.pair("wildcard"))
      const entries = yield* certificates.of(app)
      assert.deepStrictEqual(handles(entries), [first, second])
      assert.deepStrictEqual(subjects(entries), ["CN=Wildcard", "CN=RSA"])
      assert.strictEqual(certificates.choose(app, "a.wild.test")?.handle, first)
      assert.strictEqual(certificates.choose(app, undefined)?.info.subject, "CN=Wildcard")
      // nobody has the old name now
      assert.strictEqual(certificates.choose(app, "chain.test")?.info.subject, "CN=Wildcard")
      // whoever has begun with the old one can go on with it
      assert.include(Redacted.value(before!.certificate.key), "PRIVATE KEY")
    }).pipe(Effect.provide(CertificatesMemory.layer)))

  it.effect("W19 what is refused changes nothing and is heard of by nobody", () =>
    Effect.gen(function*() {
      const certificates = yield* open
      const handle = yield* certificates.add(app, Pem.pair("chain"))
      const [entry] = yield* certificates.of(app)
      const { seen } = yield* subscribe(app)
      const bad: ReadonlyArray<readonly [string, unknown, string]> = [
        ["InvalidInput", { key: "" }, "certificate: it must be PEM text"],
        [
          "TooLarge",
          { ...Pem.pair("rsa"), key: "x".repeat(2 ** 20 + 1) },
          "key: it is too large; the limit is 1048576 bytes"
        ],
        ["NotACertificate", { ...Pem.pair("rsa"), certificate: "" }, "certificate: there is no PEM block"],
        ["NotAKey", { ...Pem.pair("rsa"), key: "" }, "key: there is no PEM block"],
        ["WrongPassphrase", { ...Pem.encrypted, passphrase: "x" }, "passphrase: it does not open the key"],
        ["WrongPassphrase", { ...Pem.encrypted, passphrase: undefined }, "passphrase: it is missing"],
        [
          "KeyMismatch",
          { ...Pem.pair("rsa"), key: Pem.pair("chain").key },
          "does not belong to the certificate \"CN=RSA\""
        ],
        ["ChainBroken", { ...Pem.pair("chain"), certificate: Pem.chain[0] + Pem.chain[2] }, "did not issue"]
      ]
      for (const [tag, input, right] of bad) {
        for (const operation of [certificates.add(app, input), certificates.replace(handle, input)]) {
          const error = yield* Effect.flip(operation)
          assert.strictEqual(error._tag, "CertificateError")
          assert.strictEqual(error.reason._tag, tag)
          assert.include(error.message, right)
          assert.deepStrictEqual(yield* certificates.of(app), [entry!])
          assert.strictEqual(certificates.choose(app, "rsa.test")?.certificate, entry!.certificate)
        }
      }
      yield* settled
      assert.strictEqual(seen.length, 1)
      // none of them has taken a slot
      assert.strictEqual(Handle.format(yield* certificates.add(app, Pem.pair("rsa"))), "1.0")
    }).pipe(Effect.provide(CertificatesMemory.layer)))

  it.effect("W19 an application that is not attached has no certificates, and is told so by its handle", () =>
    Effect.gen(function*() {
      const certificates = yield* open
      const stranger = Handle.make<Handle.AppHandle>(3, 0)
      for (
        const operation of [
          certificates.add(stranger, Pem.pair("chain")),
          certificates.of(stranger),
          Stream.runDrain(certificates.changes(stranger))
        ]
      ) {
        const error = yield* Effect.flip(operation as Effect.Effect<unknown, CertificateError>)
        assert.deepStrictEqual(error.reason, { _tag: "NoSuchApp", app: "3.0" })
        assert.strictEqual(error.message, "there is no application 3.0")
      }
      assert.isUndefined(certificates.choose(stranger, "chain.test"))
      yield* certificates.close(stranger)
      assert.deepStrictEqual(yield* certificates.of(app), [])
    }).pipe(Effect.provide(CertificatesMemory.layer)))

  it.effect("W19 opening a store that is open leaves it as it is", () =>
    Effect.gen(function*() {
      const certificates = yield* open
      const handle = yield* certificates.add(app, Pem.pair("chain"))
      const { fiber, seen } = yield* subscribe(app)
      yield* certificates.open(app)
      assert.deepStrictEqual(handles(yield* certificates.of(app)), [handle])
      yield* certificates.add(app, Pem.pair("rsa"))
      yield* settled
      assert.strictEqual(seen.at(-1)?.length, 2)
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(CertificatesMemory.layer)))

  it.effect("W19 closing frees all of an application's certificates and none of another's, and ends its streams", () =>
    Effect.gen(function*() {
      const certificates = yield* open
      const mine = [yield* certificates.add(app, Pem.pair("chain")), yield* certificates.add(app, Pem.pair("rsa"))]
      const theirs = yield* certificates.add(other, Pem.pair("wildcard"))
      const subscriber = yield* subscribe(app)
      const bystander = yield* subscribe(other)
      yield* certificates.close(app)
      yield* Fiber.join(subscriber.fiber)
      assert.deepStrictEqual(subscriber.seen.map(handles), [mine])
      assert.strictEqual((yield* Effect.flip(certificates.of(app))).reason._tag, "NoSuchApp")
      assert.isUndefined(certificates.choose(app, "chain.test"))
      for (const handle of mine) {
        assert.deepStrictEqual((yield* Effect.flip(certificates.remove(handle))).reason, noSuchCertificate(handle))
      }
      assert.deepStrictEqual(handles(yield* certificates.of(other)), [theirs])
      assert.isUndefined(bystander.fiber.pollUnsafe())
      // the same handle again, as when a closed store is opened anew: it is empty, and its slots are free
      yield* certificates.open(app)
      assert.deepStrictEqual(yield* certificates.of(app), [])
      const again = [yield* certificates.add(app, Pem.pair("rsa")), yield* certificates.add(app, Pem.pair("rsa"))]
      assert.sameMembers(again.map(Handle.index), mine.map(Handle.index))
      yield* Fiber.interrupt(bystander.fiber)
    }).pipe(Effect.provide(CertificatesMemory.layer)))

  it.effect("W19 the end of the layer ends all streams", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(CertificatesMemory.layer, scope)
      yield* Effect.gen(function*() {
        const certificates = yield* open
        const subscribers = [yield* subscribe(app), yield* subscribe(other)]
        yield* Scope.close(scope, Exit.void)
        for (const { fiber } of subscribers) yield* Fiber.join(fiber)
        assert.strictEqual((yield* Effect.flip(certificates.of(app))).reason._tag, "NoSuchApp")
      }).pipe(Effect.provideContext(context))
    }))

  it.effect("W19 subscribers see what there is, and then every change that they are fast enough for", () =>
    Effect.gen(function*() {
      const certificates = yield* open
      const early = yield* subscribe(app)
      const chain = yield* certificates.add(app, Pem.pair("chain"))
      yield* settled
      const late = yield* subscribe(app)
      yield* certificates.replace(chain, Pem.pair("rsa"))
      yield* settled
      yield* certificates.add(other, Pem.pair("wildcard"))
      yield* settled
      yield* certificates.remove(chain)
      yield* settled
      const replaced = [["CN=Leaf, O=Test\\, chained"], ["CN=RSA"], []]
      assert.deepStrictEqual(early.seen.map(subjects), [[], ...replaced])
      assert.deepStrictEqual(late.seen.map(subjects), replaced)
      yield* Fiber.interruptAll([early.fiber, late.fiber])
    }).pipe(Effect.provide(CertificatesMemory.layer)))

  it.effect("W19 a slow subscriber sees the last state and need not see all before it, and a fast one misses nothing by it", () =>
    Effect.gen(function*() {
      const certificates = yield* open
      const gate = yield* Deferred.make<void>()
      const slow: Array<ReadonlyArray<CertificateEntry>> = []
      const fiber = yield* certificates.changes(app).pipe(
        Stream.runForEach((entries) => Effect.andThen(Effect.sync(() => slow.push(entries)), Deferred.await(gate))),
        Effect.forkChild
      )
      const fast = yield* subscribe(app)
      const added: Array<Handle.CertificateHandle> = []
      for (let i = 0; i < 8; i++) {
        added.push(yield* certificates.add(app, Pem.pair("rsa")))
        yield* settled
      }
      yield* Deferred.succeed(gate, undefined)
      yield* settled
      assert.deepStrictEqual(fast.seen.map((entries) => entries.length), [0, 1, 2, 3, 4, 5, 6, 7, 8])
      assert.deepStrictEqual(handles(slow.at(-1)!), added)
      assert.isBelow(slow.length, 5)
      yield* Fiber.interruptAll([fiber, fast.fiber])
    }).pipe(Effect.provide(CertificatesMemory.layer)))

  it.effect("W19 a subscriber sees all of a burst of changes in its last state", () =>
    Effect.gen(function*() {
      const certificates = yield* open
      const { fiber, seen } = yield* subscribe(app)
      const added = yield* Effect.forEach(Array(20), () => certificates.add(app, Pem.pair("rsa")), { concurrency: 20 })
      yield* settled
      assert.sameMembers(handles(seen.at(-1)!), added)
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(CertificatesMemory.layer)))

  it.effect("W19 the name chooses: the exact one, else a wildcard, else the first added; each the first of its kind", () =>
    Effect.gen(function*() {
      const certificates = yield* open
      assert.isUndefined(certificates.choose(app, "chain.test"))
      assert.isUndefined(certificates.choose(app, undefined))
      const added: Record<string, Handle.CertificateHandle> = {}
      for (const name of ["rsa", "wildcard", "chain", "named", "odd"] as const) {
        added[name] = yield* certificates.add(app, Pem.pair(name))
      }
      // the same names once more: never chosen
      for (const name of ["rsa", "wildcard", "chain"] as const) yield* certificates.add(app, Pem.pair(name))
      const right: ReadonlyArray<readonly [string | undefined, string]> = [
        [undefined, "rsa"],
        ["", "rsa"],
        ["rsa.test", "rsa"],
        ["chain.test", "chain"],
        ["CHAIN.TEST.", "chain"],
        ["www.chain.test", "chain"],
        ["127.0.0.1", "chain"],
        ["2001:DB8::1", "chain"],
        ["a.wild.test", "wildcard"],
        ["A.WILD.test", "wildcard"],
        ["named.test", "named"],
        ["odd.test", "odd"],
        ["wild.test", "rsa"],
        [".wild.test", "rsa"],
        ["*.wild.test", "rsa"],
        ["a.b.wild.test", "rsa"],
        ["_a.wild.test", "rsa"],
        ["evil.test", "rsa"],
        ["a.dot.test", "rsa"],
        ["chain.test\0", "rsa"],
        ["__proto__", "rsa"],
        ["x".repeat(100_000), "rsa"]
      ]
      for (const [serverName, name] of right) {
        assert.strictEqual(certificates.choose(app, serverName)?.handle, added[name], serverName)
      }
      assert.isUndefined(certificates.choose(other, "chain.test"))
    }).pipe(Effect.provide(CertificatesMemory.layer)))

  it.effect("W19 an exact name is chosen over a wildcard that was added before", () =>
    Effect.gen(function*() {
      const certificates = yield* open
      const wildcard = yield* certificates.add(app, Pem.pair("wildcard"))
      const exact = yield* certificates.add(app, Pem.pair("exact"))
      assert.strictEqual(certificates.choose(app, "www.wild.test")?.handle, exact)
      assert.strictEqual(certificates.choose(app, "a.wild.test")?.handle, wildcard)
      yield* certificates.remove(exact)
      assert.strictEqual(certificates.choose(app, "www.wild.test")?.handle, wildcard)
    }).pipe(Effect.provide(CertificatesMemory.layer)))

  it.effect("W19 when the first is removed, the next is the one for unknown names", () =>
    Effect.gen(function*() {
      const certificates = yield* open
      const first = yield* certificates.add(app, Pem.pair("chain"))
      const second = yield* certificates.add(app, Pem.pair("rsa"))
      assert.strictEqual(certificates.choose(app, "chain.test")?.handle, first)
      yield* certificates.remove(first)
      assert.strictEqual(certificates.choose(app, "chain.test")?.handle, second)
      yield* certificates.remove(second)
      assert.isUndefined(certificates.choose(app, "chain.test"))
    }).pipe(Effect.provide(CertificatesMemory.layer)))

  it.effect("W19 warnings go by the time at which they are asked for, and what was made of a certificate stays of use", () =>
    Effect.gen(function*() {
      const certificates = yield* open
      yield* TestClock.setTime(Date.UTC(1999, 0, 1))
      yield* certificates.add(app, Pem.pair("expired"))
      const [before] = yield* certificates.of(app)
      yield* TestClock.setTime(Date.UTC(2000, 6, 1))
      const [during] = yield* certificates.of(app)
      yield* TestClock.setTime(Pem.now)
      const [after] = yield* certificates.of(app)
      const warnings = [before, during, after].map((entry) => entry?.info.warning)
      assert.deepStrictEqual(warnings, ["NotYetValid", null, "Expired"])
      const streamed = yield* Stream.runHead(certificates.changes(app))
      assert.deepStrictEqual(streamed, Option.some([after!]))
      for (const entry of [during, after, certificates.choose(app, "expired.test")]) {
        assert.strictEqual(entry?.certificate, before!.certificate)
      }
    }).pipe(Effect.provide(CertificatesMemory.layer)))

  it.effect("W19 a certificate that clients will refuse is logged when it comes in, others are not", () => {
    const logged: Array<unknown> = []
    const logger = Logger.make(({ logLevel, message }) => void logged.push([logLevel, message]))
    return Effect.gen(function*() {
      const certificates = yield* open
      const handle = yield* certificates.add(app, Pem.pair("chain"))
      assert.deepStrictEqual(logged, [])
      yield* certificates.replace(handle, Pem.pair("expired"))
      yield* TestClock.setTime(0)
      yield* certificates.add(app, Pem.pair("rsa"))
      assert.deepStrictEqual(logged, [
        ["Warn", ["certificate 0.0, \"CN=Expired\", has expired"]],
        ["Warn", ["certificate 1.0, \"CN=RSA\", is not valid yet"]]
      ])
    }).pipe(Effect.provide([CertificatesMemory.layer, Logger.layer([logger])]))
  })

  it.effect("W19 an application has so many certificates and no more, and another one still has room", () =>
    Effect.gen(function*() {
      const certificates = yield* open
      const added = yield* Effect.forEach(Array(MAX_PER_APPLICATION), () => certificates.add(app, Pem.pair("wildcard")))
      const error = yield* Effect.flip(certificates.add(app, Pem.pair("rsa")))
      assert.deepStrictEqual(error.reason, { _tag: "TooMany", limit: 1024 })
      assert.include(error.message, "the application has 1024 certificates")
      assert.strictEqual((yield* certificates.of(app)).length, MAX_PER_APPLICATION)
      yield* certificates.add(other, Pem.pair("rsa"))
      yield* certificates.replace(added[0]!, Pem.pair("rsa"))
      assert.strictEqual(certificates.choose(app, "a.wild.test")?.handle, added[1])
      yield* certificates.remove(added[5]!)
      yield* certificates.add(app, Pem.pair("rsa"))
      assert.strictEqual((yield* Effect.flip(certificates.add(app, Pem.pair("rsa")))).reason._tag, "TooMany")
    }).pipe(Effect.provide(CertificatesMemory.layer)))

  it.effect("W19 handshakes are done with the chosen certificate, and from a replacement on with the new one", () =>
    Effect.gen(function*() {
      const certificates = yield* open
      yield* certificates.add(app, Pem.pair("rsa"))
      yield* certificates.add(app, Pem.pair("chain"))
      const handle = yield* certificates.add(app, Pem.encrypted)
      assert.strictEqual(yield* handshake(certificates, app, "www.chain.test"), "Leaf")
      assert.strictEqual(yield* handshake(certificates, app, "encrypted.test"), "Encrypted")
      assert.strictEqual(yield* handshake(certificates, app, "a.wild.test"), "RSA")
      yield* certificates.replace(handle, Pem.pair("wildcard"))
      assert.strictEqual(yield* handshake(certificates, app, "a.wild.test"), "Wildcard")
      assert.strictEqual(yield* handshake(certificates, app, "encrypted.test"), "RSA")
    }).pipe(Effect.provide(CertificatesMemory.layer)))

  it.effect("W19 nothing that is said of an application's certificates, and no error, has a key in it", () =>
    Effect.gen(function*() {
      const certificates = yield* open
      const { key, passphrase } = Pem.encrypted
      const handle = yield* certificates.add(app, Pem.encrypted)
      const errors = yield* Effect.forEach([
        certificates.add(app, { ...Pem.pair("rsa"), key, passphrase }),
        certificates.add(app, { ...Pem.encrypted, passphrase: `${passphrase} ` }),
        certificates.replace(handle, { certificate: key, key, passphrase }),
        certificates.replace(handle, { ...Pem.encrypted, [passphrase]: key })
      ], (operation) => Effect.exit(operation as Effect.Effect<unknown, unknown>))
      const entries = yield* certificates.of(app)
      const secrets = [key, Redacted.value(entries[0]!.certificate.key)].map((text) => text.split("\n")[1]!)
      assert.isTrue(errors.every(Exit.isFailure))
      for (const what of [...errors, ...entries, entries, certificates.choose(app, undefined)]) {
        const text = String(what) + JSON.stringify(what) + inspect(what, { depth: Infinity, showHidden: true })
        for (const secret of [...secrets, passphrase]) assert.notInclude(text, secret)
      }
    }).pipe(Effect.provide(CertificatesMemory.layer)))
})
