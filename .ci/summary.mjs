// `node .ci/summary.mjs report.json...`: the tests that failed in these runs, by name and reason, then `N passed, N failed`.
// A run that left no report, or a file that could not be loaded, counts as a failure.
import { readFileSync } from "node:fs"
import { basename } from "node:path"

let passed = 0
let failed = 0
const fail = (what, why) => {
  failed++
  console.log(`failed: ${what}\n${(why ?? "").split("\n").slice(0, 12).map((line) => `  ${line}`).join("\n")}`)
}

for (const path of process.argv.slice(2)) {
  const run = `Node ${basename(path, ".json")}`
  let report
  try {
    report = JSON.parse(readFileSync(path, "utf8"))
  } catch (error) {
    fail(`${run} left no report`, error.message)
    continue
  }
  const before = failed
  for (const file of report.testResults) {
    if (file.status === "failed" && file.assertionResults.length === 0) fail(`${run}: ${file.name}`, file.message)
    for (const test of file.assertionResults) {
      if (test.status === "failed") fail(`${run}: ${file.name}: ${test.fullName}`, test.failureMessages.join("\n"))
    }
  }
  passed += report.numPassedTests
  if (!report.success && failed === before) fail(`${run}: the run as a whole`, "an error outside any test: see above")
}
console.log(`${passed} passed, ${failed} failed`)
