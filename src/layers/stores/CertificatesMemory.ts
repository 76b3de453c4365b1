/**
 * The store of certificates in the memory of the host (W19).
 *
 * A change is one synchronous step: the application and the handle are found, the input is decoded and put in place in
 * one turn, so nothing can be half done, or done to an application that has just gone. Subscribers are told that there
 * is a change, not what it is, and look for themselves; so the order in which they hear of changes does not matter, and
 * one bit is enough for slow subscribers.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Certificate from "../../domain/net/Certificate.ts"
import * as ServerName from "../../domain/net/ServerName.ts"
import * as Handle from "../../domain/state/Handle.ts"
import type { AppHandle, CertificateHandle } from "../../domain/state/Handle.ts"
import {
  type CertificateChange,
  type CertificateEntry,
  CertificateError,
  type CertificateRefusal,
  Certificates,
  MAX_PER_APPLICATION
} from "../../services/Certificates.ts"
import { Observers } from "./Observers.ts"

/** A place in the table: the store that it belongs to, and the certificate that is in it now. */
interface CertificatePlace {
  readonly store: Store
  entry: CertificateEntry
}

type News = "changed" | "closed"

/** The certificates of one application. */
class Store {
  /** In the order in which they were added. Handles have another order once some have been removed. */
  readonly #place = new Map<CertificateHandle, CertificatePlace>()
  readonly app: AppHandle
  readonly news: PubSub.PubSub<News>
  /** Made when it is asked for, since many certificates may be added before. */
  #byName: ServerName.ByServerName<CertificateEntry> | undefined

  constructor(app: AppHandle, news: PubSub.PubSub<News>) {
    this.app = app
    this.news = news
  }

  get size(): number {
    return this.#place.size
  }

  get handles(): IterableIterator<CertificateHandle> {
    return this.#place.keys()
  }

  /** A new certificate, or new content of one that is here, which keeps its place. */
  put(place: CertificatePlace, entry: CertificateEntry): void {
    place.entry = entry
    this.#place.set(entry.handle, place)
    this.#byName = undefined
  }

  drop(handle: CertificateHandle): void {
    this.#place.delete(handle)
    this.#byName = undefined
  }

  list(now: number): ReadonlyArray<CertificateEntry> {
    return Array.from(
      this.#place.values(),
      ({ entry }) => ({ ...entry, info: Certificate.infoAt(entry.certificate, now) })
    )
  }

  choose(serverName: string | undefined): CertificateEntry | undefined {
    this.#byName ??= new ServerName.ByServerName(this.#entries(), ({ certificate }) => certificate)
    return this.#byName.choose(serverName)
  }

  *#entries(): IterableIterator<CertificateEntry> {
    for (const { entry } of this.#place.values()) yield entry
  }
}

const refuse = (reason: Certificate.CertificateReason | CertificateRefusal): Result.Result<never, CertificateError> =>
  Result.fail(new CertificateError({ reason }))

const decode = (input: unknown, now: number): Result.Result<Certificate.Certificate, CertificateError> =>
  Result.mapError(Certificate.decode(input, now), (reason) => new CertificateError({ reason }))

const warn = ({ handle, info }: CertificateEntry): Effect.Effect<void> =>
  info.warning === null ? Effect.void : Effect.logWarning(
    `certificate ${Handle.format(handle)}, "${info.subject}", ${
      info.warning === "Expired" ? "has expired" : "is not valid yet"
    }`
  )

