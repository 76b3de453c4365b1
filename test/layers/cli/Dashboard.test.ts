/** `sluice serve --dashboard`: the port of the page. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Cli from "../../support/Cli.ts"
import * as DashboardRun from "../../support/DashboardRun.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"

const TOKEN = "a-token-of-this-host"

const status = (port: string, method: string, path: string, headers: Http.OutgoingHttpHeaders) =>
  Effect.callback<number>((resume) => {
    Http.request({ host: "127.0.0.1", port, method, path, headers, agent: false }, (response) => {
      resume(Effect.succeed(response.statusCode!))
      response.resume()
    }).end()
  })

describe("sluice serve --dashboard", () => {
  it.live(
    "X5 answers a browser on the port that it is given, by the names and the token that it is given",
    () =>
      Effect.gen(function*() {
        const directory = yield* TempDirectory.make
        const file = `${directory}/token`
        Fs.writeFileSync(file, `${TOKEN}\n`)
        const served = ["serve", "--listen", "tcp://127.0.0.1:0", "--workers", "1", "--in-process"]
        const named = ["--dashboard-name", "page.example", "--dashboard-token-file", file]
        const control = ["--control", `${directory}/control.sock`]
        const { printed } = yield* Cli.start([...served, ...control, ...named, "--dashboard", "127.0.0.1:0"])
        const [, port] = yield* printed("stdout", /dashboard at http:\/\/127\.0\.0\.1:(\d+)\/\n/)
        yield* printed("stdout", /listening on tcp/)
        const ask = (method: string, path: string, headers: Http.OutgoingHttpHeaders) =>
          status(port!, method, path, headers)
        assert.strictEqual(yield* ask("GET", "/", { host: "page.example" }), 200)
        assert.strictEqual(yield* ask("GET", "/v1/overview", { host: "other.example" }), 403)
        const authorization = `Bearer ${TOKEN}`
        assert.strictEqual(
          yield* ask("POST", "/v1/apps/http/workers", { authorization, "content-type": "text/plain" }),
          415
        )
        assert.strictEqual(yield* ask("DELETE", "/v1/sessions/7.7", { authorization }), 404)
        assert.strictEqual(yield* ask("DELETE", "/v1/sessions/7.7", { authorization: "Bearer other" }), 401)
      }).pipe(Effect.scoped),
    20_000
  )

  it.live(
    "X5 answers whatever comes with the token, refuses it from elsewhere, and serves as before in the end",
    () =>
      Effect.gen(function*() {
        const directory = yield* TempDirectory.make
        const at = ["--listen", "tcp://127.0.0.1:0", "--control", `${directory}/control.sock`]
        const { printed } = yield* Cli.start(
          ["serve", "--workers", "2", "--in-process", "--drain-timeout", "100ms", ...at, "--dashboard", "127.0.0.1:0"],
          { env: { SLUICE_DASHBOARD_TOKEN: TOKEN } }
        )
        const [, port] = yield* printed("stdout", /dashboard at http:\/\/127\.0\.0\.1:(\d+)\/\n/)
        const [, served] = yield* printed("stdout", /listening on tcp:\/\/(\S+:\d+)/)
        const target = { port: Number(port), token: TOKEN, served: `http://${served}/` }
        const { faults, statuses } = yield* Effect.promise(() => DashboardRun.send(target, 500, 11))
        assert.deepStrictEqual(faults, [])
        for (const status of ["200 token", "400 token", "404 token", "403 foreign"]) {
          assert.isAbove(statuses.get(status) ?? 0, 0, status)
        }
        const { down, imbalances, unserved } = yield* Effect.promise(() => DashboardRun.settle(target))
        assert.deepStrictEqual({ down, imbalances, unserved }, { down: [], imbalances: [], unserved: 0 })
      }).pipe(Effect.scoped),
    20_000
  )

  it.effect("X5 says in one sentence what is wrong with the page's port, names or token, and starts nothing", () =>
    Effect.gen(function*() {
      const directory = yield* TempDirectory.make
      const says = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
        Effect.map(Cli.run(["serve", ...args], { env }), ({ code, stderr }) => {
          assert.strictEqual(code, 2)
          return stderr
        })
      const at = ["--dashboard", "127.0.0.1:0"]
      const short = `${directory}/short`
      Fs.writeFileSync(short, "abc")
      assert.include(
        yield* says(["--dashboard", "9100"]),
        "--dashboard: got \"9100\"; it must be an address and a port"
      )
      assert.include(
        yield* says(["--dashboard", "127.0.0.1:9100", "--metrics", "127.0.0.1:9100"]),
        "--dashboard: 127.0.0.1:9100 is the metrics port; choose another port"
      )
      assert.include(
        yield* says([...at, "--dashboard-token-file", `${directory}/none`]),
        `--dashboard-token-file: ${directory}/none does not exist`
      )
      assert.include(
        yield* says([...at, "--dashboard-token-file", directory]),
        `--dashboard-token-file: ${directory} can't be read: `
      )
      const right = "a token has 16 to 512 characters: letters, digits, and -._~+/"
      assert.include(
        yield* says([...at, "--dashboard-token-file", short]),
        `--dashboard-token-file: ${short}: ${right}`
      )
      const given = { SLUICE_DASHBOARD_TOKEN: TOKEN }
      assert.include(yield* says(at, { SLUICE_DASHBOARD_TOKEN: "a b" }), `SLUICE_DASHBOARD_TOKEN: ${right}`)
      assert.include(
        yield* says([...at, "--dashboard-token-file", short], given),
        "--dashboard-token-file and SLUICE_DASHBOARD_TOKEN both give the token; leave one of them out"
      )
      const config = `${directory}/config.json`
      Fs.writeFileSync(config, JSON.stringify({ dashboardToken: "short" }))
      assert.include(yield* says([...at, "--config", config]), `dashboardToken in ${config}: ${right}`)
      assert.include(yield* says([], given), "SLUICE_DASHBOARD_TOKEN has no effect without --dashboard")
      assert.include(
        yield* says([...at, "--dashboard-name", "http://page.example"]),
        "--dashboard-name: got \"http://page.example\"; it must be a name such as host.example.com"
      )
    }).pipe(Effect.scoped))
})
