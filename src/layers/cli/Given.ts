/** What a setting was given, and where. The value is checked, and put in its place in the options. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Path from "node:path"
import type * as Address from "../../domain/net/Address.ts"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import { mostLike } from "../../domain/options/Likeness.ts"
import type { Setting } from "./Setting.ts"

/** Settings that were not taken. Nothing has been started. */
export class InvalidSettings extends Schema.TaggedError<InvalidSettings>()("InvalidSettings", {
  problems: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return this.problems.join("\n")
  }
}

export const invalid = (...problems: ReadonlyArray<string>) => new InvalidSettings({ problems })

/** A value, and the place where it was given. */
export interface Given {
  readonly value: unknown
  readonly source: string
}

const switchValues: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  1: true,
  false: false,
  no: false,
  off: false,
  0: false
}

/** The value as the options' schema takes it. */
export const shaped = (form: Setting["form"], { source, value }: Given): Result.Result<unknown, string> => {
  if (form === "switch") {
    const flag = typeof value === "string" ? switchValues[value.trim().toLowerCase()] : value
    return typeof flag === "boolean"
      ? Result.succeed(flag)
      : Result.fail(`${source}: got ${JSON.stringify(value)}; it must be true or false`)
  }
  if (form === "list" && typeof value === "string") {
    return Result.succeed(value.split(/[\s,]+/).filter((part) => part !== ""))
  }
  return Result.succeed(value)
}

/** What the schemes of other programs are called here. */
const schemes: Readonly<Record<string, string>> = { http: "tcp", ws: "tcp", https: "tls", wss: "tls", ssl: "tls" }

const transportMeant = ({ reason }: Endpoint.EndpointError): string => {
  if (reason._tag !== "UnknownTransport") return ""
  const meant = schemes[reason.transport] ?? mostLike(reason.transport, Endpoint.transports)
  return meant === undefined ? "" : `; did you mean ${meant}:?`
}

/** What is wrong with endpoint URIs. */
export const uriProblems = (given: Given): ReadonlyArray<string> =>
  (Array.isArray(given.value) ? given.value as ReadonlyArray<unknown> : []).flatMap((uri) => {
    if (typeof uri !== "string") return []
    const parsed = Endpoint.parse(uri)
    return Result.isFailure(parsed)
      ? [`${given.source}: ${parsed.failure.message}${transportMeant(parsed.failure)}`]
      : []
  })

/** Puts a value in its place in the options. */
export const assign = (input: Record<string, unknown>, option: string, value: unknown): void => {
  const [group, name] = option.split(".")
  if (group === undefined) return
  if (name === undefined) input[group] = value
  else input[group] = { ...input[group] as object, [name]: value }
}

/** A path, for what is not an option. */
export const path = (given: Given | undefined): Result.Result<string | undefined, string> => {
  if (given === undefined) return Result.succeed(undefined)
  const { source, value } = given
  return typeof value === "string" && value !== ""
    ? Result.succeed(value)
    : Result.fail(`${source}: got ${JSON.stringify(value)}; it must be a path`)
}

/** An address with a port, for what is not an option. */
export const hostPort = (given: Given | undefined): Result.Result<Address.HostPort | undefined, string> => {
  if (given === undefined) return Result.succeed(undefined)
  const { source, value } = given
  const right = "it must be an address and a port, such as 127.0.0.1:9000 or [::]:9000"
  if (typeof value !== "string") return Result.fail(`${source}: got ${JSON.stringify(value)}; ${right}`)
  const parsed = Endpoint.parse(`tcp://${value}`)
  return Result.isSuccess(parsed) && Endpoint.isInet(parsed.success)
    ? Result.succeed({ host: parsed.success.host, port: parsed.success.port })
    : Result.fail(`${source}: got ${JSON.stringify(value)}; ${right}`)
}

/** Paths, for what is not an option. */
export const paths = (given: Given | undefined): Result.Result<ReadonlyArray<string>, string> => {
  if (given === undefined) return Result.succeed([])
  const { source } = given
  // in the environment, as elsewhere, paths are separated by colons
  const value = typeof given.value === "string" ? given.value.split(Path.delimiter) : given.value
  return Array.isArray(value) && value.every((path) => typeof path === "string" && path !== "")
    ? Result.succeed(value as ReadonlyArray<string>)
    : Result.fail(`${source}: got ${JSON.stringify(given.value)}; it must be a path, or a list of paths`)
}
