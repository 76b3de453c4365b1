/**
 * The source of a connection: its peer's address, or the network that the address is in, by a number of leading bits.
 *
 * This is on the path of accepts, so addresses in the system's spelling are taken apart here: `effect/net` takes ten times
 * as long.
 */
import { isIPv4 } from "node:net"

/** How many leading bits the addresses of one source share. */
export interface SourceBits {
  readonly ipv4: number
  readonly ipv6: number
}

const INET = /^(?:tcp|tls|udp):\/\/(?:\[([^\]%]+)[^\]]*\]|([\d.]+)):\d+$/

const ofIpv4 = (address: string, bits: number): string => {
  if (bits === 32) return address
  const number = address.split(".").reduce((number, byte) => number * 256 + Number(byte), 0)
  return String(number >>> (32 - bits))
}

const wordsOf = (text: string | undefined): ReadonlyArray<string> =>
  text === undefined || text === "" ? [] : text.split(":").flatMap((word) => {
    if (!isIPv4(word)) return word
    const [a = 0, b = 0, c = 0, d = 0] = word.split(".").map(Number)
    return [(a * 256 + b).toString(16), (c * 256 + d).toString(16)]
  })

/** The words that lie wholly within the bits, and the bits of the next one. */
const ofIpv6 = (address: string, bits: number): string => {
  const [before, after] = address.split("::")
  const first = wordsOf(before)
  const last = wordsOf(after)
  const words = [...first, ...Array.from({ length: 8 - first.length - last.length }, () => "0"), ...last]
  const whole = bits >>> 4
  const rest = bits & 15
  const network = words.slice(0, whole).join(":")
  return rest === 0
    ? `${network}::`
    : `${network}:${(Number.parseInt(words[whole]!, 16) >>> (16 - rest)).toString(16)}::`
}

/** The source of the peer at an endpoint URI, as a text that no other source has; `undefined` for one without address. */
export const of = (remote: string, { ipv4, ipv6 }: SourceBits): string | undefined => {
  const [, six, four] = INET.exec(remote) ?? []
  if (four !== undefined) return ofIpv4(four, ipv4)
  return six === undefined ? undefined : ofIpv6(six, ipv6)
}
