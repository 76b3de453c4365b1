/**
 * A server that takes a time of its worker for each request (`WORK_MICROS`). One program for Sluice, for `node:cluster` and,
 * with `UNDER_PRESSURE` (where that is installed), for fastify that refuses by `@fastify/under-pressure` under `node:cluster`.
 */
import fastify, { type FastifyPluginCallback } from "fastify"
import cluster from "node:cluster"
import * as Http from "node:http"
import { createRequire } from "node:module"
import { burn } from "./responder.ts"

const WORK = Number(process.env.WORK_MICROS ?? 2000)
const body = "hello, world\n"

const home = process.env.UNDER_PRESSURE
if (home === undefined) {
  Http.createServer((_, response) => {
    burn(WORK)
    response.writeHead(200, { "content-type": "text/plain", "content-length": body.length }).end(body)
  }).listen(0, "127.0.0.1")
} else {
  const underPressure: FastifyPluginCallback<Record<string, number>> = createRequire(home)("@fastify/under-pressure")
  const app = fastify()
  // the limits that its page shows, looked at more often than once a second
  await app.register(underPressure, {
    maxEventLoopDelay: 1000,
    maxEventLoopUtilization: 0.98,
    sampleInterval: 100,
    retryAfter: 1
  })
  app.get("/", () => {
    burn(WORK)
    return body
  })
  await app.listen({ port: 0, host: "127.0.0.1" })
}

// what the primary of a cluster waits for
if (cluster.isWorker) process.once("disconnect", () => process.exit(0))
