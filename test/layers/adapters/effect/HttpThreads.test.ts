/** `node:http` over sessions of a real thread, where the sizes of fifos and chunks meet in every way. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Crypto from "node:crypto"
import * as Http from "node:http"
import * as Stream from "node:stream"
import * as Host from "../../../../src/layers/Host.ts"
import * as AppWorker from "../../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../../src/services/SessionLayer.ts"
import * as Long from "../../../support/long.ts"

const BYTES = Long.steps({ short: 8, long: 32 }) * 1024 * 1024

for (const fifo of ["4 KiB", "64 KiB", "512 KiB"] as const) {
  it.live(`a chunked body of ${BYTES / 1024 / 1024} MiB comes back unchanged through fifos of ${fifo}`, () =>
    Effect.gen(function*() {
      const host = yield* SessionLayer
      yield* host.attach(
        {
          name: "http",
          listen: ["tcp://127.0.0.1:0"],
          segment: { rxFifoSize: fifo, txFifoSize: fifo },
          workers: 1
        },
        AppWorker.fromUrl(new URL("../../../../src/apps/http.ts", import.meta.url))
      )
      const port = Number((yield* host.report).apps[0]!.listeners[0]!.endpoint.split(":").at(-1))
      const sent = Crypto.createHash("sha256")
      const came = Crypto.createHash("sha256")
      yield* Effect.promise(() =>
        new Promise<void>((resolve, reject) => {
          const request = Http.request({ port, host: "127.0.0.1", path: "/echo", method: "POST" }, (response) => {
            response.on("data", (bytes: Buffer) => came.update(bytes))
            response.on("end", resolve)
            response.on("error", reject)
          })
          request.on("error", reject)
          const chunks = function*() {
            for (let at = 0; at < BYTES;) {
              const chunk = Crypto.randomBytes(Math.min(BYTES - at, 1 + (at * 7919) % 100_000))
              sent.update(chunk)
              at += chunk.length
              yield chunk
            }
          }
          Stream.Readable.from(chunks()).pipe(request)
        })
      )
      assert.strictEqual(came.digest("hex"), sent.digest("hex"))
      assert.deepStrictEqual((yield* host.report).imbalances, [])
    }).pipe(Effect.scoped, Effect.provide(Host.layer)))
}
