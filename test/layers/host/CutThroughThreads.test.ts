/** Cut-through sessions between workers of all kinds, with a real host. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { AppOptionsInput } from "../../../src/domain/options/Options.ts"
import type * as Report from "../../../src/domain/report/Report.ts"
import * as Host from "../../../src/layers/Host.ts"
import * as AppWorker from "../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../src/services/SessionLayer.ts"
import type { WorkerInfo } from "../../../src/services/Sessions.ts"
import { type Config, RESET, WHOLE, WRONG } from "../../fixtures/local-client.ts"
import * as Long from "../../support/long.ts"
import { assertNothingLeft } from "../../support/Stage.ts"
import { until } from "../../support/until.ts"

type Kind = WorkerInfo["kind"]
const kinds: ReadonlyArray<Kind> = ["thread", "in-process"]
const endpoint = "local://service"
const urlOf = (name: string) => AppWorker.fromUrl(new URL(`../../fixtures/${name}.ts`, import.meta.url))

/** Sessions of the client that have ended. */
const over = (words: Int32Array): number => words[WHOLE]! + words[RESET]! + words[WRONG]!

interface Stage {
  readonly serve: (fixture: string, options?: AppOptionsInput) => Effect.Effect<void, unknown, Scope.Scope>
  /** Starts the client; its words, as they are. */
  readonly connect: (
    config: Omit<Config, "endpoint" | "result">,
    options?: AppOptionsInput
  ) => Effect.Effect<Int32Array, unknown, Scope.Scope>
  readonly report: () => Report.HostReport
}

/** A test at whose end nothing may be left. */
const scenario = (
  title: string,
  [server, client]: readonly [Kind, Kind],
  body: (stage: Stage) => Effect.Effect<void, unknown, Scope.Scope>
): void =>
  it.live(title, () =>
    Effect.gen(function*() {
      const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
      const attach = (name: string, kind: Kind, fixture: string, options: AppOptionsInput) =>
        host.attach({
          name,
          scope: { local: true },
          workers: 1,
          ...options,
          worker: { kind, backoffBase: 10, ...options.worker }
        }, urlOf(fixture))
      yield* body({
        serve: (fixture, options) =>
          Effect.asVoid(attach("server", server, fixture, { listen: [endpoint], ...options })),
        connect: Effect.fnUntraced(function*(config, options) {
          const result = new SharedArrayBuffer(64)
          const told = { ...config, endpoint, result } satisfies Config
          yield* attach("client", client, "local-client", { config: told as never, ...options })
          return new Int32Array(result)
        }),
        report: () => Effect.runSync(host.report)
      }).pipe(Effect.scoped)
      yield* until("nothing is left", () => Effect.runSync(host.report).sessions === 0)
      yield* assertNothingLeft({ host, network: { listening: [] } })
    }).pipe(Effect.scoped))

const BYTES = Long.steps({ short: 4, long: 16 }) * 2 ** 20

for (const server of kinds) {
  for (const client of kinds) {
    describe(`cut-through sessions, ${client} to ${server}`, () => {
      const both = [server, client] as const

      scenario(
        `W16 ${BYTES / 2 ** 20} MiB go there and come back, and the session ends whole`,
        both,
        ({ connect, serve }) =>
          Effect.gen(function*() {
            yield* serve("echo")
            const words = yield* connect({ sessions: 1, bytes: BYTES })
            yield* until("it is over", () => over(words) === 1)
            assert.deepStrictEqual([...words.subarray(0, 5)], [0, 1, 0, 0, 0])
          })
      )

      scenario(
        "W16 a hundred sessions at a time with small fifos get all they sent",
        both,
        ({ connect, serve }) =>
          Effect.gen(function*() {
            yield* serve("echo", { segment: { rxFifoSize: 4096, txFifoSize: 8192 } })
            const words = yield* connect({ sessions: 100, bytes: 100_000 })
            yield* until("all are over", () => over(words) === 100)
            assert.deepStrictEqual([...words.subarray(0, 5)], [0, 100, 0, 0, 0])
          })
      )

      if (server === "thread") {
        scenario(
          "W16 a server that dies costs its sessions, by a reset",
          both,
          ({ connect, report, serve }) =>
            Effect.gen(function*() {
              yield* serve("misbehaving")
              const words = yield* connect({ sessions: 3, bytes: 0, line: "exit" })
              yield* until("they are reset", () => words[RESET] === 3)
              assert.deepStrictEqual([...words.subarray(0, 5)], [0, 0, 3, 0, 0])
              yield* until("the server is back", () => report().apps[0]!.workers[0]!.restarts === 1)
            })
        )
      }
    })
  }
}
