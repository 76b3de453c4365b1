/**
 * Address prefixes, which say for which addresses something holds.
 *
 * ```
 * any     10.0.0.0/8     192.0.2.1     2001:db8::/32     ::1     0.0.0.0/0
 * ```
 *
 * `any` is every address of both families, and whatever has no address yet, such as a host name; `0.0.0.0/0` and `::/0`
 * are every address of one family. An address alone is that address. An IPv4 address that is written as IPv6 is IPv4:
 * `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
 *
 * There is one text for each prefix, so two prefixes are the same if their texts are. A prefix with bits beyond its
 * length is refused rather than cut: whoever wrote it meant another address or another length.
 */
import * as Effect from "effect/Effect"
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { BlockList, isIPv4, isIPv6 } from "node:net"
import * as Address from "./Address.ts"

/** The text of a prefix, in its one form. */
export const Prefix = Schema.String.pipe(Schema.brand("Prefix"))
export type Prefix = typeof Prefix.Type

/** Every address, and whatever has no address. */
export const any = "any" as Prefix

/** What a right prefix is, worded to follow "must be". */
export const PREFIX_RIGHT =
  `"any", an address, or an address and a prefix length such as "10.0.0.0/8" or "2001:db8::/32"`

type Family = 4 | 6

const BITS = { 4: 32, 6: 128 } as const
const LENGTH = /^(?:0|[1-9]\d{0,2})$/

const familyName = (family: Family): "ipv4" | "ipv6" => family === 4 ? "ipv4" : "ipv6"

const textOf = (address: string, family: Family, length: number): Prefix =>
  (length === BITS[family] ? address : `${address}/${length}`) as Prefix

/** Reads the text of a prefix; fails with what would be right, worded to follow "must be". */
export const parse = (text: string): Result.Result<Prefix, string> => {
  if (text === any) return Result.succeed(any)
  const [given = "", suffix, ...rest] = text.split("/")
  const written = isIPv4(given) ? 4 : isIPv6(given) && !given.includes("%") ? 6 : undefined
  if (written === undefined || rest.length > 0) return Result.fail(PREFIX_RIGHT)
  if (suffix !== undefined && !(LENGTH.test(suffix) && Number(suffix) <= BITS[written])) {
    return Result.fail(PREFIX_RIGHT)
  }
  const length = suffix === undefined ? BITS[written] : Number(suffix)
  const isMapped = written === 6 && Address.family(given) === 4 && length >= 96
  return isMapped ? prefixOf(Address.plain(given), 4, length - 96) : prefixOf(Address.canonical(given), written, length)
}

/** Refuses bits beyond the length. */
const prefixOf = (address: string, family: Family, length: number): Result.Result<Prefix, string> => {
  const network = IpNetwork.fromAddressUnsafe(NetAddress.ipFromStringUnsafe(address), length)
  const first = Address.canonical(NetAddress.formatIp(network.address))
  const prefix = textOf(first, family, length)
  return first === address ? Result.succeed(prefix) : Result.fail(`${prefix}, or that address without a length`)
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

/** The length, -1 for `any`: of two prefixes that hold for the same address, the longer one is the more specific. */
export const length = (prefix: Prefix): number => prefix === any ? -1 : split(prefix).length

/** An address as it is looked up. Made once for all the prefixes that it is compared with. */
export interface AddressBits {
  readonly text: string
  readonly written: "ipv4" | "ipv6"
  /** The family of the address, not of its spelling. */
  readonly family: Family
}

/** A host as an address; `undefined` for a name, for which only `any` holds. A zone makes no difference. */
export const address = (host: string): AddressBits | undefined => {
  const family = Address.family(host)
  return family === undefined ? undefined : { text: host, written: isIPv4(host) ? "ipv4" : "ipv6", family }
}

/** Prefixes that addresses are compared with. */
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

  /** Whether one of the prefixes holds for the address; without an address only `any` does. */
  has(address: AddressBits | undefined): boolean {
    if (this.#any) return true
    if (address === undefined || !this.#some[address.family]) return false
    return this.#lists[address.family].check(address.text, address.written)
  }
}
