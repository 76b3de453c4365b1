/**
 * The word that lets a browser act on a host: made anew with each start, or given.
 *
 * Only its digest is kept. What is sent is compared by digests in constant time, so an answer's time tells nothing of it.
 */
import * as Redacted from "effect/Redacted"
import { createHash, randomBytes, timingSafeEqual } from "node:crypto"

/** Random bytes of a token that is made here. */
const BYTES = 24

/** The fewest characters that a token may have, and the most. */
export const LENGTHS = { least: 16, most: 512 } as const

/** What a header can carry as a bearer token. */
const SPELLING = new RegExp(`^[A-Za-z0-9._~+/-]{${LENGTHS.least},${LENGTHS.most}}=*$`)

/** Whether this can be a token; to say so is up to whoever was given it. */
export const isToken = (text: string): boolean => SPELLING.test(text)

export const random = (): Redacted.Redacted => Redacted.make(randomBytes(BYTES).toString("base64url"))

const digestOf = (text: string): Buffer => createHash("sha256").update(text).digest()

/** The credentials of a header `Authorization`: the scheme's name is written as one likes. */
const BEARER = /^bearer +(\S+)$/i

export class Token {
  readonly #digest: Buffer

  constructor(text: Redacted.Redacted) {
    this.#digest = digestOf(Redacted.value(text))
  }

  /** Whether the value of a header `Authorization` has this token. */
  accepts(authorization: string): boolean {
    const [, text] = BEARER.exec(authorization) ?? []
    return text !== undefined && timingSafeEqual(digestOf(text), this.#digest)
  }
}
