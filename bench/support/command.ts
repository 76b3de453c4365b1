/**
 * The `sluice` command as a server, with two workers unless the arguments say otherwise: `command.ts <control socket>
 * <arguments>`. Prints `port N` once it listens.
 */
import { spawn } from "node:child_process"

const [control = "", ...args] = process.argv.slice(2)
const main = new URL("../../src/main.ts", import.meta.url).pathname
const child = spawn(process.execPath, [
  main,
  ...args,
  "--listen",
  "tcp://127.0.0.1:0",
  ...(args.includes("--workers") ? [] : ["--workers", "2"]),
  "--backlog",
  "4096"
], {
  env: { ...process.env, SLUICE_CONTROL: control, SLUICE_LOG_LEVEL: process.env["LOG"] ?? "warn" },
  stdio: ["ignore", "pipe", "inherit"]
})
let isKnown = false
child.stdout.on("data", (chunk: Buffer) => {
  const port = /listening on tcp:\/\/127\.0\.0\.1:(\d+)/.exec(chunk.toString())?.[1]
  if (isKnown || port === undefined) return
  isKnown = true
  console.log(`port ${port}`)
})
// hosts that follow write where this one wrote
process.on("SIGTERM", () => child.kill("SIGTERM"))
