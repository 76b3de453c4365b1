/** The host as a program without Effect sees it: promises, rejections, and workers on real threads and sockets. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { execFile } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Net from "node:net"
import * as Path from "node:path"
import { text } from "node:stream/consumers"
import { promisify } from "node:util"
import * as Host from "../../src/layers/Host.ts"
import * as Sluice from "../../src/plain.ts"
import { SessionLayer } from "../../src/services/SessionLayer.ts"
import * as TempDirectory from "../support/TempDirectory.ts"

const anywhere = "tcp://127.0.0.1:0"
const fixture = (name: string) => new URL(`../fixtures/node/${name}`, import.meta.url)
const url = (app: Sluice.PlainApp) => app.endpoints[0]!.replace("tcp:", "http:")
const get = async (app: Sluice.PlainApp, path = "/") => (await fetch(`${url(app)}${path}`)).text()
const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(() => assert.fail("it did not reject"), (error) => error)

/** A request that is in hand until its `finish` is called. */
const slow = async (app: Sluice.PlainApp) => {
  const request = Http.request(`${url(app)}/echo`, { method: "POST" })
  // where it is reset, the response says so
  request.on("error", () => {})
  request.write("half")
  const [response] = await once(request, "response") as [Http.IncomingMessage]
  return {
    finish: () => {
      request.end(" and half")
      return text(response)
    },
    broken: once(response, "error").then(([error]) => error.code as string)
  }
}

