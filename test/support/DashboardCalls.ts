/**
 * Requests to the page's port by somebody who has the token: for everything that the control API has, as it describes
 * itself, with values that may be right and values that can't be.
 */
import * as Manual from "../../src/layers/dashboard/Manual.ts"
import { one, type Random } from "./random.ts"

/** A request, and whether it comes from where the gate lets nothing in. */
export interface Call {
  readonly bytes: Buffer
  readonly isForeign: boolean
}

/**
 * Handles and names that there are, by the name of the parameter that takes them. A host ends with its last worker: those
 * that may be deleted are `deletable`.
 */
export type Known = Readonly<Record<string, ReadonlyArray<string>>>

/** What would leave nothing to ask: the application, and where it listens. They get names of nothing only. */
const SPARED = ["delete /v1/apps/{app}", "delete /v1/listeners/{listener}"]
/** What starts threads: most of these name nothing. */
const COSTLY = /workers|reload/
const COSTLY_ONE_IN = 25

const METHODS = ["get", "post", "delete"] as const

const operations = Object.entries(Manual.spec.paths).flatMap(([path, item]) =>
  METHODS.flatMap((method) => {
    const operation = item[method]
    return operation === undefined ? [] : [{ method, path, ...operation }]
  })
)

/** Handles of nothing. */
const HANDLES = ["7.7", "0.999999999", "99999999.999999999", "-1.0", "1", "x", "1.0.0", "%00", "%", "%2e%2e", "\u00e9"]
const WORDS = ["true", "false", "0", "1", "-1", "1e3", "1e400", "NaN", "", " ", "null", "[]", "%", "%00", "__proto__"]

/** Values of parameters and of fields of bodies, right and wrong ones. */
const VALUES: Readonly<Record<string, ReadonlyArray<unknown>>> = {
  app: ["shop", "7", "99999999999", "constructor", "%2f", "a".repeat(300)],
  state: ["READY", "CLOSED", "OPEN"],
  transport: ["tcp", "any", "tls", "udp", "unix", "local", "sctp"],
  local: ["127.0.0.1", "[::1]:1", "tcp://127.0.0.1:80", "10.0.0.0/8", "any", "10.0.0.0/33", "::ffff:1.2.3.4"],
  remote: ["127.0.0.1", "[::1]:1", "tcp://127.0.0.1:80", "10.0.0.0/8", "any", "300.0.0.1", "a".repeat(3000)],
  how: ["close", "reset", "kill"],
  limit: ["1", "100", "1000000", "1000001", "0", "0.5"],
  kind: ["in-process", "thread", null, "fiber", "worker", "worker-up,session", "everything", 5],
  source: ["10.0.0.7", "10.0.0.0/8", "::1", "fe80::1%eth0", "127.0.0.1", "nobody", 7, null],
  on: ["accept", "connect", "both", "never"],
  action: ["allow", "deny", "app:http", "app:", "app:shop", "drop", 0],
  localPort: [0, 80, "443", 65536, -1, 0.5],
  priority: ["high", "low", "urgent"],
  perSource: ["exempt", "limited", "none"],
  namespace: ["default", "shop", ""],
  tag: ["test", "a".repeat(300), "\u0000"]
}

const FIELDS: Readonly<Record<string, ReadonlyArray<string>>> = {
  "/v1/rules": [
    "on",
    "transport",
    "local",
    "localPort",
    "remote",
    "action",
    "priority",
    "perSource",
    "namespace",
    "tag"
  ],
  "/v1/denied": ["source"],
  "/v1/apps/{app}/workers": ["kind"],
  "/v1/upgrade": ["args", "node"]
}

/** Bodies that say nothing, or too much. */
const BODIES = ["", "{", "[]", "null", "7", "\"\"", "{\"__proto__\":{}}", "[".repeat(5000), "x".repeat(20_000), "{}"]

