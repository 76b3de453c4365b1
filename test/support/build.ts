/** Builds the package once before the suite, since the examples import it by its name, and fills the compile cache. */
import { execFile } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { promisify } from "node:util"

const root = Path.join(import.meta.dirname, "../..")

const newest = (folder: string): number =>
  Fs.readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((time, entry) => Math.max(time, Fs.statSync(Path.join(entry.parentPath, entry.name)).mtimeMs), 0)

const run = (...args: ReadonlyArray<string>) => promisify(execFile)(process.execPath, args, { cwd: root })

const build = async (): Promise<void> => {
  const built = Path.join(root, "dist/main.js")
  if (Fs.existsSync(built) && Fs.statSync(built).mtimeMs > newest(Path.join(root, "src"))) return
  Fs.rmSync(Path.join(root, "dist"), { recursive: true, force: true })
  await run("node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json")
  // what the page is made of, which nothing translates
  const page = "layers/dashboard/page"
  Fs.cpSync(Path.join(root, "src", page), Path.join(root, "dist", page), { recursive: true })
}

export default async (): Promise<void> => {
  await Promise.all([build(), run("test/support/warm.ts")])
}
