import { assert, describe, it } from "@effect/vitest"
import * as HttpRefusal from "../../../src/domain/net/HttpRefusal.ts"

/** The text lies at the beginning of a memory in which more has been before. */
const isWhole = (text: string): boolean =>
  HttpRefusal.isWhole(Buffer.concat([Buffer.from(text, "latin1"), Buffer.from("\r\n\r\n")]), text.length)

describe("HttpRefusal", () => {
  it("X7 a peer has nothing more to send once its request is there, unless a body follows", () => {
    const head = "GET / HTTP/1.1\r\nHost: a\r\n"
    for (const whole of [`${head}\r\n`, `${head}X-Content-Length: 1\r\n\r\n`, "POST / HTTP/1.1\r\n\r\n"]) {
      assert.isTrue(isWhole(whole), whole)
    }
    const parts = ["", "\n", "GET / HT", head, `${head}\r`, `${head}\r\nbody`, "\x16\x03\x01"]
    const bodies = ["Content-Length: 9", "content-length : 9", "Transfer-Encoding:chunked"]
    for (const part of [...parts, ...bodies.map((name) => `${head}${name}\r\n\r\n`)]) {
      assert.isFalse(isWhole(part), part)
    }
  })

  it("X7 HEAD is answered without a body", () => {
    const whole = HttpRefusal.answer("hold-full")!
    const to = (text: string): string => {
      const bytes = Buffer.from(`${text}HEAD`)
      return Buffer.from(HttpRefusal.answerTo(whole, bytes, text.length)).toString()
    }
    const [head] = Buffer.from(whole).toString().split("\r\n\r\n")
    assert.strictEqual(to("HEAD / HTTP/1.1\r\n\r\n"), `${head}\r\n\r\n`)
    for (const text of ["GET / HTTP/1.1\r\n\r\n", "HEA", ""]) {
      assert.strictEqual(to(text), Buffer.from(whole).toString(), text)
    }
  })
})
