/** Builds the package once before the suite: the examples import it by its name. */
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"

const root = Path.join(import.meta.dirname, "../..")

const newest = (folder: string): number =>
  Fs.readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((time, entry) => Math.max(time, Fs.statSync(Path.join(entry.parentPath, entry.name)).mtimeMs), 0)

export default (): void => {
  const built = Path.join(root, "dist/main.js")
  if (Fs.existsSync(built) && Fs.statSync(built).mtimeMs > newest(Path.join(root, "src"))) return
  Fs.rmSync(Path.join(root, "dist"), { recursive: true, force: true })
  execFileSync(process.execPath, [Path.join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"], {
    cwd: root,
    stdio: "inherit"
  })
}
