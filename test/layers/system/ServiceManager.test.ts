import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { assignmentsOf, fromEnvironment, ServiceState } from "../../../src/layers/system/ServiceManager.ts"
import { LogLines } from "../../support/LogLines.ts"
import { isInstalled } from "../../support/programs.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"
import { until } from "../../support/until.ts"

/** A program in place of `systemd-notify`: `does` is what it does with what it is told. */
const program = Effect.fnUntraced(function*(does: string) {
  const directory = yield* TempDirectory.make
  Fs.writeFileSync(Path.join(directory, "systemd-notify"), `#!/bin/sh\n${does}\n`, { mode: 0o755 })
  const said = Path.join(directory, "said")
  return {
    environment: { PATH: `${directory}:${process.env.PATH}`, NOTIFY_SOCKET: "/run/notify", SAID: said },
    said: () => Fs.existsSync(said) ? Fs.readFileSync(said, "utf8").trimEnd().split("\n") : []
  }
})

describe("the service manager", () => {
  it("is told in the words of its protocol", () => {
    const status = "one\ntwo"
    assert.deepStrictEqual(
      [
        ServiceState.Ready({ status: "" }),
        ServiceState.Status({ status }),
        ServiceState.Reloading({ status: "" }),
        ServiceState.Stopping({ status: "" }),
        ServiceState.Successor({ status: "", pid: 7 })
      ].map((state) => assignmentsOf(state, 1_234_567_890n).join(" ")),
      [
        "READY=1 STATUS=",
        "STATUS=one\\ntwo",
        "RELOADING=1 MONOTONIC_USEC=1234567 STATUS=",
        "STOPPING=1 STATUS=",
        "MAINPID=7 STATUS="
      ]
    )
  })

  it.live("is told one state after the other, over a socket that no other program is told of", () =>
    Effect.gen(function*() {
      const { environment, said } = yield* program("sleep 0.0$#; echo \"$NOTIFY_SOCKET $*\" >> \"$SAID\"")
      const { listens, tell, told } = yield* fromEnvironment(environment)
      assert.isTrue(listens)
      assert.notProperty(environment, "NOTIFY_SOCKET")
      tell(ServiceState.Ready({ status: "serving" }))
      tell(ServiceState.Stopping({ status: "bye" }))
      yield* told
      assert.deepStrictEqual(said(), [
        "/run/notify READY=1 STATUS=serving",
        "/run/notify STOPPING=1 STATUS=bye"
      ])
    }).pipe(Effect.scoped))

  it.live("is nobody where the environment has none", () =>
    Effect.gen(function*() {
      for (const environment of [{}, { NOTIFY_SOCKET: "" }]) {
        assert.isFalse((yield* fromEnvironment(environment)).listens)
      }
    }).pipe(Effect.scoped))

  it.live("that can't be told is mentioned once, and nobody waits for it", () =>
    Effect.gen(function*() {
      const log = new LogLines()
      const nowhere = { NOTIFY_SOCKET: "/run/notify", PATH: "/nowhere" }
      yield* Effect.gen(function*() {
        const { tell } = yield* fromEnvironment(nowhere)
        for (let i = 0; i < 3; i++) tell(ServiceState.Status({ status: String(i) }))
        yield* until("a warning", () => log.lines.length > 0)
        const { environment } = yield* program("exec sleep 60")
        const stuck = yield* fromEnvironment({ ...environment, WATCHDOG_USEC: "1000000" })
        for (let i = 0; i < 100; i++) stuck.tell(ServiceState.Status({ status: String(i) }))
      }).pipe(Effect.provide(log.layer), Effect.scoped)
      assert.deepStrictEqual(log.lines, [
        "WARN the service manager is not told of this host's state: there is no program systemd-notify; "
        + "install systemd's tools; this is said once",
        "WARN the service manager's watchdog is not served: take WatchdogSec= out of the unit"
      ])
    }))

  it.live.runIf(isInstalled("systemd-notify") && isInstalled("socat"))(
    "hears it by systemd's own program",
    () =>
      Effect.gen(function*() {
        const directory = yield* TempDirectory.make
        const [socket, heard] = ["notify", "heard"].map((name) => Path.join(directory, name)) as [string, string]
        yield* Effect.acquireRelease(
          Effect.sync(() => ChildProcess.spawn("socat", ["-u", `UNIX-RECV:${socket}`, `OPEN:${heard},creat`])),
          (socat) => Effect.sync(() => socat.kill())
        )
        yield* until("a socket", () => Fs.existsSync(socket))
        const { tell } = yield* fromEnvironment({ ...process.env, NOTIFY_SOCKET: socket })
        tell(ServiceState.Ready({ status: "app: 2 of 2 workers take sessions" }))
        const hears = (what: RegExp) =>
          until(String(what), () => Fs.existsSync(heard) && what.test(Fs.readFileSync(heard, "utf8")))
        yield* hears(/^READY=1\nSTATUS=app: 2 of 2 workers take sessions/)
        tell(ServiceState.Successor({ pid: process.pid, status: "followed" }))
        yield* hears(new RegExp(`MAINPID=${process.pid}\\nSTATUS=followed`))
      }).pipe(Effect.scoped)
  )
})
