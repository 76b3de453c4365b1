/**
 * How long the host is kept from everything else when many sessions that are parked change their worker at once: because
 * it crashes, is deleted, or is reloaded, with 2,000 and with 9,000 of them. What a turn of the host takes is measured in
 * time of the processor, since on a machine that is busy a turn also waits for one; next to it, the longest delay.
 *
 * Goal: no turn takes 10 ms more than with nothing done, and no session ends.
 * Needs some 9,100 open files per process (`ulimit -n`). `node bench/parked.ts [sessions …]`: about a minute.
 */
import * as Net from "node:net"
import * as Timers from "node:timers/promises"
import * as Bench from "./support/Bench.ts"

const ADDED_MILLIS = 10

interface Turn {
  /** Milliseconds of the processor, and of the clock. */
  readonly cpu: number
  readonly delay: number
  readonly moved: number
  /** Sessions of worker 1. */
  readonly parked: number
}

const counts = process.argv.slice(2).map(Number)

const die = (port: number): void => {
  const socket = Net.connect(port, "127.0.0.1", () => socket.write("GET /die HTTP/1.1\r\nHost: bench\r\n\r\n"))
  socket.on("error", () => {})
}

/** The host's longest turn while something is done with it, until so many sessions have moved. */
const longestTurn = async (host: Bench.Server, act: () => void, sessions: number): Promise<Turn> => {
  await Bench.ask(host, "begin", "begun")
  act()
  for (const until = performance.now() + 30_000;; await Timers.setTimeout(500)) {
    const turn = JSON.parse(await Bench.ask(host, "look", "turn")) as Turn
    if (turn.moved >= sessions || performance.now() > until) return turn
  }
}

console.log(
  `${"".padEnd(10)}${
    ["sessions", "moved", "turn", "delay"].map((head) => head.padStart(12)).join("")
  }   (Node ${process.version})`
)
for (const sessions of counts.length > 0 ? counts : [2000, 9000]) {
  let idle = 0
  for (const what of ["nothing", "crash", "delete", "reload"]) {
    const host = await Bench.start("apps/parked-host.ts")
    const client = Bench.startClient<number>("support/holder.ts", host.port, sessions)
    await client.ready
    // those that worker 1 has, and not the ones that have passed it by
    const { parked } = await longestTurn(host, () => {}, 0)
    const turn = await longestTurn(host, () => {
      if (what === "crash") die(host.port)
      else if (what !== "nothing") host.process.stdin!.write(`${what}\n`)
    }, what === "nothing" ? 0 : parked)
    const cells = [sessions, turn.moved, `${turn.cpu.toFixed(1)} ms`, `${turn.delay.toFixed(1)} ms`]
    console.log(`${what.padEnd(10)}${cells.map((cell) => String(cell).padStart(12)).join("")}`)
    if (what === "nothing") idle = turn.cpu
    const added = turn.cpu - idle
    Bench.expect(added <= ADDED_MILLIS, `a turn took ${added.toFixed(1)} ms more than with nothing done`)
    Bench.expect(what === "nothing" || turn.moved >= parked, `${turn.moved} of ${parked} sessions have moved`)
    client.finish()
    // it fails if the server has ended one of them
    await client.result
    await Bench.stop(host)
  }
}
