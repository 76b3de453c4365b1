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
    hookTimeout: 30_000
  }
})
