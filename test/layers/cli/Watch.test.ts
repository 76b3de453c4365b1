/** X2 `sluice serve --watch`: new code with each save, for as long as it is any good. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Http from "node:http"
import type * as Net from "node:net"
import * as Path from "node:path"
import { text } from "node:stream/consumers"
import { setTimeout as sleep } from "node:timers/promises"
import * as Cli from "../../support/Cli.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"

const MAIN = `
import * as http from "node:http"
import { said } from "./said.cjs"
http.createServer((request, response) => response.end(said)).listen(0)
`

describe("serve --watch", () => {
  it.live(
    "X2 a save reloads, whatever kind of module it is; broken code leaves the old code; connections stay",
    () =>
      Effect.gen(function*() {
        const directory = yield* TempDirectory.make
        const write = (name: string, content: string) =>
          Effect.sync(() => Fs.writeFileSync(Path.join(directory, name), content))
        yield* write("app.mts", MAIN)
        yield* write("said.cjs", "exports.said = require('./text.json').text")
        yield* write("text.json", `{"text":"one"}`)
        const { port, printed } = yield* Cli.serve([Path.join(directory, "app.mts"), "--watch", "--workers", "1"])
        const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
        const sockets = new Set<Net.Socket>()
        yield* Effect.addFinalizer(() => Effect.sync(() => agent.destroy()))
        const ask = async () => {
          const asked = Http.get({ agent, host: "127.0.0.1", port })
          asked.on("socket", (socket: Net.Socket) => sockets.add(socket))
          const [response] = await once(asked, "response") as [Http.IncomingMessage]
          return text(response)
        }
        const answers = (wanted: string) =>
          Effect.promise(async () => {
            const end = performance.now() + 10_000
            for (let said; (said = await ask()) !== wanted; await sleep(5)) {
              if (performance.now() > end) throw new Error(`it says ${said}, not ${wanted}`)
            }
          })
        yield* answers("one")
        yield* printed("stderr", /INFO .*watching 3 files of app\n/)
        yield* write("text.json", `{"text":"two"}`)
        yield* answers("two")
        yield* printed("stderr", /INFO {2}\[app\] reloaded in .*, 1 worker: .*text\.json changed\n/)
        yield* write("said.cjs", "exports.said = require('./more.cjs').more +;")
        yield* printed(
          "stderr",
          /ERROR \[app\] can't reload app: .*Unexpected token ';' \(.*said\.cjs:1.*go on as they were\n/
        )
        yield* answers("two")
        // a module that is not there yet
        yield* write("said.cjs", "exports.said = require('./more.cjs').more")
        yield* printed("stderr", /ERROR \[app\] .*Cannot find module '\.\/more\.cjs'/)
        yield* write("more.cjs", "exports.more = 'three'")
        yield* answers("three")
        yield* write("more.cjs", "exports.more = String(require('node:module').getCompileCacheDir() !== undefined)")
        // what has not changed is not compiled again
        yield* answers("true")
        assert.strictEqual(sockets.size, 1)
      }).pipe(Effect.scoped),
    30_000
  )

  it.live("X2 it needs threads", () =>
    Cli.fails(["serve", "--watch", "--in-process"], {
      code: 2,
      says: /^sluice: --watch: workers that run in-process can't have new code/
    }))
})
