/**
 * Address prefixes: which addresses something holds for.
 *
 * ```
 * any     10.0.0.0/8     192.0.2.1     2001:db8::/32     ::1     0.0.0.0/0
 * ```
 *
 * `any` is every address of both families, and what has no address yet, such as a host name; `0.0.0.0/0` and `::/0` are
 * every address of one family. An address alone is that address. An IPv4 address that is written as IPv6 is IPv4:
 * `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
 *
 * There is one text for each prefix, so two prefixes are the same if their texts are. One with bits beyond its length is
 * refused rather than cut: whoever wrote it meant another address or another length.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { BlockList, isIPv4, isIPv6, SocketAddress } from "node:net"

/** The text of a prefix, in its one form. */
export const Prefix = Schema.String.pipe(Schema.brand("Prefix"))
export type Prefix = typeof Prefix.Type

/** Every address, and what has none. */
export const any = "any" as Prefix

/** What is right, to follow "must be". */
export const PREFIX_RIGHT =
  `"any", an address, or an address and a prefix length such as "10.0.0.0/8" or "2001:db8::/32"`

type Family = 4 | 6

const BITS = { 4: 32, 6: 128 } as const
const LENGTH = /^(?:0|[1-9]\d{0,2})$/
const MAPPED = "::ffff:"

const familyName = (family: Family): "ipv4" | "ipv6" => family === 4 ? "ipv4" : "ipv6"

const canonical = (address: string, family: Family): string =>
  new SocketAddress({ address, family: familyName(family) }).address

const groupsOf = (text: string): ReadonlyArray<bigint> =>
  text === "" ? [] : text.split(":").flatMap((group) => {
    if (!group.includes(".")) return [BigInt(`0x${group}`)]
    const bits = bitsOf(group, 4)
    return [bits >> 16n, bits & 0xffffn]
  })

const bitsOf = (address: string, family: Family): bigint => {
  if (family === 4) return address.split(".").reduce((bits, octet) => bits << 8n | BigInt(octet), 0n)
  const [head = "", tail] = address.split("::")
  const first = groupsOf(head)
  const last = groupsOf(tail ?? "")
  const zeros = Array<bigint>(8 - first.length - last.length).fill(0n)
  return [...first, ...zeros, ...last].reduce((bits, group) => bits << 16n | group, 0n)
}

const addressOf = (bits: bigint, family: Family): string => {
  const [count, size] = family === 4 ? [4, 8n] : [8, 16n]
  const parts = Array.from({ length: count }, (_, n) => bits >> BigInt(count - 1 - n) * size & (1n << size) - 1n)
  return family === 4 ? parts.join(".") : canonical(parts.map((part) => part.toString(16)).join(":"), 6)
}

const textOf = (address: string, family: Family, length: number): Prefix =>
  (length === BITS[family] ? address : `${address}/${length}`) as Prefix

/** Reads the text of a prefix; fails with what would be right, to follow "must be". */
export const parse = (text: string): Result.Result<Prefix, string> => {
  if (text === any) return Result.succeed(any)
  const [given = "", suffix, ...rest] = text.split("/")
  const written = isIPv4(given) ? 4 : isIPv6(given) && !given.includes("%") ? 6 : undefined
  if (written === undefined || rest.length > 0) return Result.fail(PREFIX_RIGHT)
  if (suffix !== undefined && !(LENGTH.test(suffix) && Number(suffix) <= BITS[written])) {
    return Result.fail(PREFIX_RIGHT)
  }
  const length = suffix === undefined ? BITS[written] : Number(suffix)
  const address = canonical(given, written)
  if (written === 6 && address.startsWith(MAPPED) && isIPv4(address.slice(MAPPED.length)) && length >= 96) {
    return cutTo(address.slice(MAPPED.length), 4, length - 96)
  }
  return cutTo(address, written, length)
}

const cutTo = (address: string, family: Family, length: number): Result.Result<Prefix, string> => {
  const bits = bitsOf(address, family)
  const beyond = BigInt(BITS[family] - length)
  const network = bits >> beyond << beyond
  return network === bits
    ? Result.succeed(textOf(address, family, length))
    : Result.fail(`${textOf(addressOf(network, family), family, length)}, or that address without a length`)
}

/** Text on the outside, a prefix in its one form on the inside. */
export const PrefixFromString = Schema.String.pipe(
  Schema.decodeTo(
    Prefix,
    SchemaTransformation.transformEffect({
      decode: (text: string, options) =>
        Effect.mapError(
          Effect.fromResult(parse(text)),
          (right) => new SchemaIssue.InvalidValue({ message: right }, text, options)
        ),
      encode: (prefix: string) => Effect.succeed(prefix)
    })
  )
)

const split = (prefix: Prefix): { readonly address: string; readonly family: Family; readonly length: number } => {
  const [address = "", suffix] = prefix.split("/")
  const family = isIPv4(address) ? 4 : 6
  return { address, family, length: suffix === undefined ? BITS[family] : Number(suffix) }
}

/** The length, -1 for `any`: of two prefixes that hold for one address, the longer one is the more specific. */
export const length = (prefix: Prefix): number => prefix === any ? -1 : split(prefix).length

const mapped = new BlockList()
mapped.addSubnet("::ffff:0:0", 96, "ipv6")

/** An address as it is looked up. Made once for all the prefixes that it is held against. */
export interface AddressBits {
  readonly text: string
  readonly written: "ipv4" | "ipv6"
  /** Of the address, not of its spelling. */
  readonly family: Family
}

/** A host as an address; `undefined` for a name, which only `any` holds for. A zone makes no difference. */
export const address = (host: string): AddressBits | undefined => {
  if (isIPv4(host)) return { text: host, written: "ipv4", family: 4 }
  if (!isIPv6(host)) return undefined
  return { text: host, written: "ipv6", family: mapped.check(host, "ipv6") ? 4 : 6 }
}

/** Prefixes to hold addresses against. */
export class PrefixSet {
  // apart, since Node takes an IPv4 address for the IPv6 one that it can be written as, and `::/0` holds for all of those
  readonly #lists = { 4: new BlockList(), 6: new BlockList() }
  readonly #some = { 4: false, 6: false }
  #any = false

  constructor(prefixes: Iterable<Prefix> = []) {
    for (const prefix of prefixes) this.add(prefix)
  }

  add(prefix: Prefix): void {
    if (prefix === any) {
      this.#any = true
      return
    }
    const { address, family, length } = split(prefix)
    this.#lists[family].addSubnet(address, length, familyName(family))
    this.#some[family] = true
  }

  /** Whether one of the prefixes holds for the address, or for what has none. */
  has(address: AddressBits | undefined): boolean {
    if (this.#any) return true
    if (address === undefined || !this.#some[address.family]) return false
    return this.#lists[address.family].check(address.text, address.written)
  }
}