const make = Effect.gen(function*() {
  const stores = new Map<AppHandle, Store>()
  const table = new Handle.Pool<CertificateHandle, CertificatePlace>()
  const { observe, tell } = new Observers<CertificateChange>()

  const storeOf = (app: AppHandle): Result.Result<Store, CertificateError> => {
    const store = stores.get(app)
    return store === undefined ? refuse({ _tag: "NoSuchApp", app: Handle.format(app) }) : Result.succeed(store)
  }

  const placeAt = (handle: CertificateHandle): Result.Result<CertificatePlace, CertificateError> => {
    const place = table.get(handle)
    return place === undefined
      ? refuse({ _tag: "NoSuchCertificate", certificate: Handle.format(handle) })
      : Result.succeed(place)
  }

  const open = (app: AppHandle): Effect.Effect<void> =>
    Effect.gen(function*() {
      const news = yield* PubSub.sliding<News>({ capacity: 1, replay: 1 })
      if (stores.has(app)) return
      const store = new Store(app, news)
      stores.set(app, store)
      // kept for later subscribers
      yield* PubSub.publish(news, "changed")
    }).pipe(Effect.uninterruptible)

  const close = (app: AppHandle): Effect.Effect<void> =>
    Effect.sync(() => {
      const store = stores.get(app)
      if (store === undefined) return
      stores.delete(app)
      for (const handle of store.handles) table.free(handle)
      PubSub.endUnsafe(store.news, "closed")
    })

  /** Changes a store and tells of it; no interruption comes in between. */
  const change = (
    kind: CertificateChange["kind"],
    step: (now: number) => Result.Result<CertificatePlace, CertificateError>
  ): Effect.Effect<CertificateEntry, CertificateError> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.suspend(() => Effect.fromResult(step(now)))).pipe(
      Effect.tap(({ entry: { handle, info }, store: { app, news } }) => {
        tell({ kind, app, certificate: handle, subject: info.subject })
        return PubSub.publish(news, "changed")
      }),
      Effect.map(({ entry }) => entry),
      Effect.uninterruptible
    )

  const add = Effect.fn("Certificates.add")(function*(app: AppHandle, input: unknown) {
    const entry = yield* change("certificate-added", (now) =>
      Result.gen(function*() {
        const store = yield* storeOf(app)
        const tooMany: CertificateRefusal = { _tag: "TooMany", limit: MAX_PER_APPLICATION }
        if (store.size >= MAX_PER_APPLICATION) return yield* refuse(tooMany)
        const certificate = yield* decode(input, now)
        const place = table.allocate((handle): CertificatePlace => ({
          store,
          entry: { handle, info: certificate.info, certificate }
        }))
        if (place === undefined) return yield* refuse(tooMany)
        store.put(place, place.entry)
        return place
      }))
    yield* warn(entry)
    return entry.handle
  })

  const replace = Effect.fn("Certificates.replace")(function*(handle: CertificateHandle, input: unknown) {
    const entry = yield* change("certificate-replaced", (now) =>
      Result.gen(function*() {
        const place = yield* placeAt(handle)
        const certificate = yield* decode(input, now)
        place.store.put(place, { handle, info: certificate.info, certificate })
        return place
      }))
    yield* warn(entry)
  })

  const remove = Effect.fn("Certificates.remove")((handle: CertificateHandle) =>
    Effect.asVoid(change("certificate-removed", () =>
      Result.map(placeAt(handle), (place) => {
        table.free(handle)
        place.store.drop(handle)
        return place
      })))
  )

  const listOf = (store: Store) => Effect.map(Clock.currentTimeMillis, (now) => store.list(now))

  const of = (app: AppHandle) =>
    Effect.suspend(() => Effect.fromResult(storeOf(app))).pipe(Effect.flatMap((store) => listOf(store)))

  const changes = (app: AppHandle) =>
    Stream.unwrap(Effect.map(
      Effect.suspend(() => Effect.fromResult(storeOf(app))),
      (store) =>
        Stream.fromPubSub(store.news).pipe(
          Stream.takeWhile((news) => news === "changed"),
          Stream.mapEffect(() => listOf(store))
        )
    ))

  yield* Effect.addFinalizer(() => Effect.forEach([...stores.keys()], close, { discard: true }))

  return Certificates.of({
    open,
    close,
    add,
    replace,
    remove,
    of,
    changes,
    observe,
    choose: (app, serverName) => stores.get(app)?.choose(serverName)
  })
})

export const layer: Layer.Layer<Certificates> = Layer.effect(Certificates, make)
