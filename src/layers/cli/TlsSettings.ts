/** Settings that name files with certificates, keys and authorities, and the options that these files are for. */
import * as Effect from "effect/Effect"
import { assign, type Given, invalid, type InvalidSettings, paths } from "./Given.ts"
import { hostSettings, type Setting } from "./Setting.ts"
import * as TlsFiles from "./TlsFiles.ts"
import { plural } from "./Words.ts"

const bad = ({ source }: Given) => ({ message }: TlsFiles.BadFile): InvalidSettings => invalid(`${source}: ${message}`)

const files: ReadonlyMap<string, Setting> = new Map([
  ["certificates", "tlsCert"],
  ["listener.clientAuthorities", "clientCa"],
  ["tlsClient.authorities", "serverCa"]
].flatMap(([option, key]) =>
  hostSettings.flatMap((setting) => setting.key === key ? [[option!, setting] as const] : [])
))

/**
 * The setting that names files for an option, which itself can't be set on a command line; `undefined` for all others.
 */
export const fileOf = (option: string): Setting | undefined => files.get(option)

/** Certificates, keys and authorities, read from files into the options that they are for. */
export const read = Effect.fnUntraced(function*(
  given: ReadonlyMap<string, Given>,
  input: Record<string, unknown>
): Effect.fn.Return<ReadonlyArray<TlsFiles.Pair>, InvalidSettings> {
  const pathsOf = (key: string) => Effect.mapError(Effect.fromResult(paths(given.get(key))), (text) => invalid(text))
  const certificates = yield* pathsOf("tlsCert")
  const keys = yield* pathsOf("tlsKey")
  if (certificates.length !== keys.length) {
    const { source } = (given.get("tlsCert") ?? given.get("tlsKey"))!
    return yield* invalid(
      `${source}: each certificate needs a key, given by --tls-cert and --tls-key in the same order; given: ${
        plural(certificates.length, "certificate")
      }, ${plural(keys.length, "key")}`
    )
  }
  const pairs = certificates.map((certificate, index) => ({ certificate, key: keys[index]! }))
  if (pairs.length > 0) {
    const read = yield* Effect.forEach(pairs, TlsFiles.readPair).pipe(
      Effect.mapError((file) => bad(given.get(file.role === "key" ? "tlsKey" : "tlsCert")!)(file))
    )
    assign(input, "certificates", [...read, ...(Array.isArray(input.certificates) ? input.certificates : [])])
  }
  const clients = yield* pathsOf("clientCa")
  if (clients.length > 0) {
    const read = yield* Effect.forEach(clients, TlsFiles.readAuthorities).pipe(
      Effect.mapError(bad(given.get("clientCa")!))
    )
    assign(input, "listener.clientAuthorities", read)
    if (!given.has("clientCertificate")) assign(input, "listener.clientCertificate", "require")
  }
  const servers = yield* pathsOf("serverCa")
  if (servers.length > 0) {
    const read = yield* Effect.forEach(servers, TlsFiles.readAuthorities).pipe(
      Effect.mapError(bad(given.get("serverCa")!))
    )
    assign(input, "tlsClient.authorities", read)
  }
  return pairs
})
