/**
 * The TLS certificates and keys of applications (W19): each application has a store of its own, which its TLS listeners
 * read, and which is freed with the application. Its content can be changed while listeners use it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as Certificate from "../domain/net/Certificate.ts"
import type { AppHandle, CertificateHandle } from "../domain/state/Handle.ts"

/**
 * The most certificates that an application may have.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_PER_APPLICATION = 1024

/**
 * Why nothing was done: what `Certificate.CertificateReason` says about the input, or one of these.
 *
 * **Details**
 *
 * - `NoSuchApp`: the application is not attached, or no longer attached.
 * - `NoSuchCertificate`: there is no certificate at this handle, or there no longer is.
 * - `TooMany`: the application has as many certificates as it may have.
 *
 * Handles are given in their text form, `slot.generation`.
 *
 * @category errors
 * @since 0.1.0
 */
export const CertificateRefusal = Schema.TaggedUnion({
  NoSuchApp: { app: Schema.String },
  NoSuchCertificate: { certificate: Schema.String },
  TooMany: { limit: Schema.Int }
})
export type CertificateRefusal = typeof CertificateRefusal.Type

const isRefusal = Schema.is(CertificateRefusal)

const explain = CertificateRefusal.match({
  NoSuchApp: ({ app }) => `there is no application ${app}`,
  NoSuchCertificate: ({ certificate }) => `there is no certificate ${certificate}`,
  TooMany: ({ limit }) => `the application has ${limit} certificates, which is the limit; remove one first`
})

/**
 * An operation on certificates that changed nothing.
 *
 * @category errors
 * @since 0.1.0
 */
export class CertificateError extends Schema.TaggedError<CertificateError>()("CertificateError", {
  reason: Schema.Union([Certificate.CertificateReason, CertificateRefusal])
}) {
  override get message(): string {
    return isRefusal(this.reason) ? explain(this.reason) : Certificate.explain(this.reason)
  }
}

/**
 * A certificate in an application's store.
 *
 * **Details**
 *
 * `info` may be shown. `certificate` holds the key; it stays the same object until the content is replaced, so a
 * listener may keep what it makes of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface CertificateEntry {
  readonly handle: CertificateHandle
  readonly info: Certificate.CertificateInfo
  readonly certificate: Certificate.Certificate
}

/**
 * A change of an application's certificates.
 *
 * @category models
 * @since 0.1.0
 */
export interface CertificateChange {
  readonly kind: "certificate-added" | "certificate-replaced" | "certificate-removed"
  readonly app: AppHandle
  readonly certificate: CertificateHandle
  readonly subject: string
}

/**
 * @category services
 * @since 0.1.0
 */
export class Certificates extends Context.Service<Certificates, {
  /** Gives an application its store, when it is attached; nothing happens if it has one. */
  readonly open: (app: AppHandle) => Effect.Effect<void>
  /** Frees an application's store and everything in it, when the application is detached; streams of changes end. */
  readonly close: (app: AppHandle) => Effect.Effect<void>
  /**
   * Adds a certificate.
   *
   * `input` is decoded with `Certificate.decode`. A certificate that is not valid now is added with a warning.
   */
  readonly add: (app: AppHandle, input: unknown) => Effect.Effect<CertificateHandle, CertificateError>
  /**
   * Puts another certificate in the place of one: its handle and its position stay, and handshakes from now on use the
   * new one. If the new one is not taken, the old one stays as it is.
   */
  readonly replace: (handle: CertificateHandle, input: unknown) => Effect.Effect<void, CertificateError>
  readonly remove: (handle: CertificateHandle) => Effect.Effect<void, CertificateError>
  /** The application's certificates, first added first, with warnings as of now. */
  readonly of: (app: AppHandle) => Effect.Effect<ReadonlyArray<CertificateEntry>, CertificateError>
  /**
   * What {@link of} says, now and after each change; the stream ends when the store is closed. A slow subscriber may
   * miss what comes in between, but never the latest.
   */
  readonly changes: (app: AppHandle) => Stream.Stream<ReadonlyArray<CertificateEntry>, CertificateError>
  /** Calls `hear` with each change, in the call that makes it, until the scope closes. */
  readonly observe: (hear: (change: CertificateChange) => void) => Effect.Effect<void, never, Scope.Scope>
  /**
   * The certificate for a handshake: the first added that has the server's name, else the first with a wildcard for it,
   * else the first; `undefined` when there are no certificates. It runs for every handshake, and does not search
   * through all certificates.
   */
  readonly choose: (app: AppHandle, serverName: string | undefined) => CertificateEntry | undefined
}>()("sluice/services/Certificates") {}
