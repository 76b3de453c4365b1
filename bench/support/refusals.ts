/**
 * Processor time for each connection that is refused: by Sluice, and by servers with nothing around them, in the same run.
 * Most of it is the system's, for the accept, the bytes and the end; on one machine, also for what the peer receives.
 */
import * as Fs from "node:fs"
import * as Bench from "./Bench.ts"
import type { Outcome } from "./openloop.ts"

const SECONDS = 3
/** Connections a second, unless more are asked for: the more come, the more of them a turn of the loop deals with. */
const RATE = 2000
const TICKS_MICROS = 10_000

/** Microseconds for a connection, and the part of the system in them. */
export interface Cost {
  readonly all: number
  readonly system: number
}

const ticksOf = (pid: number): readonly [user: number, system: number] => {
  const fields = Fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")
  return [Number(fields[11]), Number(fields[12])]
}

/** `outcome` is what each of the peers is to see. */
const measure = async (server: Bench.Server, outcome: number, rate: number): Promise<Cost> => {
  const flood = (seconds: number) =>
    Bench.client<[ReadonlyArray<Outcome>]>("support/openloop.ts", server.port, 0, `${rate}:${seconds}`)
  await flood(1)
  const [user, system] = ticksOf(server.pid)
  const [outcomes] = await flood(SECONDS)
  const [userAfter, systemAfter] = ticksOf(server.pid)
  const others = outcomes.filter(([, took]) => took !== outcome).length
  if (others > 0) throw new Error(`${others} of ${outcomes.length} saw something else`)
  const micros = TICKS_MICROS / outcomes.length
  return {
    all: (userAfter + systemAfter - user - system) * micros,
    system: (systemAfter - system) * micros
  }
}

const ANSWERED = -1
const RESET = -2

const outcomeOf = (how: string): number => how === "reset" ? RESET : ANSWERED

/** A server with nothing around it: see `apps/refuser.ts`. */
export const bare = async (by: "server" | "handle", how: "reset" | "answer" | "listen", rate = RATE): Promise<Cost> => {
  const server = await Bench.start("apps/refuser.ts", by, how)
  const cost = await measure(server, outcomeOf(how), rate)
  await Bench.stop(server)
  return cost
}

/** A host whose listener has all the sessions that it may have. */
export const sluice = async (how: "reset" | "http", rate = RATE): Promise<Cost> => {
  const options = { listener: { refuseWith: how }, admission: { maxSessionsPerListener: 1 } }
  const server = await Bench.start("support/host.ts", "apps/overload-program.ts", "1", JSON.stringify(options))
  const keeper = Bench.startClient("support/holder.ts", server.port, 1)
  await keeper.ready
  const cost = await measure(server, outcomeOf(how), rate)
  keeper.finish()
  await Bench.stop(server)
  return cost
}
