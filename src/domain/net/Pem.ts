/**
 * PEM text: the blocks in it, and what kinds of block they are.
 *
 * ```
 * text around blocks is ignored
 * -----BEGIN CERTIFICATE-----
 * MIIB…
 * -----END CERTIFICATE-----
 * ```
 */

/** A block: its label, such as `CERTIFICATE`, and its text from the first dash to the last. */
export interface PemBlock {
  readonly label: string
  readonly text: string
}

const BEGIN = "-----BEGIN "
const DASHES = "-----"
const LONGEST_LABEL = 64

/**
 * The blocks of a text; `undefined` when a block has no end. Only the end that belongs to a block is looked for, so the
 * time taken is proportional to the length of the text.
 */
export const blocksOf = (text: string): ReadonlyArray<PemBlock> | undefined => {
  const blocks: Array<PemBlock> = []
  for (let begin = text.indexOf(BEGIN); begin >= 0;) {
    const from = begin + BEGIN.length
    const length = text.slice(from, from + LONGEST_LABEL + DASHES.length).indexOf(DASHES)
    if (length < 0) return undefined
    const label = text.slice(from, from + length)
    const marker = `-----END ${label}-----`
    const end = text.indexOf(marker, from)
    if (end < 0) return undefined
    const block = text.slice(begin, end + marker.length)
    if (block.includes(BEGIN, 1)) return undefined
    blocks.push({ label, text: block })
    begin = text.indexOf(BEGIN, end)
  }
  return blocks
}

export const isCertificate = ({ label }: PemBlock): boolean => label === "CERTIFICATE" || label.endsWith(" CERTIFICATE")

export const isPrivateKey = ({ label }: PemBlock): boolean => label === "PRIVATE KEY" || label.endsWith(" PRIVATE KEY")

/** Whether a private key is encrypted: PKCS#8 says so in its label, the older forms in a header of the block. */
export const isEncrypted = ({ label, text }: PemBlock): boolean =>
  label === "ENCRYPTED PRIVATE KEY" || /^Proc-Type: *4, *ENCRYPTED/m.test(text)

/**
 * Whether the encrypted part of a key is as long as it says. If so, it is the passphrase that does not fit: one time in
 * 256, the bytes that a wrong passphrase yields look well decrypted, so the kind of OpenSSL's error does not tell.
 */
export const isIntact = ({ label, text }: PemBlock): boolean => {
  const lines = text.split(/\r?\n/).slice(1, -1)
  const headed = label !== "ENCRYPTED PRIVATE KEY"
  const body = headed ? lines.slice(lines.findIndex((line) => line.trim() === "") + 1) : lines
  const bytes = Buffer.from(body.join(""), "base64")
  if (headed) return bytes.length > 0 && bytes.length % 8 === 0
  const [tag, first = 0] = bytes
  const size = first < 0x80 ? 0 : first - 0x80
  if (tag !== 0x30 || size > 4 || bytes.length < 2 + size) return false
  return bytes.length === 2 + size + (size === 0 ? first : bytes.readUIntBE(2, size))
}

/** Ends a sentence about a text, "; it holds: CERTIFICATE REQUEST". Labels are not secret, but come from outside. */
export const holding = (blocks: ReadonlyArray<PemBlock>): string => {
  const labels = new Set(blocks.map(({ label }) => label).filter((label) => /^[A-Z0-9 ]+$/.test(label)))
  return labels.size === 0 ? "" : `; it holds: ${Array.from(labels).slice(0, 4).join(", ")}`
}
