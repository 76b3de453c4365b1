/** The certificates and keys in `test/fixtures/certificates`. */
import * as Fs from "node:fs"

const read = (file: string): string =>
  Fs.readFileSync(new URL(`../fixtures/certificates/${file}`, import.meta.url), "utf8")

export const names = ["chain", "rsa", "wildcard", "exact", "expired", "named", "nameless", "odd"] as const

export interface Pair {
  readonly certificate: string
  readonly key: string
}

/** A certificate and its key, which is not encrypted. */
export const pair = (name: typeof names[number]): Pair => ({
  certificate: read(`${name}.pem`),
  key: read(`${name}.key`)
})

export const encrypted = { certificate: read("encrypted.pem"), key: read("encrypted.key"), passphrase: "open sesame" }

/** Leaf, intermediate, root. */
export const chain = pair("chain").certificate.split(/(?<=-----END CERTIFICATE-----\n)/).filter((text) =>
  text !== ""
) as [
  string,
  string,
  string
]

/** An authority with the name of the intermediate and a key of its own. */
export const impostor = read("impostor.pem")

/** An authority with the key of the intermediate and a name of its own. */
export const alias = read("alias.pem")

/** A time at which all are valid but the expired one. */
export const now = Date.UTC(2026, 0, 1)
