/**
 * The default application with curl, through fifos of 64 KiB: `GET /bytes` of 1 GiB, and 1 GiB through `POST /echo`,
 * once as a file of known length and once as a stream. What arrives must have the right SHA-256.
 *
 * Needs curl, and 1 GiB of room for a temporary file. `node bench/curl.ts`: about 30 s.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { Readable } from "node:stream"
import * as Stream from "node:stream/promises"
import * as Bench from "./support/Bench.ts"

const BYTES = 1024 ** 3
/** The default application's byte i is i modulo this. */
const PERIOD = 251
const CHUNK = 65536
const FIFO = "64KiB"
/** What has not come after this time will not come. */
const SECONDS = 30

const directory = Fs.mkdtempSync(Path.join(Os.tmpdir(), "sluice-bench-"))
process.on("exit", () => Fs.rmSync(directory, { recursive: true }))
const file = Path.join(directory, "bytes")

const pattern = Uint8Array.from({ length: CHUNK + PERIOD }, (_, i) => i % PERIOD)
const chunks = function*() {
  for (let at = 0; at < BYTES; at += CHUNK) {
    yield pattern.subarray(at % PERIOD, at % PERIOD + Math.min(CHUNK, BYTES - at))
  }
}

/** Starts the command and finds the port that it listens on. */
const serve = (): Promise<{ readonly command: ChildProcessWithoutNullStreams; readonly port: number }> =>
  new Promise((resolve, reject) => {
    const main = new URL("../src/main.ts", import.meta.url).pathname
    const args = ["serve", "--listen", "tcp://127.0.0.1:0", "--workers", "1"]
    const sizes = ["--rx-fifo-size", FIFO, "--tx-fifo-size", FIFO]
    const control = ["--control", Path.join(directory, "control.sock"), "--log-level", "none"]
    const command = spawn(process.execPath, [main, ...args, ...sizes, ...control])
    process.on("exit", () => command.kill("SIGKILL"))
    command.stderr.pipe(process.stderr)
    command.once("exit", (code) => reject(new Error(`the command exited with ${code}`)))
    let text = ""
    command.stdout.on("data", (bytes: Buffer) => {
      text += bytes.toString()
      const port = /listening on tcp:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1]
      if (port !== undefined) resolve({ command, port: Number(port) })
    })
  })

const write = async (path: string, expected: Crypto.Hash): Promise<void> => {
  const hashed = function*() {
    for (const chunk of chunks()) {
      expected.update(chunk)
      yield chunk
    }
  }
  await Stream.pipeline(hashed, Fs.createWriteStream(path))
}

/** Runs curl and hashes what it prints. */
const fetch = async (path: string, options: ReadonlyArray<string>, input?: Readable): Promise<string> => {
  const curl = spawn("curl", [
    "-sS",
    "--fail",
    "--max-time",
    String(SECONDS),
    ...options,
    `http://127.0.0.1:${port}${path}`
  ])
  process.on("exit", () => curl.kill("SIGKILL"))
  curl.stderr.pipe(process.stderr)
  const hash = Crypto.createHash("sha256")
  let bytes = 0
  curl.stdout.on("data", (chunk: Buffer) => {
    hash.update(chunk)
    bytes += chunk.length
  })
  const closed = new Promise<number | null>((resolve) => curl.once("close", resolve))
  const since = performance.now()
  if (input === undefined) curl.stdin.end()
  else await Stream.pipeline(input, curl.stdin).catch(() => {})
  const code = await closed
  const seconds = (performance.now() - since) / 1000
  const digest = hash.digest("hex")
  const right = code === 0 && bytes === BYTES && digest === wanted
  const rate = (bytes / 1e6 / seconds).toFixed(0)
  const found = right ? "SHA-256 right" : `WRONG: curl exited with ${code}, ${bytes} bytes, SHA-256 ${digest}`
  return `${seconds.toFixed(1).padStart(6)} s ${rate.padStart(6)} MB/s   ${found}`
}

const expected = Crypto.createHash("sha256")
await write(file, expected)
const wanted = expected.digest("hex")
const { command, port } = await serve()
const runs = [
  ["GET /bytes of 1 GiB", () => fetch(`/bytes?n=${BYTES}`, [])],
  ["POST /echo of a file of 1 GiB", () => fetch("/echo", ["-X", "POST", "-H", "Expect:", "-T", file])],
  [
    "POST /echo of a stream of 1 GiB",
    () => fetch("/echo", ["-X", "POST", "-H", "Expect:", "-T", "-"], Readable.from(chunks()))
  ]
] as const
for (const [what, measure] of runs) {
  const found = await measure()
  console.log(`${what.padEnd(34)} ${found}`)
  Bench.expect(!found.includes("WRONG"), `${what} did not arrive as it was sent`)
}
const gone = new Promise<number | null>((resolve) => command.removeAllListeners("exit").once("exit", resolve))
command.kill("SIGTERM")
const code = await gone
Bench.expect(code === 0, `the command exited with ${code}`)
