/**
 * Sends random requests to the page's port: `node bench/dashboard-fuzz.ts [requests] [seed]`, by default 100,000 from
 * seed 1, which takes some minutes. Half of them are as nobody should send them; half have the token, and ask for
 * everything that the port has, with values that may be right, or come from another origin.
 *
 * It starts a host with two workers, and fails if an answer is a fault of the host (5xx), if something that needs the token
 * is answered without it, or from elsewhere with it; or if in the end the host does not serve as before: every worker up,
 * every ledger balanced.
 */
import { spawn } from "node:child_process"
import * as Path from "node:path"
import * as Readline from "node:readline"
import * as DashboardRun from "../test/support/DashboardRun.ts"

const [requests = 100_000, seed = 1] = process.argv.slice(2).map(Number)
const LINES = { dashboard: /dashboard at http:\/\/127\.0\.0\.1:(\d+)/, listening: /listening on tcp:\/\/(\S+:\d+)/ }
const token = "the-token-of-this-run"

const main = Path.join(import.meta.dirname, "../src/main.ts")
const control = Path.join("/tmp", `sluice-fuzz-${process.pid}.sock`)
const at = ["--listen", "tcp://127.0.0.1:0", "--control", control, "--dashboard", "127.0.0.1:0"]
const host = spawn(process.execPath, [main, "serve", "--workers", "2", "--drain-timeout", "1s", ...at], {
  stdio: ["ignore", "pipe", "pipe"],
  env: { ...process.env, SLUICE_DASHBOARD_TOKEN: token }
})
let said = ""
host.stderr.on("data", (chunk) => said = (said + chunk).slice(-4000))

const found = new Map<keyof typeof LINES, string>()
await new Promise<void>((resolve, reject) => {
  host.once("exit", (code) => reject(new Error(`the host ended with ${code}: ${said}`)))
  Readline.createInterface({ input: host.stdout }).on("line", (line) => {
    for (const name of ["dashboard", "listening"] as const) {
      const [, value] = LINES[name].exec(line) ?? []
      if (value !== undefined) found.set(name, value)
    }
    if (found.size === 2) resolve()
  })
})
host.removeAllListeners("exit").once("exit", (code, signal) => {
  console.log(`FAULT the host ended with ${code ?? signal}: ${said}`)
  process.exit(1)
})
const target = { port: Number(found.get("dashboard")), token, served: `http://${found.get("listening")}/` }

const began = performance.now()
// while the host goes down, there may be no answer
const gone = new Promise<never>(() => {})
const { faults, sent, statuses } = await DashboardRun.send(target, requests, seed).catch(() => gone)
const { down, imbalances, unserved, workers } = await DashboardRun.settle(target).catch(() => gone)
console.log(`${sent} requests in ${((performance.now() - began) / 1000).toFixed(0)} s, seed ${seed}`)
console.log([...statuses].sort().map(([status, count]) => `${status}: ${count}`).join(", "))
console.log(`the host then: ${workers} workers, ${down.length} of them down, ${imbalances.length} imbalances`)
for (const fault of faults) console.log(`FAULT ${fault}`)
for (const { handle, state } of down) console.log(`FAULT worker ${handle} is ${state}`)
for (const imbalance of imbalances) console.log(`FAULT ${imbalance}`)
if (unserved > 0) console.log(`FAULT ${unserved} requests to the application were not answered with 200`)
host.removeAllListeners("exit")
host.kill("SIGKILL")
process.exitCode = faults.length + down.length + imbalances.length + unserved === 0 ? 0 : 1
