/** The tools that the project is built and tested with. */
import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import { oldestNode, version } from "../src/domain/report/Version.ts"

const read = (path: string) => Fs.readFileSync(new URL(path, import.meta.url), "utf8")
const [major, minor] = process.versions.node.split(".").map(Number) as [number, number, number]

describe("toolchain", () => {
  it("runs on a Node that can hand a socket over to a thread: 24.21 or later", () => {
    assert.isTrue(major > 24 || (major === 24 && minor >= 21), `this is Node ${process.version}`)
  })

  it("runs on the Node the lockfile brings, not on the machine's own", () => {
    // Without the package's install script npm falls back to the machine's Node and says nothing.
    const expected = process.env.SLUICE_TEST_NODE === "24" ? "24.21" : "26.10"
    assert.strictEqual(`${major}.${minor}`, expected, `this is Node ${process.version} at ${process.execPath}`)
  })

  it("runs files in processes, where worker threads can be started", () => {
    assert.isFunction(process.send)
  })

  it("has a lockfile that names no download addresses", () => {
    assert.notInclude(read("../package-lock.json"), "\"resolved\"")
  })

  it("knows the versions that package.json gives: its own, and that of the oldest Node", () => {
    const written = JSON.parse(read("../package.json")) as { version: string; engines: { node: string } }
    assert.strictEqual(written.version, version)
    assert.strictEqual(written.engines.node, `>=${oldestNode.join(".")}`)
  })
})
