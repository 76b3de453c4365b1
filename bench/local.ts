/**
 * Cut-through sessions between two workers on threads, compared with loopback TCP by `node:net` between the same two
 * threads: bytes a second in writes of 64 KiB, and round trips of 64 bytes. The receiver drops the bytes where they lie
 * in the fifo, which is how it gets at them without a copy, or copies them out, for information.
 *
 * Goal: at least 5 times the throughput, and at most half the round trip (p50). The round trip needs a core for each of
 * the two threads: where another process takes one, the threads take turns, neither waits for the other without
 * sleeping, and a round trip takes some 0.8 of TCP's. `node bench/local.ts`: half a minute.
 */
import * as Effect from "effect/Effect"
import * as Host from "../src/layers/Host.ts"
import { SessionLayer } from "../src/services/SessionLayer.ts"
import { type Config, DONE, FIGURES, READY } from "./apps/local-app.ts"
import * as Bench from "./support/Bench.ts"

const ROUNDS = 7
const config = {
  state: new SharedArrayBuffer(16),
  figures: new SharedArrayBuffer(8 * FIGURES * ROUNDS),
  rounds: ROUNDS,
  bytes: 1024 ** 3,
  roundTrips: 5000
}
const words = new Int32Array(config.state)
const module = { _tag: "Url", url: new URL("./apps/local-app.ts", import.meta.url).href } as const

await Effect.runPromise(
  Effect.gen(function*() {
    const host = yield* SessionLayer
    for (const role of ["server", "client"] as const) {
      yield* host.attach({
        name: role,
        scope: { local: true },
        workers: 1,
        config: { ...config, role } satisfies Config
      }, module)
      if (role === "server" && Atomics.load(words, READY) !== 1) throw new Error("the server is not ready")
    }
    yield* Effect.promise(async () => await Atomics.waitAsync(words, DONE, 0).value)
  }).pipe(Effect.scoped, Effect.provide(Host.layer))
)

const found = new Float64Array(config.figures)
const figures = (index: number): ReadonlyArray<number> =>
  Array.from({ length: ROUNDS }, (_, round) => found[FIGURES * round + index]!)
const [drop, copy, tcp, ping, pingTcp] = Array.from({ length: FIGURES }, (_, index) => figures(index)) as [
  ReadonlyArray<number>,
  ReadonlyArray<number>,
  ReadonlyArray<number>,
  ReadonlyArray<number>,
  ReadonlyArray<number>
]
const compare = (
  what: string,
  ours: ReadonlyArray<number>,
  theirs: ReadonlyArray<number>,
  print: (value: number) => string,
  goal: string
): number => {
  const ratio = Bench.median(ours.map((value, round) => value / theirs[round]!))
  Bench.line(what, print(Bench.median(ours)), print(Bench.median(theirs)), ratio, goal)
  return ratio
}

Bench.header("TCP")
const megabytes = (value: number): string => (value / 1e6).toFixed(0)
const micros = (value: number): string => (value * 1000).toFixed(1)
const throughput = compare("64 KiB writes, MB/s", drop, tcp, megabytes, "at least 5.00")
compare("the same, copied out", copy, tcp, megabytes, "")
const roundTrip = compare("64 B round trip, p50 us", ping, pingTcp, micros, "at most 0.50")
Bench.expect(throughput >= 5, `cut-through moves ${throughput.toFixed(2)} times the bytes of TCP, less than 5.00`)
Bench.expect(roundTrip <= 0.5, `a round trip takes ${roundTrip.toFixed(2)} of TCP's, more than 0.50`)
process.exit()
