/**
 * Namespaces in the memory of the host.
 *
 * Only a digest of a secret is kept, and it is compared in constant time: neither the digest nor the time that a
 * comparison takes says anything about the secret.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { createHash, timingSafeEqual } from "node:crypto"
import { Name } from "../../domain/options/Name.ts"
import {
  DEFAULT,
  DefaultNamespace,
  InvalidNamespace,
  type Namespace,
  NamespaceExists,
  type NamespaceInput,
  NamespaceInUse,
  Namespaces,
  NoSuchNamespace,
  WrongSecret
} from "../../services/Namespaces.ts"

interface Entry {
  readonly name: string
  readonly hasSecret: boolean
  readonly digest: Buffer
  applications: number
}

const isName = Schema.is(Name)

const textOf = (secret: Redacted.Redacted | string): string =>
  typeof secret === "string" ? secret : Redacted.value(secret)

/** Without a secret it is the digest of the empty text, which no secret can be. */
const digestOf = (secret: Redacted.Redacted | string | undefined): Buffer =>
  createHash("sha256").update(secret === undefined ? "" : textOf(secret)).digest()

const publicOf = ({ applications, hasSecret, name }: Entry): Namespace => ({ name, hasSecret, applications })

const make = (): Namespaces["Service"] => {
  const entries = new Map<string, Entry>()

  const put = ({ name, secret }: NamespaceInput): Entry => {
    const entry = { name, hasSecret: secret !== undefined, digest: digestOf(secret), applications: 0 }
    entries.set(name, entry)
    return entry
  }
  put({ name: DEFAULT })

  return Namespaces.of({
    add: Effect.fn("Namespaces.add")(function*(namespace: NamespaceInput) {
      const { name, secret } = namespace
      if (!isName(name)) {
        const detail = "a name has 1 to 64 characters, without control characters, and without spaces at either end"
        return yield* new InvalidNamespace({ namespace: String(name).slice(0, 64), detail })
      }
      if (secret !== undefined && textOf(secret) === "") {
        return yield* new InvalidNamespace({
          namespace: name,
          detail: "a secret must not be empty; leave it out where there is none"
        })
      }
      if (entries.has(name)) return yield* new NamespaceExists({ namespace: name })
      return publicOf(put(namespace))
    }),
    remove: Effect.fn("Namespaces.remove")(function*(name: string) {
      if (name === DEFAULT) return yield* new DefaultNamespace()
      const entry = entries.get(name)
      if (entry === undefined) return yield* new NoSuchNamespace({ namespace: name })
      const { applications } = entry
      if (applications > 0) return yield* new NamespaceInUse({ namespace: name, applications })
      entries.delete(name)
    }),
    list: Effect.sync(() => Array.from(entries.values(), publicOf)),
    enter: Effect.fn("Namespaces.enter")(function*(name: string, secret?: Redacted.Redacted) {
      // looked up and counted in one step: it can't be removed in between
      const enter = Effect.suspend((): Effect.Effect<Entry, NoSuchNamespace | WrongSecret> => {
        const entry = entries.get(name)
        if (entry === undefined) return Effect.fail(new NoSuchNamespace({ namespace: name }))
        if (!timingSafeEqual(entry.digest, digestOf(secret))) return Effect.fail(new WrongSecret({ namespace: name }))
        entry.applications++
        return Effect.succeed(entry)
      })
      const leave = (entry: Entry) => Effect.sync(() => void entry.applications--)
      return publicOf(yield* Effect.acquireRelease(enter, leave))
    })
  })
}

/**
 * Only the default namespace.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Namespaces> = Layer.sync(Namespaces, make)

/**
 * The default namespace and the given ones.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerOf = (
  namespaces: ReadonlyArray<NamespaceInput>
): Layer.Layer<Namespaces, InvalidNamespace | NamespaceExists> =>
  Layer.effect(
    Namespaces,
    Effect.suspend(() => {
      const service = make()
      return Effect.as(Effect.forEach(namespaces, service.add, { discard: true }), service)
    })
  )
