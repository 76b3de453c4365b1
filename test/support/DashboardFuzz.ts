/** Requests to the page's port as nobody should send them, and what must hold of the answers. */
import * as Net from "node:net"
import { one, type Random } from "./random.ts"

const METHODS = ["GET", "GET", "GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "TRACE", "PROPFIND"]
const ODD_METHODS = ["get", "G\u00e9T", "", "GET GET"]
const ODD_VERSIONS = ["1.0", "2.0", "x"]
const PATHS = [
  "/",
  "/docs",
  "/openapi.json",
  "/v1/overview",
  "/v1/events",
  "/v1/sessions",
  "/v1/workers/0.0",
  "/v1/host"
]
const PARTS = [
  "/",
  "//",
  "..",
  "%2e%2e",
  "%00",
  "%",
  "?",
  "&",
  "#",
  "a",
  "v1",
  "apps",
  "workers",
  "rules",
  "denied",
  "upgrade"
]
const VALUES = [
  "127.0.0.1",
  "localhost",
  "evil.example",
  "null",
  "Bearer x",
  "chunked",
  "gzip",
  "-1",
  "9999999999",
  "websocket"
]
const NAMES = [
  "authorization",
  "origin",
  "sec-fetch-site",
  "accept",
  "content-type",
  "content-length",
  "transfer-encoding",
  "upgrade",
  "connection",
  "expect",
  "cookie",
  "host",
  "last-event-id",
  "x-http-method-override"
]

const noise = (random: Random, length: number): string =>
  String.fromCharCode(...Array.from({ length: random(length) }, () => random(256)))

const target = (random: Random): string => {
  const path = one(random, PATHS)
  switch (random(5)) {
    case 0:
      return path
    case 1:
      return `${path}?follow=false&token=${noise(random, 8).replace(/\s/g, "+")}`
    case 2:
      return path + Array.from({ length: random(6) }, () => one(random, PARTS)).join("")
    case 3:
      return Array.from({ length: 1 + random(8) }, () => one(random, PARTS)).join("/")
    default:
      return `http://${one(random, VALUES)}${path}`
  }
}

/** A request, as bytes; most have a `Host` that would do. */
export const request = (random: Random): Buffer => {
  const method = one(random, random(20) > 0 ? METHODS : ODD_METHODS)
  const version = random(20) > 0 ? "1.1" : one(random, ODD_VERSIONS)
  const lines = [`${method} ${target(random)} HTTP/${version}`]
  if (random(8) > 0) lines.push("host: 127.0.0.1")
  for (let count = random(3); count > 0; count--) {
    const value = random(8) > 0 ? one(random, VALUES) : noise(random, 40)
    lines.push(`${one(random, NAMES)}: ${value}`)
  }
  lines.push("connection: close", "", random(5) > 0 ? "" : noise(random, 200))
  const text = lines.join("\r\n")
  // now and then it breaks off
  return Buffer.from(random(10) > 0 ? text : text.slice(0, random(text.length)), "latin1")
}

/** Whether an answer may have been given to somebody without the token. */
const isFree = (asked: string): boolean =>
  /^(?:GET|HEAD) (?:http:\/\/[^/ ]*)?\/(?:docs|openapi\.json|v1\/overview|v1\/events)?[? ]/.test(asked)

/** What is wrong with the answer to a request, if something is. */
export const fault = (asked: Buffer, answer: string): string | undefined => {
  const statuses = [...answer.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status))
  const first = asked.toString("latin1").split("\r\n", 1)[0]!
  if (statuses.some((status) => status >= 500)) return `${statuses.join()}: ${JSON.stringify(asked.toString("latin1"))}`
  const [status = 400] = statuses
  return status < 400 && status >= 200 && !isFree(first)
    ? `${status}: ${JSON.stringify(asked.toString("latin1"))}`
    : undefined
}

/** The longest that an answer is waited for: streams of events have no end. */
const PATIENCE = 300

/** Sends a request over a connection of its own, and takes what comes. */
export const send = (port: number, asked: Buffer): Promise<string> =>
  new Promise((resolve) => {
    let answer = ""
    const socket = Net.connect(port, "127.0.0.1", () => socket.write(asked))
    const done = () => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(PATIENCE, done)
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1")
      // the head says all that is looked at
      if (answer.includes("\r\n\r\n")) done()
    })
    socket.on("close", done).on("error", done)
  })
