import * as Path from "node:path"
import { defineConfig } from "vitest/config"

// Programs and threads that the tests start load the same modules again and again.
process.env.NODE_COMPILE_CACHE ??= Path.join(import.meta.dirname, "node_modules/.cache/node")

/** Files that look at what their process holds, or whose threads may take it along: each has a process of its own. */
const alone = [
  "test/lifecycle.test.ts",
  "test/layers/host/{Hostile,Teardown,Threads,ThreadsModel}.test.ts",
  "test/layers/transport/TransportTls.test.ts"
]

export default defineConfig({
  test: {
    // The examples run on the package as it is published.
    globalSetup: ["test/support/build.ts"],
    // Processes, not threads: the suite starts worker threads of its own.
    pool: "forks",
    // more than the two processors of a small machine: a good part of the tests waits for timers and processes
    maxWorkers: 3,
    // hosts log what they do: of a test that passes that says nothing
    silent: "passed-only",
    testTimeout: 30_000,
    hookTimeout: 30_000,
    projects: [
      {
        extends: true,
        test: { name: "alone", include: alone }
      },
      {
        extends: true,
        test: {
          name: "together",
          include: ["test/**/*.test.ts", "examples/**/*.test.ts"],
          exclude: [...alone, "**/node_modules/**"],
          // loading what is tested takes longer than most tests do
          isolate: false
        }
      }
    ]
  }
})