/** What a browser sends for a page of somebody else; and what a name that leads here is called. */
const FOREIGN = [
  "origin: http://evil.example",
  "origin: null",
  "origin: https://127.0.0.1.evil.example",
  "sec-fetch-site: cross-site",
  "sec-fetch-site: same-site",
  "host: evil.example",
  "host: 127.0.0.1.evil.example",
  "host: 127.0.0.1@evil.example"
]

/** Text in a URL; now and then not as it ought to be written, but so that a parser takes it. */
const inUrl = (random: Random, text: string): string =>
  random(5) > 0 ? encodeURIComponent(text) : text.replace(/[^!-~]/g, "+")

const value = (random: Random, name: string, known: Known): unknown => {
  const there = known[name] ?? []
  if (there.length > 0 && random(3) > 0) return one(random, there)
  return one(random, VALUES[name] ?? (random(2) > 0 ? HANDLES : WORDS))
}

const body = (random: Random, path: string): string => {
  if (random(4) === 0) return one(random, BODIES)
  const fields = FIELDS[path] ?? ["a"]
  // fields that a body needs are there more often than not
  const chosen = fields.filter((name) => name === "action" || name === "source" ? random(8) > 0 : random(3) === 0)
  const json = JSON.stringify(Object.fromEntries(chosen.map((name) => [name, value(random, name, {})])))
  return random(12) > 0 ? json : json.slice(0, random(json.length))
}

/** A request with this token. */
export const call = (random: Random, token: string, known: Known): Call => {
  const { method, parameters, path } = one(random, operations)
  const isSpared = SPARED.includes(`${method} ${path}`)
  const isCostly = method !== "get" && COSTLY.test(path) && random(COSTLY_ONE_IN) > 0
  const isDeletion = method === "delete" && path.startsWith("/v1/workers")
  const names = isSpared || isCostly ? {} : isDeletion ? { worker: known["deletable"] ?? [] } : known
  const text = (name: string) => inUrl(random, String(value(random, name, names)))
  const query = parameters.filter((parameter) => parameter.in === "query" && (parameter.required || random(3) === 0))
    .map(({ name }) => `${name}=${text(name)}`)
  const target = path.replace(/\{(\w+)\}/g, (_, name: string) => text(name))
  const isForeign = random(6) === 0
  const foreign = one(random, FOREIGN)
  const headers = [
    ...(isForeign && foreign.startsWith("host:") ? [] : ["host: 127.0.0.1"]),
    ...(isForeign ? [foreign] : random(2) === 0 ? ["origin: http://127.0.0.1", "sec-fetch-site: same-origin"] : []),
    `authorization: ${one(random, ["Bearer", "bearer", "BEARER "])} ${token}`
  ]
  const said = method === "get" ? "" : body(random, path)
  const type = one(random, [
    "application/json",
    "application/json",
    "application/json",
    "text/plain",
    "multipart/form-data"
  ])
  const bytes = Buffer.from(said, "utf8")
  const head = [
    `${method.toUpperCase()} ${target}${query.length === 0 ? "" : `?${query.join("&")}`} HTTP/1.1`,
    ...headers,
    ...(said === "" ? [] : [`content-type: ${type}`, `content-length: ${bytes.length}`]),
    "connection: close",
    "",
    ""
  ].join("\r\n")
  return { bytes: Buffer.concat([Buffer.from(head, "utf8"), bytes]), isForeign }
}

/** What is wrong with the answer to a request with the token, if something is. */
export const fault = ({ bytes, isForeign }: Call, answer: string): string | undefined => {
  const asked = JSON.stringify(bytes.toString("latin1").slice(0, 600))
  const [, status] = /^HTTP\/1\.1 (\d{3})/.exec(answer) ?? []
  if (Number(status) >= 500) return `${status}: ${asked}`
  // a busy host may answer later than anybody waits here
  if (status === undefined) return undefined
  if (isForeign) return status === "403" ? undefined : `${status} for a request from elsewhere: ${asked}`
  return status === "401" || status === "403" ? `${status} with the token: ${asked}` : undefined
}
