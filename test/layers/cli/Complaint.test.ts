/** What a new user gets wrong, and what the command says: what is the matter, where, and what would be right. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Cli from "../../support/Cli.ts"
import * as TempDirectory from "../../support/TempDirectory.ts"

/** A command line as it is typed, and the sentences on stderr. */
const wrong: ReadonlyArray<readonly [line: string, ...says: ReadonlyArray<string>]> = [
  ["serv app.js", "Unknown subcommand \"serv\" for \"sluice\"; did you mean serve? (see: sluice --help)"],
  [
    "show sesions",
    "Unknown subcommand \"sesions\" for \"sluice show\"; did you mean sessions? (see: sluice show --help)"
  ],
  ["worker ad app", "Unknown subcommand \"ad\" for \"sluice worker\"; did you mean add? (see: sluice worker --help)"],
  [
    "serve --wrokers 2",
    "Unrecognized flag: --wrokers in command sluice serve; did you mean --workers? (see: sluice serve --help)"
  ],
  [
    "serve --workers",
    "--workers has no value; give it <number|range|auto>, as in --workers=… (see: sluice serve --help)"
  ],
  [
    "serve --drain-timeout -5s",
    "--drain-timeout has no value; give it <time>, as in --drain-timeout=… (see: sluice serve --help)"
  ],
  [
    "serve --drain-timeout 5 secs",
    "app module secs does not exist: there is nothing at HERE/secs; give a value with a space in quotes, "
    + "as in --drain-timeout \"5 secs\""
  ],
  [
    "serve --drain-timeout 5x",
    "--drain-timeout: got \"5x\"; it must be a time in milliseconds from 0 ms to 1 h, or text such as \"5 millis\" or \"5ms\""
  ],
  [
    "serve --workers many",
    "--workers: got \"many\"; it must be a whole number from 1 to 256, a range of them such as \"2..8\", or \"auto\""
  ],
  [
    "serve --rx-fifo-size 64kb",
    "--rx-fifo-size: got \"64kb\"; it must be a power of two in bytes from 4 KiB to 4 MiB, or text such as \"64KiB\"; "
    + "did you mean \"64KiB\"?"
  ],
  ["serve none.js", "app module none.js does not exist: there is nothing at HERE/none.js"],
  ["serve test", "app module test is not a file: there is a directory at HERE/test"],
  ["serve a.js b.js", "Unexpected positional argument: \"b.js\" (see: sluice serve --help)"],
  [
    "serve --placement transfr",
    "--placement: got \"transfr\"; it must be \"shared\" or \"transfer\"; did you mean \"transfer\"?"
  ],
  ["serve --policy refus", "--policy: got \"refus\"; it must be \"hold\" or \"refuse\"; did you mean \"refuse\"?"],
  ["serve --log-format jsn", "--log-format: got \"jsn\"; it must be \"pretty\" or \"json\"; did you mean \"json\"?"],
  [
    "serve --log-level INFO",
    "--log-level: got \"INFO\"; it must be \"all\", \"trace\", \"debug\", \"info\", \"warn\", \"error\", \"fatal\" or "
    + "\"none\"; did you mean \"info\"?"
  ],
  [
    "serve --affinity sourc",
    "--affinity: got \"sourc\"; it must be \"none\" or \"source\", or in a program a function of the connection's "
    + "addresses; did you mean \"source\"?"
  ],
  [
    "serve --listen https://127.0.0.1:8443",
    "--listen: endpoint \"https://127.0.0.1:8443\": there is no transport 'https'; use tcp:, tls:, udp:, unix:, local:; "
    + "did you mean tls:?"
  ],
  [
    "serve --listen tpc://127.0.0.1:8080",
    "--listen: endpoint \"tpc://127.0.0.1:8080\": there is no transport 'tpc'; use tcp:, tls:, udp:, unix:, local:; "
    + "did you mean tcp:?"
  ],
  [
    "serve --listen 8080",
    "--listen: endpoint \"8080\": it must start with a transport, for example \"tcp://127.0.0.1:8080\""
  ],
  ["serve --config test", "configuration file test is a directory; name a file in it"],
  ["serve --config none.json", "configuration file none.json does not exist"],
  [
    "serve --tls-cert test/fixtures/certificates/rsa.pem --tls-key test/fixtures/certificates/exact.key",
    "--tls-key: test/fixtures/certificates/exact.key is not the key of test/fixtures/certificates/rsa.pem, "
    + "the certificate of \"CN=RSA\"; give both in one order"
  ],
  [
    "serve --tls-cert test/fixtures/certificates/encrypted.pem --tls-key test/fixtures/certificates/encrypted.key",
    "--tls-key: test/fixtures/certificates/encrypted.key is encrypted; give a key that is not: openssl pkey writes one"
  ],
  [
    "serve --tls-cert test/fixtures/certificates/rsa.pem",
    "--tls-cert: each certificate needs a key, given by --tls-cert and --tls-key in the same order; "
    + "given: 1 certificate, 0 keys"
  ],
  [
    "proxy",
    "listen (--listen): give at least one, such as --listen tcp://127.0.0.1:8080",
    "to (--to): give at least one, such as --to tcp://127.0.0.1:6379"
  ],
  [
    "proxy --listen tcp://127.0.0.1:0 --to tcp://127.0.0.1:1 --send-proxy v3",
    "--send-proxy: got \"v3\"; it must be \"none\", \"v1\" or \"v2\"; did you mean \"v1\"?"
  ],
  [
    "proxy --listen tcp://127.0.0.1:0 --to tls://127.0.0.1:1 --send-proxy v1",
    "--send-proxy: got \"v1\"; it must be \"none\" where an upstream is over TLS"
  ],
  [
    "show sessions --state REDY",
    "--state: got \"REDY\"; it must be \"ACCEPTING\", \"READY\", \"TRANSPORT_CLOSING\", \"CLOSING\", \"APP_CLOSED\", "
    + "\"TRANSPORT_CLOSED\" or \"CLOSED\"; did you mean \"READY\"? (see: sluice show sessions --help)"
  ],
  ["show sessions --limit many", "--limit: got \"many\"; it must be a whole number (see: sluice show sessions --help)"],
  [
    "worker add app --kind threads",
    "--kind: got \"threads\"; it must be \"thread\" or \"in-process\"; did you mean \"thread\"? "
    + "(see: sluice worker add --help)"
  ],
  ["worker add", "Missing required argument: app (see: sluice worker add --help)"],
  [
    "worker restart 1",
    "<worker>: got \"1\"; it must be a handle such as \"12.3\", as show prints it (see: sluice worker restart --help)"
  ],
  [
    "rules add --action dney",
    "--action: got \"dney\"; it must be \"allow\", \"deny\", or \"app:\" and the name of an application; "
    + "did you mean \"deny\"? (see: sluice rules add --help)"
  ],
  [
    "--completions basch",
    "--completions: got \"basch\"; it must be \"bash\", \"zsh\", \"fish\", \"powershell\", \"sh\" or \"pwsh\"; "
    + "did you mean \"bash\"? (see: sluice --help)"
  ]
]

