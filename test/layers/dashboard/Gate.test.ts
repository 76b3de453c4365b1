import { assert, describe, it } from "@effect/vitest"
import * as Redacted from "effect/Redacted"
import { Gate } from "../../../src/layers/dashboard/Gate.ts"
import * as Token from "../../../src/layers/dashboard/Token.ts"

const TOKEN = "a-token-of-this-host"
const right = { authorization: `Bearer ${TOKEN}` }

/** The status of the refusal, or 0. */
const asks = (
  listens: string,
  [method, target]: readonly [method: string, target: string],
  headers: Readonly<Record<string, string>>,
  names: ReadonlyArray<string> = []
): number =>
  new Gate(listens, names, new Token.Token(Redacted.make(TOKEN))).refusal({ method, target, headers })?.status ?? 0

const page = ["GET", "/"] as const
const facts = ["GET", "/v1/overview"] as const
const local = { host: "127.0.0.1:9000" }

describe("the gate of the page's port", () => {
  it.each([
    ["127.0.0.1", "127.0.0.1:9000", 0],
    ["127.0.0.1", "127.0.0.1", 0],
    // another port leads here, too: a tunnel
    ["127.0.0.1", "localhost:1234", 0],
    ["127.0.0.1", "LOCALHOST.", 0],
    ["127.0.0.1", "[::1]:9000", 0],
    ["127.0.0.1", "192.0.2.7:9000", 403],
    ["127.0.0.1", "evil.example:9000", 403],
    ["127.0.0.1", "127.0.0.1.evil.example", 403],
    ["127.0.0.1", "localhost@evil.example", 403],
    ["127.0.0.1", "page.example:9000", 403],
    ["127.0.0.1", "", 403],
    ["127.0.0.1", "127.0.0.1:9000, evil.example", 403],
    ["::1", "[::1]:9000", 0],
    ["192.0.2.7", "192.0.2.7:9000", 0],
    ["192.0.2.7", "127.0.0.1:9000", 403],
    ["0.0.0.0", "192.0.2.7:9000", 0],
    ["::", "[2001:db8::7]:9000", 0],
    ["0.0.0.0", "evil.example", 403]
  ])("X5 on %s, a browser that asks for %s gets %i", (listens, host, status) => {
    assert.strictEqual(asks(listens, page, { host }), status)
  })

  it("X5 is called by the names that it was given, too", () => {
    assert.strictEqual(asks("127.0.0.1", page, { host: "Page.example:443" }, ["page.example"]), 0)
  })

  it.each(
    [
      [page, { origin: "http://127.0.0.1:9000" }, 0],
      [page, { origin: "http://evil.example" }, 403],
      [page, { origin: "http://127.0.0.1:9001" }, 403],
      [page, { origin: "null" }, 403],
      [facts, { "sec-fetch-site": "same-origin" }, 0],
      [facts, { "sec-fetch-site": "none" }, 0],
      // another server of this machine
      [facts, { "sec-fetch-site": "same-site" }, 403],
      [facts, { "sec-fetch-site": "cross-site" }, 403],
      // a link to the page, but neither a frame nor an image
      [page, { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" }, 0],
      [page, { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" }, 403],
      [page, { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" }, 403],
      [facts, { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" }, 403],
      [
        ["POST", "/"],
        { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" },
        403
      ]
    ] as const
  )("X5 %j with %j gets %i", (asked, headers, status) => {
    assert.strictEqual(asks("127.0.0.1", asked, { ...local, ...headers }), status)
  })

  it("X5 the right token helps nobody whose origin is wrong", () => {
    assert.strictEqual(asks("127.0.0.1", facts, { ...local, ...right, origin: "http://evil.example" }), 403)
    assert.strictEqual(asks("127.0.0.1", facts, { ...right, host: "evil.example" }), 403)
  })

  it.each([
    ["GET", "/", 0, 0],
    ["HEAD", "/", 0, 0],
    ["GET", "/docs", 0, 0],
    ["GET", "/openapi.json", 0, 0],
    ["GET", "/v1/overview", 0, 401],
    ["GET", "/v1/events?follow=false", 0, 401],
    ["GET", "/v1/overview/", 401, 401],
    ["GET", "//v1/overview", 401, 401],
    ["GET", "/v1/%6fverview", 401, 401],
    ["GET", "/v1/sessions", 401, 401],
    ["GET", "/v1/host", 401, 401],
    ["POST", "/", 401, 401],
    ["POST", "/v1/overview", 401, 401],
    ["POST", "/v1/apps/shop/reload", 401, 401],
    ["DELETE", "/v1/workers/0.1", 401, 401],
    ["DELETE", "/v1/workers/0.1?token=a-token-of-this-host", 401, 401]
  ])("X5 %s %s without the token gets %i on this machine, and %i from others", (method, target, here, elsewhere) => {
    assert.strictEqual(asks("127.0.0.1", [method, target], local), here)
    assert.strictEqual(asks("192.0.2.7", [method, target], { host: "192.0.2.7:9000" }), elsewhere)
    assert.strictEqual(asks("192.0.2.7", [method, target], { host: "192.0.2.7:9000", ...right }), 0)
  })

  it.each([
    [`Bearer ${TOKEN}`, 0],
    [`bearer  ${TOKEN}`, 0],
    [`Bearer ${TOKEN}x`, 401],
    [`Bearer ${TOKEN.slice(1)}`, 401],
    [`Basic ${TOKEN}`, 401],
    [TOKEN, 401],
    ["Bearer", 401],
    ["Bearer ", 401],
    ["", 401]
  ])("X5 the header \"Authorization: %s\" gets %i", (authorization, status) => {
    assert.strictEqual(asks("127.0.0.1", ["POST", "/v1/apps/a/reload"], { ...local, authorization }), status)
  })
})
