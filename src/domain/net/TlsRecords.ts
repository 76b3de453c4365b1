/**
 * Where the records of TLS begin, in bytes that come as they come.
 *
 * A record is five bytes (type, version, length) and as many more as its length says. What is in it is of no interest
 * here, but for one thing: whether it may be an alert, with which a peer ends TLS. Nothing is checked: what makes no
 * sense to TLS is refused where it is read.
 */

const HEADER = 5
const ALERT = 21
const HANDSHAKE = 22
/** In TLS 1.3 all records are of this type, and an alert is known by its length: two bytes, its type, and the tag. */
const DATA = 23
const ALERT_LENGTH = 2 + 1 + 16
const VERSION = 3
const CLIENT_HELLO = 1

/**
 * Whether bytes begin with a client's first word of TLS. It may come at any time, as clients can change to TLS in the
 * middle of a connection; and it comes alone, as its sender waits for an answer.
 */
export const isHello = (bytes: Uint8Array): boolean =>
  bytes[0] === HANDSHAKE && bytes[1] === VERSION && (bytes.length <= HEADER || bytes[HEADER] === CLIENT_HELLO)

/** Follows the records of one direction of a connection. */
export class TlsRecords {
  /** Bytes of the present record's header that have come, and the length that they say so far. */
  #header = 0
  #length = 0
  /** Bytes of the present record that are still to come, once its header has. */
  #left = 0

  /**
   * Returns how many of the bytes come before the last record that begins in them, if it may be an alert; all of them
   * otherwise, and where no other record's bytes come before it. The next call is about what follows those.
   */
  beforeAlert(bytes: Uint8Array): number {
    let last = 0
    for (let at = 0; at < bytes.length;) {
      if (this.#left > 0) {
        const some = Math.min(this.#left, bytes.length - at)
        this.#left -= some
        at += some
        continue
      }
      if (this.#header === 0) {
        last = at
        this.#length = 0
      }
      const byte = bytes[at++]!
      if (++this.#header < HEADER - 1) continue
      this.#length = this.#length << 8 | byte
      if (this.#header < HEADER) continue
      this.#header = 0
      this.#left = this.#length
    }
    // of one whose header has not come yet nothing is known
    if (last === 0 || this.#header > 0) return bytes.length
    const type = bytes[last]
    if (type !== ALERT && !(type === DATA && this.#length === ALERT_LENGTH)) return bytes.length
    this.#header = 0
    this.#left = 0
    return last
  }
}
