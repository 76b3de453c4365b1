/**
 * Sends requests to the page's port as nobody should send them: `node bench/dashboard-fuzz.ts [requests] [seed]`, by
 * default 100,000 from seed 1, which takes some minutes.
 *
 * It starts a host with two workers, and fails if an answer is a fault of the host (5xx), if something that needs the token
 * is answered without it, or if the host does not answer as before in the end.
 */
import { spawn } from "node:child_process"
import * as Path from "node:path"
import * as Readline from "node:readline"
import * as DashboardFuzz from "../test/support/DashboardFuzz.ts"
import * as Random from "../test/support/random.ts"

const [requests = 100_000, seed = 1] = process.argv.slice(2).map(Number)
const AT_ONCE = 24

const main = Path.join(import.meta.dirname, "../src/main.ts")
const control = Path.join("/tmp", `sluice-fuzz-${process.pid}.sock`)
const host = spawn(process.execPath, [
  main,
  "serve",
  "--workers",
  "2",
  "--listen",
  "tcp://127.0.0.1:0",
  "--control",
  control,
  "--dashboard",
  "127.0.0.1:0"
], { stdio: ["ignore", "pipe", "inherit"] })

const port = await new Promise<number>((resolve, reject) => {
  host.once("exit", (code) => reject(new Error(`the host ended with ${code}`)))
  Readline.createInterface({ input: host.stdout }).on("line", (line) => {
    const [, port] = /dashboard at http:\/\/127\.0\.0\.1:(\d+)/.exec(line) ?? []
    if (port !== undefined) resolve(Number(port))
  })
})

const random = Random.make(seed)
const statuses = new Map<string, number>()
const faults: Array<string> = []
let sent = 0

const sender = async (): Promise<void> => {
  while (sent < requests && faults.length < 10) {
    sent++
    const asked = DashboardFuzz.request(random)
    const answer = await DashboardFuzz.send(port, asked)
    const [, status = "none"] = /^HTTP\/1\.1 (\d{3})/.exec(answer) ?? []
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
    const fault = DashboardFuzz.fault(asked, answer)
    if (fault !== undefined) faults.push(fault)
  }
}

const began = performance.now()
await Promise.all(Array.from({ length: AT_ONCE }, sender))
const answer = await fetch(`http://127.0.0.1:${port}/v1/overview`)
const { verdict } = await answer.json() as { readonly verdict: { readonly text: string } }
console.log(`${sent} requests in ${((performance.now() - began) / 1000).toFixed(0)} s, seed ${seed}`)
console.log([...statuses].sort().map(([status, count]) => `${status}: ${count}`).join(", "))
console.log(`the host then: ${answer.status}, ${verdict.text}`)
for (const fault of faults) console.log(`FAULT ${fault}`)
host.removeAllListeners("exit")
host.kill("SIGKILL")
process.exitCode = faults.length === 0 ? 0 : 1
