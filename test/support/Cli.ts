/** The `sluice` command in this process: its console, its environment and its signals are the test's. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Signals from "../../src/layers/cli/Signals.ts"
import * as Sluice from "../../src/layers/cli/Sluice.ts"
import * as Host from "../../src/layers/Host.ts"
import * as CliOutput from "./CliOutput.ts"
import * as TempDirectory from "./TempDirectory.ts"

export interface Options {
  readonly env?: Readonly<Record<string, string>>
}

export interface Result extends CliOutput.Printed {
  readonly code: number
}

export type Running = CliOutput.Running<Result>
export type Serving = CliOutput.Serving<Result>
export { fixture } from "./CliOutput.ts"

const sluice = Sluice.run(Host.layerTakeover)

const consoleTo = (output: CliOutput.CliOutput<Result>): Console.Console => ({
  ...globalThis.console,
  log: (...words: ReadonlyArray<unknown>) => output.print("stdout", `${words.map(String).join(" ")}\n`),
  error: (...words: ReadonlyArray<unknown>) => output.print("stderr", `${words.map(String).join(" ")}\n`)
})

/** Starts the command; what it has begun is ended when the scope closes. */
export const start = Effect.fnUntraced(function*(
  args: ReadonlyArray<string>,
  options: Options = {}
): Effect.fn.Return<Running, never, Scope.Scope> {
  const env = { ...CliOutput.environment(yield* TempDirectory.make), ...options.env }
  const output = new CliOutput.CliOutput<Result>()
  const first = Deferred.makeUnsafe<NodeJS.Signals>()
  const hangups = yield* Queue.sliding<void>(1)
  const reloads = yield* Queue.sliding<void>(1)
  const kill = (signal: NodeJS.Signals): void => {
    if (signal === "SIGHUP") return void Queue.offerUnsafe(hangups, undefined)
    if (signal === "SIGUSR2") return void Queue.offerUnsafe(reloads, undefined)
    assert.isTrue(Deferred.doneUnsafe(first, Effect.succeed(signal)), "a second signal ends a process: start one")
  }
  yield* sluice(args).pipe(
    Effect.tap((code) => Effect.sync(() => output.end({ code, ...output.text }))),
    Effect.provideService(Signals.Signals, {
      ending: Effect.succeed(Deferred.await(first)),
      hangup: Effect.succeed(Queue.take(hangups)),
      reload: Effect.succeed(Queue.take(reloads))
    }),
    Effect.provideService(Console.Console, consoleTo(output)),
    Effect.provide([NodeServices.layer, ConfigProvider.layer(ConfigProvider.fromEnv({ env }))]),
    Effect.forkScoped
  )
  return {
    kill: (signal) => Effect.sync(() => kill(signal)),
    result: Deferred.await(output.ended),
    printed: (stream, pattern) => output.printed(stream, pattern)
  }
})

/** Runs the command to its end. */
export const run = (args: ReadonlyArray<string>, options?: Options): Effect.Effect<Result> =>
  Effect.scoped(Effect.flatMap(start(args, options), ({ result }) => result))

/** Runs `sluice serve` on a free port of 127.0.0.1 until it listens. */
export const serve = CliOutput.servingWith(start)

/** That the command fails: its code, one sentence on stderr that says all, and nothing else. */
export const fails = Effect.fnUntraced(function*(
  args: ReadonlyArray<string>,
  expected: { readonly code: 1 | 2; readonly says: string | RegExp },
  options?: Options
) {
  saysWhy(yield* run(args, options), expected)
})

/** That a command has failed, and said in one sentence what was wrong. */
export const saysWhy = (
  { code, stderr, stdout }: CliOutput.Printed & { readonly code: number | null },
  expected: { readonly code: 1 | 2; readonly says: string | RegExp }
): void => {
  assert.deepStrictEqual({ code, stdout }, { code: expected.code, stdout: "" }, stderr)
  const line = stderr.trimEnd().split("\n").find((line) => line.startsWith("sluice: ")) ?? stderr
  if (typeof expected.says === "string") assert.strictEqual(line, `sluice: ${expected.says}`)
  else assert.match(line, expected.says)
  assert.notInclude(stderr, "    at ")
}

/** What a command prints that asks the host at this control socket, if it succeeds. */
export const prints = Effect.fnUntraced(function*(control: string, ...args: ReadonlyArray<string>) {
  const { code, stderr, stdout } = yield* run([...args, "--control", control])
  assert.deepStrictEqual({ code, stderr }, { code: 0, stderr: "" }, args.join(" "))
  return stdout.trimEnd()
})

/** The same, as JSON. */
export const jsonOf = <A>(schema: Schema.Codec<A>, control: string, ...args: ReadonlyArray<string>) =>
  Effect.flatMap(prints(control, ...args, "--json"), Schema.decodeUnknownEffect(Schema.fromJsonString(schema)))
