import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts", "examples/**/*.test.ts"],
    // The examples run on the package as it is published.
    globalSetup: ["test/support/build.ts"],
    // Processes, not threads: the suite starts worker threads of its own, and a process of its own gives each file clean ones.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Where the checks run other programs may take the processors, and with them a test's time: it gets a second try
    // there, of which the output tells (`retry x1`). On a machine of one's own the first failure counts.
    retry: process.env.CI === undefined ? 0 : 1
  }
})