describe("plain host", () => {
  it("serves a module on threads, is asked, and stops", async () => {
    const host = await Sluice.start()
    const app = await host.attach({ name: "web", listen: [anywhere], workers: 3 }, fixture("express.ts"))
    assert.strictEqual(app.name, "web")
    assert.match(app.endpoints[0]!, /^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/)
    assert.strictEqual(await get(app), "hello\n")
    const { apps } = await host.report()
    assert.deepStrictEqual(apps.map(({ name, workers }) => [name, workers.map(({ kind }) => kind)]), [
      ["web", ["thread", "thread", "thread"]]
    ])
    await host.stop()
    assert.match(String(await rejection(get(app))), /fetch failed/)
  })

  it("serves a module by the path of its file, two workers unless told otherwise", async () => {
    await using host = await Sluice.start()
    const path = Path.relative(process.cwd(), fixture("handler.ts").pathname)
    const app = await host.attach({ name: "web", listen: [anywhere] }, path)
    assert.strictEqual(await get(app), "hello\n")
    assert.strictEqual((await host.report()).apps[0]!.workers.length, 2)
  })

  it("serves a function or a server of this program, on its own loop", async () => {
    await using host = await Sluice.start()
    let asked = 0
    const app = await host.attach({ name: "here", listen: [anywhere] }, (_request, response) => {
      response.end(`${++asked}`)
    })
    const echo = await host.attach(
      { name: "echo", listen: [anywhere] },
      Net.createServer((socket) => socket.pipe(socket))
    )
    assert.strictEqual(await get(app), "1")
    assert.strictEqual(await get(app), "2")
    assert.strictEqual(asked, 2)
    const socket = Net.connect(Number(echo.endpoints[0]!.split(":").at(-1)), "127.0.0.1")
    socket.end("hello")
    assert.strictEqual(await text(socket), "hello")
    assert.deepStrictEqual((await host.report()).apps.map(({ workers }) => workers.map(({ kind }) => kind)), [
      ["in-process"],
      ["in-process"]
    ])
  })

  it("lets what is in hand finish when it stops, and takes nothing more", async () => {
    const host = await Sluice.start()
    const app = await host.attach({ name: "web", listen: [anywhere], workers: 1 }, fixture("handler.ts"))
    const { finish } = await slow(app)
    const stopped = host.stop()
    assert.strictEqual(host.stop(), stopped)
    const error = await rejection(host.attach({ name: "late" }, fixture("handler.ts")))
    assert.instanceOf(error, Sluice.AttachFailed)
    assert.strictEqual(error.message, "can't attach the application: the host is shutting down")
    assert.strictEqual(await finish(), "half and half")
    await stopped
    assert.strictEqual(
      (await rejection(host.attach({ name: "late" }, fixture("handler.ts"))) as Error).message,
      error.message
    )
  })

  it("lets nothing finish when it is told so", async () => {
    const host = await Sluice.start()
    const app = await host.attach({ name: "web", listen: [anywhere], workers: 1 }, fixture("handler.ts"))
    const { broken } = await slow(app)
    await host.stop({ drain: false })
    assert.strictEqual(await broken, "ECONNRESET")
  })

  it("detaches one application and keeps the others: what is in hand finishes, or is reset when told so", async () => {
    await using host = await Sluice.start()
    const attach = (name: string) => host.attach({ name, listen: [anywhere], workers: 1 }, fixture("handler.ts"))
    const [kept, gentle, abrupt] = [await attach("kept"), await attach("gentle"), await attach("abrupt")]
    const [finishing, breaking] = [await slow(gentle), await slow(abrupt)]
    const detached = gentle.detach()
    assert.strictEqual(gentle.detach(), detached)
    await abrupt.detach({ drain: false })
    assert.strictEqual(await breaking.broken, "ECONNRESET")
    assert.strictEqual(await finishing.finish(), "half and half")
    await detached
    assert.deepStrictEqual((await host.report()).apps.map(({ name }) => name), ["kept"])
    assert.deepStrictEqual((await host.report()).imbalances, [])
    assert.strictEqual(await get(kept), "hello\n")
    // its name is free
    await using again = await attach("gentle")
    assert.strictEqual(await get(again), "hello\n")
  })

  it("rejects with typed errors, and goes on", async () => {
    await using host = await Sluice.start()
    const attempt = async (options: Sluice.AppOptionsInput, app: Sluice.AppInput) => {
      const error = await rejection(host.attach(options, app))
      assert.instanceOf(error, Sluice.AttachFailed)
      return [error.reason._tag, error.message] as const
    }
    const hello: Sluice.AppInput = (_request, response) => response.end("hello")
    assert.deepStrictEqual((await attempt({}, hello))[0], "InvalidValue")
    assert.deepStrictEqual((await attempt({ name: "web", workers: 0 }, hello))[0], "InvalidValue")
    const [tag, message] = await attempt({ name: "web", listen: [anywhere] }, fixture("class.ts"))
    assert.strictEqual(tag, "WorkerFailed")
    assert.match(message, /class\.ts exports a class as its default/)
    const app = await host.attach({ name: "web", listen: [anywhere] }, hello)
    assert.strictEqual((await attempt({ name: "web" }, hello))[0], "AlreadyAttached")
    const taken = app.endpoints[0]!
    assert.match((await attempt({ name: "other", listen: [taken] }, hello))[1], /can't listen on tcp/)
    assert.deepStrictEqual((await host.report()).apps.map(({ name }) => name), ["web"])
  })

  it.live("has a control socket when it is given a path, and rejects one that it can't have", () =>
    Effect.gen(function*() {
      const control = Path.join(yield* TempDirectory.make, "control.sock")
      yield* Effect.promise(async () => {
        await using _host = await Sluice.start({ control })
        const answer = await new Promise<string>((resolve, reject) =>
          Http.get({ socketPath: control, path: "/" }, (response) => resolve(`${response.statusCode}`)).on(
            "error",
            reject
          )
        )
        assert.match(answer, /^\d{3}$/)
        const error = await rejection(Sluice.start({ control }))
        assert.instanceOf(error, Error)
        assert.include(String(error), control)
      })
    }).pipe(Effect.scoped))

  it("runs Effects on its runtime", async () => {
    await using host = await Sluice.start()
    const { apps } = await host.runtime.runPromise(Effect.flatMap(SessionLayer, (host) => host.report))
    assert.deepStrictEqual(apps, [])
  })

  it("is a layer like any other to a ManagedRuntime", async () => {
    const runtime = ManagedRuntime.make(Host.layer)
    const { report } = await runtime.runPromise(SessionLayer)
    assert.deepStrictEqual((await runtime.runPromise(report)).apps, [])
    await runtime.dispose()
  })

  it("refuses options that are none, by name, and starts nothing", async () => {
    for (
      const [options, says] of [
        [{ log: { format: "jsn" } }, /^log\.format: got "jsn"; it must be "pretty" or "json"; did you mean "json"\?$/],
        [{ log: { level: "verbose" } }, /^log\.level: got "verbose"; it must be "all", /],
        [{ contrl: "/run/x.sock" }, /^contrl: there is no such option; did you mean control\?$/],
        [{ control: "" }, /^control: got ""; it must be a path$/],
        [{ thread: "./thread.js" }, /^thread: got "\.\/thread\.js"; it must be a URL$/]
      ] as const
    ) {
      const error = await rejection(Sluice.start(options as Sluice.StartOptions))
      assert.match((error as Error).message, says)
    }
  })

  it.each(["json", "pretty"] as const)("logs to the standard error alone, its workers too: %s", async (format) => {
    const program = `
      import * as Sluice from ${JSON.stringify(new URL("../../src/plain.ts", import.meta.url).href)}
      const host = await Sluice.start({ log: { format: "${format}", level: "debug" } })
      const options = { name: "logs", workers: 1, listen: ["tcp://127.0.0.1:0"] }
      await host.attach(options, ${JSON.stringify(new URL("../fixtures/logs.ts", import.meta.url).href)})
      await host.stop()`
    const file = Path.join(Fs.mkdtempSync("/tmp/sluice-plain-"), "host.mjs")
    Fs.writeFileSync(file, program)
    const { stderr, stdout } = await promisify(execFile)(process.execPath, [file])
    Fs.rmSync(Path.dirname(file), { recursive: true })
    assert.strictEqual(stdout, "")
    const lines = stderr.trimEnd().split("\n")
    if (format === "pretty") {
      assert.isTrue(lines.every((line) => /^\d{4}-\S+Z (?:DEBUG|INFO |WARN |ERROR) | {4}/.test(line)), stderr)
      assert.match(stderr, /DEBUG \[logs 0\] a detail$/m)
    } else {
      const told = lines.map((line) => JSON.parse(line))
      assert.includeMembers(told.map(({ app, level, message, worker }) => `${level} ${app} ${worker} ${message}`), [
        "DEBUG logs 0 a detail",
        "INFO logs 0 the worker has stopped"
      ])
    }
  })
})
