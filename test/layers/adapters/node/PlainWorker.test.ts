import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { BroadcastChannel } from "node:worker_threads"
import * as PlainWorker from "../../../../src/layers/adapters/node/PlainWorker.ts"
import * as Sluice from "../../../../src/plain.ts"

const module = new URL("../../../fixtures/node/plain-worker.ts", import.meta.url)
const attach = (host: Sluice.PlainHost, kind: "thread" | "in-process") =>
  host.attach(
    {
      name: "own",
      scope: { local: true, global: true },
      listen: ["tcp://127.0.0.1:0"],
      config: { answer: 42 },
      workers: 1,
      worker: { kind }
    },
    module
  )
const get = async (app: Sluice.PlainApp, path: string) =>
  (await fetch(app.endpoints.find((at) => at.startsWith("tcp"))!.replace("tcp:", "http:") + path)).text()

for (const kind of ["thread", "in-process"] as const) {
  describe(`plain worker, ${kind}`, () => {
    it("listens, connects, serves, and hears of the drain before its end", async () => {
      const channel = new BroadcastChannel("plain worker fixture")
      const heard: Array<unknown> = []
      channel.addEventListener("message", (event) => heard.push(event.data))
      const host = await Sluice.start()
      const app = await attach(host, kind)
      assert.deepStrictEqual(JSON.parse(await get(app, "/")), {
        info: "own",
        config: { answer: 42 },
        refused: "can't connect to local://nobody: nobody listens there"
      })
      assert.strictEqual((await host.report()).apps[0]!.listeners.length, 2)
      assert.match(await get(app, "/closed"), /^can't connect to local:\/\/inner/)
      assert.strictEqual((await host.report()).apps[0]!.listeners.length, 1)
      assert.deepStrictEqual((await host.report()).imbalances, [])
      await host.stop()
      while (heard.length < 2) await once(channel as unknown as EventTarget, "message")
      assert.deepStrictEqual(heard, ["draining", "ended"])
      channel.close()
    })
  })
}

describe("plain worker", () => {
  it("that can't start says why", async () => {
    await using host = await Sluice.start()
    const attempt = async (start: (worker: PlainWorker.PlainWorker) => unknown) =>
      host.attach({ name: "own" }, PlainWorker.layer(start)).then(() => "attached", (error: Error) => error.message)
    assert.match(
      await attempt(() => Promise.reject(new Error("no such database"))),
      /did not start: .*: no such database \(.*:\d+:\d+\)$/
    )
    assert.match(await attempt((worker) => worker.listen("tcp://nowhere", () => {})), /can't listen on tcp:\/\/nowhere/)
    assert.match(
      await attempt((worker) => worker.serve((_request, response) => response.end())),
      /given no endpoint to serve/
    )
  })
})