const lines = (says: ReadonlyArray<string>): string =>
  says.map((line) => `sluice: ${line.replace("HERE", process.cwd())}\n`).join("")

describe("a command that was called wrongly ends with 2, says why, and prints nothing else", () => {
  for (const [line, ...says] of wrong) {
    it.live(line, () =>
      Effect.gen(function*() {
        const { code, stderr, stdout } = yield* Cli.run(line.split(" "))
        assert.deepStrictEqual({ code, stderr, stdout }, { code: 2, stderr: lines(says), stdout: "" })
      }))
  }

  it.live("an option of a single listener in a file", () =>
    Effect.gen(function*() {
      const file = Path.join(yield* TempDirectory.make, "sluice.json")
      Fs.writeFileSync(file, JSON.stringify({ listeners: { "tcp://127.0.0.1:80": { placement: "transfr" } } }))
      yield* Cli.fails(["serve", "--config", file], {
        code: 2,
        says: `listeners in ${file}: tcp://127.0.0.1:80.placement: got "transfr"; it must be "shared" or "transfer"; `
          + "did you mean \"transfer\"?"
      })
    }))

  it.live("a value in the environment", () =>
    Cli.fails(["serve"], {
      code: 2,
      says: "SLUICE_PLACEMENT: got \"transfr\"; it must be \"shared\" or \"transfer\"; did you mean \"transfer\"?"
    }, { env: { SLUICE_PLACEMENT: "transfr" } }))
})

describe("a command that can't do what it was asked to ends with 1, and says why", () => {
  it.live("asks for a host where something else is", () =>
    Cli.fails(["show", "app", "--control", "package.json"], {
      code: 1,
      says: "package.json exists and is not a socket; give another path with --control"
    }))

  it.live("a certificate that has expired is taken, with a warning that names its file", () =>
    Effect.gen(function*() {
      const folder = "test/fixtures/certificates"
      const at = ["--tls-cert", `${folder}/expired.pem`, "--tls-key", `${folder}/expired.key`]
      const { stderr } = yield* Cli.run(["serve", "none.js", ...at])
      assert.match(
        stderr,
        /WARN {2}test\/fixtures\/certificates\/expired\.pem, the certificate of "CN=Expired", has expired on 2001-01-01: clients/
      )
    }))
})
